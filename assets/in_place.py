"""Tables in place: another DuckDB file, attached read-only for a run and never copied."""

from __future__ import annotations

import time
from pathlib import Path

from models.errors import TailraceError, WarehouseHeld
from models.source import TableSource
from warehouse.base import Warehouse

PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds of real time between attempts while the file's writer holds it


def alias(name: str) -> str:
    """The catalog under which the source `name` is attached."""
    return f"source_{name}"


def relation(name: str, source: TableSource) -> str:
    """The table, as it is read once attached."""
    return f"{alias(name)}.{source.table}"


def attach(warehouse: Warehouse, project: Path, name: str, source: TableSource) -> str | None:
    """Attach the file of a source; None when that worked, or why the source is stale."""
    path = project / source.database
    if not path.is_file():
        return f"{path} is not there"
    for pause in (*PAUSES, None):
        try:
            warehouse.attach(alias(name), path)
        except WarehouseHeld:
            if pause is None:
                return f"{path} is held by another process"
            time.sleep(pause)
        except TailraceError as error:
            return str(error)
        else:
            break
    columns = warehouse.columns(relation(name, source))
    missing = f"column {source.known_at} (known_at)" if columns else f"table {source.table}"
    if columns and (source.known_at is None or source.known_at in columns):
        return None
    warehouse.detach(alias(name))
    return f"{path} has no {missing}"
