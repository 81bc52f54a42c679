"""Commands about what leaves: plan, apply, sync, and the brakes pause, resume and release."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from typing import Annotated

import typer

from orchestration import clocks, console
from orchestration.commands.options import AsJson, AsOf, ShowPii
from orchestration.environment import settings

Names = Annotated[list[str] | None, typer.Argument(metavar="[SYNC]...", help="`<sink>/<model>`; default: all.")]
Scope = Annotated[
    str,
    typer.Argument(
        metavar="SYNC|journey:NAME|channel:NAME|all",
        help="A sync, `<sink>/<model>`; what a journey or a channel (`email`, `sms`) sends; or `all`.",
    ),
]


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


def apply(
    plan_id: Annotated[str, typer.Argument(metavar="PLAN_ID|journey:NAME")],
    *,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a plan, whatever its guards say; refused when anything it was made of has moved since.

    Of a journey: let in at its next tick those whom the last one held back, as they were too many at once.
    Examples: `tailrace apply 3f2a90c41b7e` · `tailrace apply journey:win_back`
    """
    from models.errors import UserError
    from orchestration import journeys, sending, sending_reports

    kind, is_of_kind, name = plan_id.partition(":")
    if is_of_kind and kind != "journey":
        message = f"'{plan_id}' cannot be applied; what can: PLAN_ID, as `tailrace plan` says it, or journey:NAME"
        raise UserError(message)
    if is_of_kind:
        now = settings()
        entries = journeys.approve(now, name, clocks.clock(now, as_of))
        if as_json:
            console.print_json({"journey": name, "entries": entries})
        else:
            console.out().print(f"{name}: {entries:,} people may enter at the next tick", markup=False)
        return

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


def pause(scope: Scope, *, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Hold a sync, a journey's messages, a channel, or everything, before its next request. What has left has left.

    People go on through a paused journey; its messages wait, keep their expiry and are decided when it is resumed.
    Examples: `tailrace pause all` · `tailrace pause crm/seg_lapsed` · `tailrace pause journey:welcome`
    """
    from orchestration import brakes

    now = settings()
    _say(brakes.pause(now, scope, clocks.clock(now, as_of).as_of), as_json=as_json)


def resume(scope: Scope, *, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Let what was paused go on.

    Examples: `tailrace resume all` · `tailrace resume crm/seg_lapsed` · `tailrace resume channel:sms`
    """
    from orchestration import brakes

    now = settings()
    _say(brakes.resume(now, scope, clocks.clock(now, as_of).as_of), as_json=as_json)


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
