"""Commands about what leaves: plan, apply, sync, and the brakes pause, resume and release."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from orchestration import clocks, console
from orchestration.commands.options import AsJson, AsOf, ShowPii
from orchestration.environment import settings

Names = Annotated[list[str] | None, typer.Argument(metavar="[SYNC]...", help="`<sink>/<model>`; default: all.")]
Scope = Annotated[str, typer.Argument(metavar="SYNC|all", help="A sync, `<sink>/<model>`, or `all`.")]


def register(app: typer.Typer) -> None:
    for command in (plan, apply, sync, pause, resume, release):
        app.command()(command)


def plan(
    *,
    sync: Annotated[str | None, typer.Argument(metavar="[SYNC]", help="`<sink>/<model>`; default: all.")] = None,
    as_of: AsOf = None,
    show_pii: ShowPii = False,
    as_json: AsJson = False,
) -> None:
    """What would be sent now, exactly, and whether the guards would let it; nothing is sent.

    Examples: `tailrace plan` · `tailrace plan crm/seg_lapsed --json`
    """
    from orchestration import sending, sending_reports

    with console.progress(quiet=as_json) as tell:
        now = settings()
        plans = sending.plan(now, clocks.clock(now, as_of), sync, show_pii=show_pii, tell=tell)
    if as_json:
        documents = [sending_reports.document(one) for one in plans]
        console.print_json(documents if sync is None else documents[0])
    else:
        sending_reports.print_plans(plans)


def apply(plan_id: Annotated[str, typer.Argument(metavar="PLAN_ID")], *, as_json: AsJson = False) -> None:
    """Carry out a plan, whatever its guards say; refused when anything it was made of has moved since.

    Example: `tailrace apply 3f2a90c41b7e`
    """
    from orchestration import sending, sending_reports

    with console.progress(quiet=as_json) as tell:
        result = sending.apply(settings(), plan_id, tell)
    sending_reports.say([result], as_json=as_json)
    raise typer.Exit(sending.exit_code([result]))


def sync(*, names: Names = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Plan each sync and carry the plan out where its guards pass.

    Examples: `tailrace sync` · `tailrace sync crm/seg_lapsed --as-of 2026-11-24`
    """
    from orchestration import sending, sending_reports

    with console.progress(quiet=as_json) as tell:
        now = settings()
        results = sending.sync(now, clocks.clock(now, as_of), names or None, tell)
    sending_reports.say(results, as_json=as_json)
    raise typer.Exit(sending.exit_code(results))


def pause(scope: Scope, *, as_json: AsJson = False) -> None:
    """Hold a sync, or all of them, before its next request. What has left has left.

    Examples: `tailrace pause all` · `tailrace pause crm/seg_lapsed`
    """
    from orchestration import brakes

    _say(brakes.pause(settings(), scope, datetime.now(UTC)), as_json=as_json)


def resume(scope: Scope, *, as_json: AsJson = False) -> None:
    """Let a paused sync, or all of them, go on.

    Examples: `tailrace resume all` · `tailrace resume crm/seg_lapsed`
    """
    from orchestration import brakes

    _say(brakes.resume(settings(), scope), as_json=as_json)


def release(
    sync: Annotated[str, typer.Argument(metavar="SYNC", help="`<sink>/<model>`")],
    *,
    key: Annotated[str | None, typer.Option(help="Only this row, as `rejects` and `unknowns` name it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let what a sync holds, rejected or of unknown outcome, be planned again.

    Examples: `tailrace release crm/seg_lapsed` · `tailrace release hook/seg_cart_abandoned --key 4c1f`
    """
    from orchestration import sending

    count = sending.release(settings(), sync, key)
    if as_json:
        console.print_json({"sync": sync, "released": count})
    else:
        console.out().print(f"{sync}: {count:,} rows will be planned again")


def _say(paused: list[str], *, as_json: bool) -> None:
    if as_json:
        console.print_json({"paused": paused})
    else:
        console.out().print(f"paused: {', '.join(paused) or 'nothing'}")
