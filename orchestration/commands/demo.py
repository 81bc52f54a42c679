"""The command that shows the whole loop on a made-up shop."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from typing import Annotated

import typer

from orchestration import console
from orchestration.commands.options import AsJson
from orchestration.environment import settings


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    *,
    people: Annotated[int, typer.Option(min=1, help="How many people the shop knows.")] = 2_000,
    days: Annotated[int, typer.Option(min=2, help="How many days of them.")] = 30,
    nights: Annotated[int | None, typer.Option(min=2, help="How many of the last are run; default: all.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes another shop.")] = 7,
    as_json: AsJson = False,
) -> None:
    """The whole loop on a made-up shop: events in, segments, syncs out, outcomes back. Run it again: nothing is sent.

    Examples: `tailrace demo` · `tailrace demo --people 1000000 --nights 2`
    """
    from orchestration import demo_report, demonstration, sending

    with console.progress(quiet=as_json) as tell:
        shop, ran = demonstration.run(settings(), people=people, days=days, seed=seed, tell=tell, nights=nights)
    if as_json:
        console.print_json(demonstration.document(shop, ran))
    else:
        demo_report.print_demo(shop, ran)
    raise typer.Exit(sending.exit_code([result for day in ran for result in (*day.noon, *day.synced)]))
