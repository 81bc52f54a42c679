"""Writes many small batches as one: a tick every five minutes leaves a hundred thousand of them a year.

Only in logs whose batches nobody names later: not the raw rows, whose ids have the batch in them, nor what is replaced
by its name (ledgers, planned rows, days worked out anew).
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from assets import builds, delivery_tables, identity, segments, suppressions
from assets.journeys import tables
from assets.messages import versions
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.query import render

LOGS = frozenset(
    {
        *(segments.HISTORY, segments.EVALUATIONS, identity.HISTORY, identity.RUNS, identity.PHONES),
        *(builds.BUILDS, builds.MODELS, builds.DEFINITIONS, versions.RELATION),
        *(suppressions.COPIED, suppressions.TOLD),
        *delivery_tables.LOGS,
        *tables.LOGS,
    }
)
SQL = Path(__file__).parent / "sql"
MERGED = "merged/"  # how ids begin of what this writes
MANY, AT_ONCE = 100, 5_000  # batches: fewer are left as they are; as many as one statement may list
SMALL_ROWS, PART_ROWS = 100_000, 1_000_000  # of a batch that is written again, and of those written as one


def merge(warehouse: Warehouse, at: datetime) -> int:
    """Write the smallest batches as one, which replaces them; how many, 0 where few. Killed, nobody sees it."""
    found = _small(warehouse)
    if not found:
        return 0
    ids = sorted(found)
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    batch = batches.Batch(warehouse, f"{MERGED}{digest[:32]}", ids)
    listed = ", ".join(map(warehouse.dialect.literal, ids))
    for log in sorted({log for logs in found.values() for log in logs}):
        columns = [name for name in warehouse.columns(log + batches.LOG_SUFFIX) if name != "batch_id"]
        selected = ", ".join(map(warehouse.dialect.quote, columns))
        batch.append(log, f"select {selected} from {log}{batches.LOG_SUFFIX} where batch_id in ({listed})")
    batch.commit(at)
    return len(ids)


def forget_killed(warehouse: Warehouse) -> None:
    """Free what merges left that were killed: the next one may be of other batches, and have another id."""
    for log in LOGS & {*batches.logs(warehouse)}:
        sql = render(SQL, "list_invisible_batches", warehouse.dialect, log=log + batches.LOG_SUFFIX)
        left = [str(row["batch_id"]) for row in warehouse.rows(sql)]
        batches.discard(warehouse, log, [batch_id for batch_id in left if batch_id.startswith(MERGED)])


def _small(warehouse: Warehouse) -> dict[str, frozenset[str]]:
    """The smallest batches that may be merged → the logs of each; as many as make a part, none where all are few."""
    rows = warehouse.rows(
        f"select batch_id, tables, row_count from {batches.SCHEMA}.batch where row_count < {SMALL_ROWS} "
        f"and batch_id in (select batch_id from {batches.SCHEMA}.visible_batch) order by row_count, batch_id"
    )
    found = [(row, logs) for row in rows if (logs := frozenset(str(row["tables"]).split(","))) <= LOGS]
    if len(found) < MANY:
        return {}
    total = accumulate(int(row["row_count"]) for row, _ in found)
    part = [each for each, sum_ in zip(found, total, strict=True) if sum_ <= PART_ROWS][:AT_ONCE]
    return {str(row["batch_id"]): logs for row, logs in part}
