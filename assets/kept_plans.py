"""Plans that are kept for `tailrace apply`, and how people and programs read one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from models.delivery import Plan
from models.errors import UserError
from warehouse import batches
from warehouse.base import Warehouse


def store(warehouse: Warehouse, plan: Plan, at: datetime) -> None:
    """Keep the plan for `tailrace apply`; the same plan again is nothing."""
    row = {
        "plan_id": plan.plan_id,
        "sync": plan.sync,
        "as_of": plan.as_of,
        "planned_at": at,
        "seal": plan.seal,
        "document": json.dumps(document(plan), default=str),
    }
    batches.append_once(warehouse, f"plan/{plan.plan_id}", "tailrace.plan", row, at)


def stored(warehouse: Warehouse, plan_id: str) -> Mapping[str, Any]:
    """The kept plan: sync, as_of, planned_at, seal. Raises UserError when there is none of this id."""
    literal = warehouse.dialect.literal
    found = warehouse.rows(
        f"select plan_id, sync, as_of, planned_at, seal, document from tailrace.plan where plan_id = {literal(plan_id)}"
    )
    if not found:
        message = f"no plan '{plan_id}'; `tailrace plan` makes one and says its id"
        raise UserError(message)
    return found[0]


def document(plan: Plan) -> dict[str, Any]:
    """A plan as people and programs read it."""
    return {
        "plan_id": plan.plan_id,
        "sync": plan.sync,
        "as_of": plan.as_of.isoformat(),
        "upsert": plan.upsert,
        "remove": plan.remove,
        "send": plan.send,
        "held": dict(plan.held),
        "guards": [asdict(guard) for guard in plan.guards],
        "audience": plan.audience,
        "changes": dict(plan.changes),
        "new_columns": list(plan.new_columns),
        "sample": [dict(row) for row in plan.sample],
    }
