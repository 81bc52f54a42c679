"""Keeps ledgers small: a batch that replaces the ones it read, one row an identity and what is unresolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from assets import ledger as ledgers
from assets.delivery_tables import LEDGER_COLUMNS
from assets.ledger import Ledger
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
TAIL_SHARE = 0.10  # rows beyond one an identity, past which reading costs more than writing once
TAIL_ROWS = 10_000
MANY_BATCHES = 200


def compact(warehouse: Warehouse, ledger: Ledger, slug: str, at: datetime) -> bool:
    """Write the ledger as one batch where it pays; whether it did. No run of the sync may be open."""
    read = _visible(warehouse, ledger)
    if len(read) <= 1 or not _pays(warehouse, ledger, len(read)):
        return False
    kinds = _kinds(warehouse, ledger)
    epoch, seq = ledgers.position(warehouse, ledger)
    query = _query(warehouse, ledger, kinds, [*LEDGER_COLUMNS, *kinds])
    if len(ledger.relations) > 1 and warehouse.rows(
        f"select 1 as found from ({_query(warehouse, ledger, kinds, ['_uncast'])}) as kept where _uncast limit 1"
    ):
        return False  # a value of an older generation that today's type does not have: it must stay readable
    batch = batches.Batch(warehouse, f"compact/{slug}/{epoch}.{seq}", replaces=read)
    batch.append(ledger.newest, query)
    return batch.commit(at)


def _query(warehouse: Warehouse, ledger: Ledger, kinds: Mapping[str, str], columns: Sequence[str]) -> str:
    return render(
        SQL,
        "compact",
        warehouse.dialect,
        ledger=ledgers.rows_sql(warehouse, ledger, kinds),
        columns=columns,
        identity=ledger.identity,
    )


def _visible(warehouse: Warehouse, ledger: Ledger) -> list[str]:
    rows = " union ".join(f"select distinct batch_id from {relation}" for relation in ledger.relations)
    return sorted(str(row["batch_id"]) for row in warehouse.rows(rows))


def _pays(warehouse: Warehouse, ledger: Ledger, read: int) -> bool:
    if read > MANY_BATCHES or len(ledger.relations) > 1:
        return True
    hashed = warehouse.dialect.row_hash([warehouse.dialect.quote(name) for name in ledger.identity])
    found = warehouse.rows(f"select count(*) as n, count(distinct {hashed}) as identities from {ledger.newest}")[0]
    tail = int(found["n"]) - int(found["identities"])
    return tail > max(TAIL_ROWS, TAIL_SHARE * int(found["identities"]))


def _kinds(warehouse: Warehouse, ledger: Ledger) -> Mapping[str, str]:
    columns = warehouse.columns(ledger.newest)
    return {name: kind for name, kind in columns.items() if name not in {*LEDGER_COLUMNS, "batch_id"}}
