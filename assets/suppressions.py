"""Copies who said no into the journal, so that the last decision before a request knows it (sinks/writer.py)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from assets.opening import contact_hash
from assets.raw import INGEST_FILE
from sinks.journal import SUPPRESSED_AT_ONCE, Journal
from sinks.suppression import position_told
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
COPIED = "tailrace.suppression_copied"  # to where a journal's list went when the warehouse last knew all of it
TOLD = "tailrace.suppression_told"  # what was copied
NEW = "new_suppressions"  # the temporary table with what is copied now


def copy_suppressions(
    warehouse: Warehouse,
    journal: Journal,
    salt: str,
    at: datetime,
    consent: str = "consent",
    known: int | None = None,
) -> int:
    """Add everyone whom `consent` refuses to the journal's list; the number of new ones. The end of every refresh.

    A journal is told once of each, unless it is another than before. `known`: to where of the list `consent` knows what
    the gateway wrote; default: its end, for where there is no gateway.
    """
    _prepare(warehouse)
    journal_id = journal.id
    query = render(
        SQL,
        "suppressions",
        warehouse.dialect,
        consent=consent,
        contact=contact_hash(warehouse, salt, warehouse.dialect.normalized("consent.contact_point")),
        copied=TOLD,
        journal_id=journal_id,
    )
    warehouse.create_temporary(NEW, query)
    new = warehouse.stream(f"select contact, purpose, suppressed_at from {NEW}", batch_rows=SUPPRESSED_AT_ONCE)
    added = journal.suppress(_rows(new))
    end = journal.suppression_position()
    position = end if known is None else known
    batch = batches.Batch(warehouse, f"suppressions/{journal_id}/{end}/{position}")
    literal = warehouse.dialect.literal(journal_id)
    batch.append(TOLD, f"select {literal} as journal_id, contact, purpose, suppressed_at from {NEW}")
    batch.append(COPIED, f"select {literal} as journal_id, cast({position} as bigint) as position")
    batch.commit(at)
    warehouse.drop_temporary(NEW)
    return added


def position_known(warehouse: Warehouse, journal: Journal) -> int:
    """Where the journal's list ended when the warehouse last knew all of it: a plan has taken that into account."""
    _prepare(warehouse)
    literal = warehouse.dialect.literal
    found = warehouse.rows(f"select max(position) as position from {COPIED} where journal_id = {literal(journal.id)}")
    return int(found[0]["position"] or 0)


def known_position(warehouse: Warehouse, journal: Journal, folder: Path, known_by: datetime) -> int:
    """To where of the journal's list the gateway's lines are among what had arrived by `known_by`.

    `folder`: where the gateway lands. What it wrote since a claim has to look up, also if the refresh was under way.
    """
    end = journal.suppression_position()
    literal = warehouse.dialect.literal(known_by)
    loaded = warehouse.rows(f"select file from {INGEST_FILE} where loaded_at <= {literal}")
    return position_told(folder, {str(row["file"]).rpartition("/")[2] for row in loaded}, end)


def _rows(reader: pa.RecordBatchReader) -> Iterator[tuple[str, str, datetime]]:
    for batch in reader:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _prepare(warehouse: Warehouse) -> None:
    batches.create_log(warehouse, COPIED, {"journal_id": "varchar", "position": "bigint"})
    columns = {"journal_id": "varchar", "contact": "varchar", "purpose": "varchar", "suppressed_at": "timestamptz"}
    batches.create_log(warehouse, TOLD, columns)
