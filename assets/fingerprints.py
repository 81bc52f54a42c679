"""What each sync would send, as one text a sync that changes when it does: how a sensor knows which syncs are due.

What a vendor holds is not looked at: that is the plan's, and what waits there for another day is the nightly run's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from assets.audience import audience_of
from assets.journeys.messages import due
from models.errors import UserError
from models.policy import Policy
from models.sync import Sync
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
NOTHING_SETTLED = "select '' as entry_id where false"


def fingerprints(warehouse: Warehouse, policy: Policy, syncs: Iterable[Sync], as_of: datetime) -> dict[str, str]:
    """Sync → the fingerprint of its audience: keys, fields and consent, whatever the order of the rows.

    Of a journey's messages those that may go at `as_of`.

    A sync that cannot be planned (its model is not built, a column is not there) has none: planning it says why.
    """
    found: dict[str, str] = {}
    for sync in syncs:
        try:
            messages = due(warehouse, sync, policy, NOTHING_SETTLED, as_of) if sync.journey else None
            audience = audience_of(warehouse, sync, NOTHING_SETTLED, messages=messages)
        except UserError:
            continue
        dialect = warehouse.dialect
        columns = [dialect.hashable(dialect.quote(name), kind) for name, kind in audience.columns.items()]
        sql = render(SQL, "fingerprint_audience", dialect, audience=audience.sql, columns=columns)
        row = warehouse.rows(sql)[0]
        # keyed: a digest of few rows would tell a guess about them from another
        told = f"{policy.salt}|{','.join(audience.columns)}|{row['row_count']}|{row['digest']}"
        found[sync.name] = hashlib.sha256(told.encode()).hexdigest()[:16]
    return found
