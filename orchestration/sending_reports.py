"""Plans and deliveries, as a person reads them and as a program does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assets.kept_plans import document
from assets.sync_run import SyncResult
from models.delivery import Plan
from orchestration import console

__all__ = ["document", "print_plans", "say"]


def print_plans(plans: Sequence[Plan]) -> None:
    """A line a plan; of a single one also what it holds back, its guards and a sample."""
    screen = console.out()
    screen.print(console.table([_row(plan) for plan in plans]) if plans else "no sync is declared")
    if len(plans) == 1:
        _print_sample(plans[0])
    for plan in plans:
        for guard in plan.guards:
            if not guard.ok:
                screen.print(f"{plan.sync}: {guard.name}: {guard.detail}", markup=False, style="yellow")
                screen.print(f"  to do it anyway: tailrace apply {plan.plan_id}", markup=False)


def say(results: Sequence[SyncResult], *, as_json: bool) -> None:
    """What each sync did."""
    if as_json:
        console.print_json([_result(result) for result in results])
        return
    screen = console.out()
    rows = [_line(result) for result in results]
    screen.print(console.table(rows) if rows else "no sync is declared")
    for result in results:
        if reason := str(result.error or result.stopped or ""):
            told = reason.removeprefix(f"{result.sync}: ")  # errors name the sync themselves
            screen.print(f"{result.sync}: {told}", markup=False, style="yellow")
        for name, why in result.refused.items():
            screen.print(f"{result.sync}: went on without {name}: {why}", markup=False, style="yellow")


def _row(plan: Plan) -> dict[str, Any]:
    guards = [guard.name for guard in plan.guards if not guard.ok]
    return {
        "sync": plan.sync,
        "plan": plan.plan_id,
        "audience": plan.audience,
        "upsert": plan.upsert,
        "remove": plan.remove,
        "send": plan.send,
        "held": sum(plan.held.values()),
        "guards": ", ".join(guards) or "pass",
    }


def _print_sample(plan: Plan) -> None:
    screen = console.out()
    held = {name: count for name, count in plan.held.items() if count}
    if held:
        screen.print(f"held: {console.cell(held)}")
    if plan.changes:
        screen.print(f"changed: {console.cell(plan.changes)}")
    rows = [
        {"op": row.get("op"), "why": row.get("why"), "key": _text(row.get("key")), "row": _text(row.get("after"))}
        for row in plan.sample
    ]
    if rows:
        screen.print(console.table(rows, title="examples"))


def _text(values: Any) -> str | None:
    if not isinstance(values, Mapping):
        return None
    return ", ".join(f"{name}={value}" for name, value in values.items() if value is not None)


def _line(result: SyncResult) -> dict[str, Any]:
    plan = result.plan
    ended = "refused" if result.error and result.error.exit_code == 3 else "failed" if result.error else "done"  # noqa: PLR2004
    return {
        "sync": result.sync,
        "audience": plan.audience if plan else None,
        "planned": plan.operations if plan else None,
        **{name: result.counts.get(name, 0) for name in ("accepted", "rejected", "unknown")},
        "not sent": result.unsent,
        "ended": "stopped" if result.stopped else ended,
    }


def _result(result: SyncResult) -> dict[str, Any]:
    plan, error = result.plan, result.error
    return {
        "sync": result.sync,
        "run_id": result.run_id,
        "plan_id": plan.plan_id if plan else None,
        "as_of": plan.as_of if plan else None,
        **({"upsert": plan.upsert, "remove": plan.remove, "send": plan.send} if plan else {}),
        "counts": result.counts,
        "unsent": result.unsent,
        "stopped": result.stopped,
        "refused": dict(result.refused),
        "error": {"kind": type(error).__name__, "message": str(error)} if error else None,
    }
