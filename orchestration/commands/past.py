"""Commands that look at another time or another version: backfill and preview. Neither touches today's tables."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from orchestration import clocks, console
from orchestration.commands.options import AsJson, AsOf
from orchestration.environment import settings


class KnownBy(StrEnum):
    now = "now"
    day_end = "day-end"


class Table(StrEnum):
    segment_days = "segment_days"


def register(app: typer.Typer) -> None:
    app.command()(backfill)


def backfill(
    table: Annotated[Table, typer.Argument(help="What to fill.")] = Table.segment_days,
    *,
    start: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day; default: 30 days.")] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day; default: the last that is over.")
    ] = None,
    known_by: Annotated[
        KnownBy, typer.Option(help="now: with all that is loaded today; day-end: what each night could know.")
    ] = KnownBy.now,
    again: Annotated[bool, typer.Option("--again", help="Work out days anew that were worked out before.")] = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Work out who was in each segment at the end of each day. Killed, the same command goes on where it was.

    Examples: `tailrace backfill segment_days --from 2026-09-01 --to 2026-09-30` ·
    `tailrace backfill segment_days --known-by day-end`
    """
    from assets import past

    now = settings()
    clock = clocks.clock(now, as_of)
    last = clocks.day(end) if end else clocks.last_whole_day(now, clock)
    first = clocks.day(start) if start else last - timedelta(days=29)
    with console.progress(quiet=as_json) as tell:
        done = past.backfill(now, clock, first, last, known_by=known_by.value, again=again, on_progress=tell)
    if as_json:
        console.print_json(done)
    else:
        console.out().print(
            f"{table.value} from {first} to {last}: {done.days:,} days worked out, {done.skipped:,} were there, "
            f"{done.rows:,} rows"
        )
