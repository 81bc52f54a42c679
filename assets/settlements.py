"""Settles what is unknown by what the provider told since: the gateway landed it, staging read it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from warehouse.base import Warehouse
from warehouse.batches import Batch
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
LOG = "tailrace.settlement"
SETTLED = "settled_unknown"  # the temporary table with what is settled now


def settle(warehouse: Warehouse, events: str, at: datetime) -> int:
    """Append a settlement for each message of unknown outcome that an event is about; how many. Again is nothing.

    `events`: the relation with what has happened by now.
    """
    query = render(SQL, "settled_unknowns", warehouse.dialect, events=events, at=at)
    warehouse.create_temporary(SETTLED, query)  # folds beside this may add more
    digest = warehouse.dialect.digest(warehouse.dialect.row_hash(["key"]))
    found = warehouse.rows(f"select count(*) as n, {digest} as digest from {SETTLED}")[0]
    if int(found["n"]):
        batch = Batch(warehouse, f"settlements/{found['n']}-{found['digest']}-{at.isoformat()}")
        batch.append(LOG, f"select * from {SETTLED}")
        batch.commit(at)
    warehouse.drop_temporary(SETTLED)
    return int(found["n"])
