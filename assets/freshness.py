"""When a source last brought something, and whether that is too long ago."""

from __future__ import annotations

from datetime import datetime

from assets import raw
from assets.dbt_project import LIVE
from models.source import Source, TableSource
from warehouse.base import Warehouse
from warehouse.query import render

EVENTS = f"{LIVE}.stg_events"


def last_load(warehouse: Warehouse, name: str, source: Source) -> datetime | None:
    """When a file of this source was loaded last or, where it is read in place, a row of it became known.

    None when it never brought anything.
    """
    if isinstance(source, TableSource):
        return last_known(warehouse, name, EVENTS)
    if not warehouse.columns(raw.INGEST_FILE):
        return None
    found = warehouse.rows(render(raw.SQL, "select_last_load", warehouse.dialect, files=raw.INGEST_FILE, source=name))
    return found[0]["loaded_at"] if found else None


def last_known(warehouse: Warehouse, name: str, events: str) -> datetime | None:
    """When an event of this source became known last. `events`: the relation of staged events, or its copy."""
    if not warehouse.columns(events):
        return None
    found = warehouse.rows(render(raw.SQL, "select_last_known", warehouse.dialect, events=events, source=name))
    return found[0]["known_at"] if found else None


def is_stale(source: Source, loaded_at: datetime | None, as_of: datetime) -> bool:
    """Whether `max_age` has passed since then; never, for a source without one."""
    if source.freshness is None:
        return False
    return loaded_at is None or as_of - loaded_at > source.freshness
