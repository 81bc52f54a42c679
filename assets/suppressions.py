"""Copies who said no into the journal, so that the last decision before a request knows it (sinks/writer.py)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from assets.opening import contact_hash
from sinks.journal import Journal
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
COPIED = "tailrace.suppression_copied"


def copy_suppressions(warehouse: Warehouse, journal: Journal, salt: str, at: datetime, consent: str = "consent") -> int:
    """Add everyone whom `consent` refuses to the journal's list; the number of new ones. The end of every refresh."""
    query = render(
        SQL,
        "suppressions",
        warehouse.dialect,
        consent=consent,
        contact=contact_hash(warehouse, salt, "lower(trim(consent.contact_point))"),
    )
    added = journal.suppress((row["contact"], row["purpose"], row["suppressed_at"]) for row in warehouse.rows(query))
    _prepare(warehouse)
    position = journal.suppression_position()
    batch = batches.Batch(warehouse, f"suppressions/{journal.id}/{position}")
    literal = warehouse.dialect.literal
    batch.append(COPIED, f"select {literal(journal.id)} as journal_id, cast({position} as bigint) as position")
    batch.commit(at)
    return added


def position_known(warehouse: Warehouse, journal: Journal) -> int:
    """Where the journal's list ended when the warehouse last knew all of it: a plan has taken that into account."""
    _prepare(warehouse)
    literal = warehouse.dialect.literal
    found = warehouse.rows(f"select max(position) as position from {COPIED} where journal_id = {literal(journal.id)}")
    return int(found[0]["position"] or 0)


def _prepare(warehouse: Warehouse) -> None:
    batches.create_log(warehouse, COPIED, {"journal_id": "varchar", "position": "bigint"})
