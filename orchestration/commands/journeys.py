"""Commands about journeys: publish, tick, and looking at them: journeys, why, backtest."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from typing import Annotated

import typer

from orchestration import clocks, console
from orchestration.commands.options import AsJson, AsOf, ShowPii
from orchestration.environment import settings


def register(app: typer.Typer) -> None:
    for command in (publish, tick, journeys, why, backtest):
        app.command()(command)


def publish(
    journey: Annotated[str, typer.Argument(metavar="JOURNEY", help="A file of dbt_project/journeys.")],
    *,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Record the journey as it is written: from now on people enter it. Nothing else starts one.

    Examples: `tailrace publish welcome` · `tailrace publish welcome --as-of 2026-11-24T09:00:00+00:00`
    """
    from orchestration import journeys as moving

    now = settings()
    version, is_new = moving.publish(now, journey, clocks.clock(now, as_of))
    existing = moving.existing(now, version) if is_new else None
    said = {"journey": version.name, "version": version.version, "published_at": version.published_at, "new": is_new}
    if as_json:
        console.print_json({**said, "existing": existing})
    else:
        what = "published" if is_new else "nothing changed; it is published"
        enter = f"; {existing:,} present members enter at the next tick" if existing is not None else ""
        console.out().print(f"{version.name}: {what} as version {version.version}{enter}", markup=False)


def tick(
    *,
    as_of: AsOf = None,
    send: Annotated[bool, typer.Option(help="Whether messages that may go are sent, too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Move every run of every published journey that is due, decide what is sent, and send it.

    Examples: `tailrace tick` · `tailrace tick --as-of 2026-11-24T09:00:00+00:00 --no-send`
    """
    from models.errors import NeedsPerson
    from orchestration import journey_reports, sending
    from orchestration import journeys as moving

    with console.progress(quiet=as_json) as tell:
        now = settings()
        done = moving.tick(now, clocks.clock(now, as_of), tell, sends=send)
    if as_json:
        console.print_json(journey_reports.ticked(done))
    else:
        journey_reports.print_ticked(done)
    raise typer.Exit(sending.exit_code(list(done.synced)) or (NeedsPerson.exit_code if done.needs_a_person else 0))


def journeys(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, drawn; default: all.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Every journey with its numbers; with NAME its steps as a tree, and the people at each of them now.

    Examples: `tailrace journeys` · `tailrace journeys cart_recovery`
    """
    from orchestration import journey_views

    now = settings()
    if name is None:
        journey_views.show_all(journey_views.summaries(now), as_json=as_json)
    else:
        journey_views.show_one(*journey_views.drawn(now, name), as_json=as_json)


def why(
    person: Annotated[str, typer.Argument(help="An e-mail address, a phone number, a user id, a profile id.")],
    journey: Annotated[str | None, typer.Argument(metavar="[JOURNEY]", help="Only this one; default: all.")] = None,
    *,
    show_pii: ShowPii = False,
    as_json: AsJson = False,
) -> None:
    """Every decision for and against one person, in order: entries, steps, waits, messages, consent, merges.

    Examples: `tailrace why ann@shop.example` · `tailrace why ann@shop.example cart_recovery --json`
    """
    from orchestration import why_report

    told = why_report.ask(settings(), person, journey, show_pii=show_pii)
    if as_json:
        console.print_json([line.document() for line in told.lines])
    else:
        why_report.print_told(told)


def backtest(
    journey: Annotated[str, typer.Argument(metavar="JOURNEY", help="A file of dbt_project/journeys, as it is now.")],
    *,
    start: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, in the project's zone.")],
    end: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day.")],
    as_json: AsJson = False,
) -> None:
    """What a journey would have done in the past, beside its published version. Writes nothing, sends nothing.

    Example: `tailrace backtest cart_recovery --from 2026-09-01 --to 2026-09-30`
    """
    from assets.journeys import backtest as past
    from orchestration import journey_reports

    first, last = clocks.day(start), clocks.day(end)
    with console.progress(quiet=as_json) as tell:
        now = settings()
        tell(f"running {journey} from {first} to {last}")
        done = past.backtest(now, journey, first, last)
    if as_json:
        console.print_json(done.document())
        journey_reports.print_notes(done, console.err())
    else:
        journey_reports.print_backtest(done)
