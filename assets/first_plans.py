"""When a message sync was first planned: who entered before is not its concern. Kept once, for good."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from models.sync import Sync
from warehouse.base import Warehouse
from warehouse.batches import append_once, is_committed
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
FIRST_PLANS = "tailrace.first_plan"


def entries_after(warehouse: Warehouse, sync: Sync, destination: str, at: datetime) -> datetime | None:
    """The moment after which people must have entered to be sent a message; None where all may have.

    It is decided at the first call, of which `at` is the real time.
    """
    literal = warehouse.dialect.literal
    batch_id = f"first_plan/{sync.slug}/{destination}"
    if not is_committed(warehouse, batch_id):
        names = {"segment": sync.model, "sync": sync.name, "destination": destination}
        append_once(warehouse, batch_id, FIRST_PLANS, render(SQL, "entries_after", warehouse.dialect, **names), at)
    found = warehouse.rows(
        f"select entries_after from {FIRST_PLANS} where sync = {literal(sync.name)} "
        f"and destination = {literal(destination)}"
    )
    after: datetime | None = found[0]["entries_after"]
    return after
