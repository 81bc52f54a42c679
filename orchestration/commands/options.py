"""The options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="The clock: 2026-11-24 (the end of that day) or 2026-11-24T09:30:00+00:00. Default: now.",
    ),
]
ShowPii = Annotated[bool, typer.Option("--show-pii", help="Show personal data, masked otherwise.")]
