"""When a source last brought something, and whether that is too long ago."""

from __future__ import annotations

from datetime import datetime

from assets import raw
from models.source import Source
from warehouse.base import Warehouse
from warehouse.query import render


def last_load(warehouse: Warehouse, source: str) -> datetime | None:
    """When a file of this source was loaded last; None when none was, or when it is read in place."""
    found = warehouse.rows(render(raw.SQL, "select_last_load", warehouse.dialect, files=raw.INGEST_FILE, source=source))
    return found[0]["loaded_at"] if found else None


def is_stale(source: Source, loaded_at: datetime | None, as_of: datetime) -> bool:
    """Whether `max_age` has passed since then; never, for a source without one."""
    if source.freshness is None:
        return False
    return loaded_at is None or as_of - loaded_at > source.freshness
