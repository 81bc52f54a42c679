"""Tables in place, never copied: of the warehouse's own database, or of another DuckDB file, attached for a run."""

from __future__ import annotations

import time
from pathlib import Path

from models.errors import TailraceError, WarehouseHeld
from models.source import TableSource
from warehouse.base import Warehouse

PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds of real time between attempts while the file's writer holds it


def alias(name: str, source: TableSource) -> str:
    """The catalog under which the source `name` is attached. The views that dbt makes in a file know it by its name."""
    return Path(source.database).stem if source.model and source.database else f"source_{name}"


def place(name: str, source: TableSource) -> dict[str, str]:
    """Where the table is, as dbt tells places apart."""
    schema, table = source.table.split(".")
    return {**({"database": alias(name, source)} if source.database else {}), "schema": schema, "table": table}


def relation(name: str, source: TableSource) -> str:
    """The table, as it is read: by its own name, or as the file's, once attached."""
    if source.database is None or source.model:  # quoted: a schema may be called as one of ours
        return ".".join('"' + part.replace('"', '""') + '"' for part in place(name, source).values())
    return f"{alias(name, source)}.{source.table}"


def attach(warehouse: Warehouse, project: Path, name: str, source: TableSource) -> str | None:
    """Attach the file of a source, if it is in one; None when it can be read, or why the source is stale."""
    if source.database is None:
        return _unreadable(warehouse, name, source)
    path = project / source.database
    if not path.is_file():
        return f"{path} is not there"
    for pause in (*PAUSES, None):
        try:
            warehouse.attach(alias(name, source), path)
        except WarehouseHeld:
            if pause is None:
                return f"{path} is held by another process"
            time.sleep(pause)
        except TailraceError as error:
            return str(error)
        else:
            break
    missing = _missing(warehouse, name, source)
    if not missing:
        return None
    warehouse.detach(alias(name, source))
    return f"{path} has no {missing}"


def _unreadable(warehouse: Warehouse, name: str, source: TableSource) -> str | None:
    """Why a table of the warehouse's own database cannot be read."""
    try:
        if missing := _missing(warehouse, name, source):
            return f"the warehouse's database has no {missing}"
        warehouse.rows(f"select 1 as found from {relation(name, source)} limit 0")  # may it be?
    except TailraceError as error:
        return str(error)
    return None


def _missing(warehouse: Warehouse, name: str, source: TableSource) -> str | None:
    columns = warehouse.columns(relation(name, source))
    if not columns:
        return f"table {source.table}"
    is_known = source.known_at is None or source.known_at in columns
    return None if is_known else f"column {source.known_at} (known_at)"
