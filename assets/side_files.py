"""What lies beside a spool, for a warehouse or a journal that is older than its run.

`<run>.json` holds all that a warehouse keeps of the run. It is written once journal and warehouse know the run, and
`<run>.closed` once both know its end: where one of them does not, it is a copy of before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from models.settings import Settings
from sinks.aside import written_aside


def write(settings: Settings, run_id: str, kept: Mapping[str, Any]) -> None:
    """Keep what is told of the run, durably. Moments may be among the values. Raises StorageFull."""
    with written_aside(path(settings, run_id)) as file:
        file.write(json.dumps(kept, default=datetime.isoformat).encode())


def read(settings: Settings, run_id: str) -> dict[str, Any]:
    """What was told; moments are text. Raises FileNotFoundError."""
    kept: dict[str, Any] = json.loads(path(settings, run_id).read_text())
    return kept


def close(settings: Settings, run_id: str) -> None:
    """Journal and warehouse know how the run ended."""
    with written_aside(path(settings, run_id).with_suffix(".closed")):
        pass


def runs(settings: Settings) -> list[str]:
    """Every run with a side file."""
    return sorted(file.stem for file in settings.spool.glob("*.json"))


def closed(settings: Settings) -> frozenset[str]:
    """Those whose end is known."""
    return frozenset(file.stem for file in settings.spool.glob("*.closed"))


def path(settings: Settings, run_id: str) -> Path:
    return settings.spool / f"{run_id}.json"
