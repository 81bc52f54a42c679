"""Commands for whoever keeps it running: status, doctor, ui, recorder."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration import console
from orchestration.environment import settings


def register(app: typer.Typer) -> None:
    app.command()(recorder)


def recorder(
    *,
    port: Annotated[int, typer.Option(help="On the loopback interface; 0 picks a free one.")] = 8790,
    db: Annotated[Path | None, typer.Option(help="Where it keeps what it receives; default: the target's.")] = None,
) -> None:
    """The shipped local vendor: takes what syncs send in dev, answers as the real one would, shows what it received.

    Example: `tailrace recorder --port 8790`, then `curl 127.0.0.1:8790/_received`
    """
    from sinks import recorder_server

    file = db or settings().recorder_db
    file.parent.mkdir(parents=True, exist_ok=True)
    said = console.err()
    recorder_server.serve(port, file, ready=lambda taken: said.print(f"recorder on http://127.0.0.1:{taken}, {file}"))
