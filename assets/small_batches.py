"""Writes many small batches as one: a tick every five minutes leaves a hundred thousand of them a year.

Only in logs whose batches nobody names later: not the raw rows, whose ids have the batch in them, nor what is replaced
by its name (ledgers, planned rows, days worked out anew).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from assets import builds, delivery_tables, identity, segments, suppressions
from assets.journeys import tables
from assets.messages import versions
from warehouse import batches
from warehouse.base import Warehouse

LOGS = frozenset(
    {
        *(segments.HISTORY, segments.EVALUATIONS, identity.HISTORY, identity.RUNS, identity.PHONES),
        *(builds.BUILDS, builds.MODELS, builds.DEFINITIONS, versions.RELATION),
        *(suppressions.COPIED, suppressions.TOLD),
        *delivery_tables.LOGS,
        *tables.LOGS,
    }
)
MANY, AT_ONCE = 100, 5_000  # batches: fewer are left as they are; as many as one statement may list
SMALL_ROWS, PART_ROWS = 100_000, 1_000_000  # of a batch that is written again, and of those written as one


def merge(warehouse: Warehouse, at: datetime) -> int:
    """Write the smallest batches as one, which replaces them; how many, 0 where they are few.

    Killed, it leaves nothing that is seen, and the same again replaces it.
    """
    found = _small(warehouse)
    if len(found) < MANY:
        return 0
    ids = sorted(found)
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    batch = batches.Batch(warehouse, f"merged/{digest[:32]}", ids)
    listed = ", ".join(map(warehouse.dialect.literal, ids))
    for log in sorted({log for logs in found.values() for log in logs}):
        columns = [name for name in warehouse.columns(log + batches.LOG_SUFFIX) if name != "batch_id"]
        selected = ", ".join(map(warehouse.dialect.quote, columns))
        batch.append(log, f"select {selected} from {log}{batches.LOG_SUFFIX} where batch_id in ({listed})")
    batch.commit(at)
    return len(ids)


def _small(warehouse: Warehouse) -> dict[str, frozenset[str]]:
    """The smallest batches that may be merged, as many as make one part → the logs in which each has rows."""
    found: dict[str, frozenset[str]] = {}
    rows = 0
    for row in warehouse.rows(
        f"select batch_id, tables, row_count from {batches.SCHEMA}.batch where row_count < {SMALL_ROWS} "
        f"and batch_id in (select batch_id from {batches.SCHEMA}.visible_batch) order by row_count, batch_id"
    ):
        logs = frozenset(str(row["tables"]).split(","))
        if logs <= LOGS:
            found[str(row["batch_id"])] = logs
            rows += int(row["row_count"])
        if rows >= PART_ROWS or len(found) == AT_ONCE:
            break
    return found
