"""The history of what journeys read of people: their zone, contact points, dates and consent, as of each refresh.

A wait that began on Monday ends by Monday's zone, and a message of Monday is judged by Monday's consent, whenever the
tick comes: the tables of today cannot say.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from assets.journeys import tables
from models.clock import Clock
from models.zones import zones
from warehouse.base import Warehouse
from warehouse.batches import Batch
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"


def record(warehouse: Warehouse, clock: Clock, dates: Collection[str], *, schema: str = "main") -> bool:
    """Append what changed since the last record; an `as_of` not later than it appends nothing and is False.

    `dates`: the columns of profiles that journeys wait for. Profiles and consent are built as of the clock.
    """
    last = through(warehouse)
    if last is not None and clock.as_of <= last.as_of:
        return False
    known = pa.table({"name": sorted(zones())})
    batch = Batch(warehouse, f"people/{clock.as_of.isoformat()}")
    with warehouse.lend("known_zone", known):
        batch.append(tables.PROFILES, _render(warehouse, "record_profiles", clock, schema, dates))
    batch.append(tables.CONSENT, _render(warehouse, "record_consent", clock, schema, dates))
    literal = warehouse.dialect.literal
    batch.append(tables.PEOPLE, f"select {literal(clock.as_of)} as as_of, {literal(clock.known_by)} as known_by")
    batch.commit(clock.known_by)
    return True


def through(warehouse: Warehouse, relation: str = tables.PEOPLE) -> Clock | None:
    """Until when events, people and consent are complete: the clock of the last record."""
    found = warehouse.rows(f"select as_of, known_by from {relation} order by as_of desc limit 1")
    return Clock(found[0]["as_of"], found[0]["known_by"]) if found else None


def _render(warehouse: Warehouse, name: str, clock: Clock, schema: str, dates: Collection[str]) -> str:
    dialect = warehouse.dialect
    columns = {date: f"cast(profiles.{dialect.quote(date)} as {dialect.text})" for date in sorted(dates)}
    return render(SQL, f"journeys/{name}", dialect, clock=clock, schema=schema, dates=dialect.json_object(columns))
