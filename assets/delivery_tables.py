"""What Python keeps of deliveries: logs that are one for all syncs, the columns of a ledger and a plan, and views.

Which ledger is a sync's, and how it is read, is in ledger.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from warehouse import batches, definitions
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
ROW_COLUMNS = {  # of a ledger and of the planned rows; the model's columns never begin with an underscore
    "_run_id": "varchar",
    "_row": "bigint",
    "_op": "varchar",
    "_profile_id": "varchar",
}
LEDGER_COLUMNS = {
    **ROW_COLUMNS,
    "_plan_id": "varchar",
    "_outcome": "varchar",
    "_reason": "varchar",
    "_provider_id": "varchar",
    "_attempt": "bigint",
    "_epoch": "bigint",
    "_seq": "bigint",
    "_recorded_at": "timestamptz",
    "_as_of": "timestamptz",
    "_dagster_run_id": "varchar",
    "_config": "varchar",
}
PLANNED_COLUMNS = {
    **ROW_COLUMNS,
    "_send_key": "varchar",
    "_contact": "varchar",
    "_expires_at": "timestamptz",  # of a journey's messages: from when they may not leave …
    "_quiet_at": "timestamptz",  # … and from when not until the quiet hours end
}
LOGS: Mapping[str, Mapping[str, str]] = {
    "tailrace.ledger": {
        "sync": "varchar",
        "destination": "varchar",
        "generation": "bigint",
        "relation": "varchar",
    },
    "tailrace.plan": {
        "plan_id": "varchar",
        "sync": "varchar",
        "as_of": "timestamptz",
        "planned_at": "timestamptz",
        "seal": "varchar",
        "document": "varchar",
    },
    "tailrace.first_plan": {  # message syncs: see assets/first_plans.py
        "sync": "varchar",
        "destination": "varchar",
        "entries_after": "timestamptz",
    },
    "tailrace.delivery_opened": {
        "run_id": "varchar",
        "plan_id": "varchar",
        "sync": "varchar",
        "destination": "varchar",
        "config": "varchar",
        "ledger": "varchar",
        "planned": "varchar",
        "identity": "varchar",
        "journal_id": "varchar",
        "epoch": "bigint",
        "row_count": "bigint",
        "as_of": "timestamptz",
        "opened_at": "timestamptz",
        "dagster_run_id": "varchar",
    },
    "tailrace.delivery_closed": {
        "run_id": "varchar",
        "closed_at": "timestamptz",
        "accepted": "bigint",
        "rejected": "bigint",
        "unknown": "bigint",
        "pending": "bigint",
        "withdrawn": "bigint",
        "stopped": "varchar",
    },
    "tailrace.unopened": {  # runs that opened no delivery; `reason`: why not, null when there was nothing to send
        "sync": "varchar",
        "how": "varchar",
        "reason": "varchar",
        "ended_at": "timestamptz",
    },
    "tailrace.deliveries": {
        "sync": "varchar",
        "destination": "varchar",
        "run_id": "varchar",
        "plan_id": "varchar",
        "spool_row": "bigint",
        "op": "varchar",
        "key": "varchar",
        "profile_id": "varchar",
        "outcome": "varchar",
        "reason": "varchar",
        "provider_id": "varchar",
        "attempt": "bigint",
        "epoch": "bigint",
        "seq": "bigint",
        "recorded_at": "timestamptz",
        "as_of": "timestamptz",
        "dagster_run_id": "varchar",
        "sink": "varchar",
    },
    "tailrace.settlement": {  # unknowns that the provider has told of since
        "sync": "varchar",
        "destination": "varchar",
        "key": "varchar",
        "epoch": "bigint",
        "seq": "bigint",
        "outcome": "varchar",
        "told": "varchar",
        "event_id": "varchar",
        "settled_at": "timestamptz",
    },
    "tailrace.message": {  # what a message was made of
        "send_key": "varchar",
        "sync": "varchar",
        "key": "varchar",
        "run_id": "varchar",
        "profile_id": "varchar",
        "journey": "varchar",
        "version": "varchar",
        "node": "varchar",
        "template": "varchar",
        "template_version": "varchar",
        "locale": "varchar",
        "channel": "varchar",
        "purpose": "varchar",
        "as_of": "timestamptz",
    },
    "tailrace.release": {
        "sync": "varchar",
        "destination": "varchar",
        "key": "varchar",
        "epoch": "bigint",
        "seq": "bigint",
        "released_at": "timestamptz",
    },
}
VIEWS = ("sync_runs", "rejects", "unknowns", "sync_troubles")


def prepare(warehouse: Warehouse) -> None:
    """Create the logs and the views that are the same for all syncs."""
    for name, columns in LOGS.items():
        batches.create_log(warehouse, name, columns)
    for view in VIEWS:
        definitions.create_view(warehouse, f"tailrace.{view}", render(SQL, view, warehouse.dialect))
