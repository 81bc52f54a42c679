"""Commands that look at another time or another version: backfill and preview. Neither touches today's tables."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from orchestration import clocks, console
from orchestration.commands.options import AsJson, AsOf, ShowPii
from orchestration.environment import settings


class KnownBy(StrEnum):
    now = "now"
    day_end = "day-end"


class Table(StrEnum):
    segment_days = "segment_days"


def register(app: typer.Typer) -> None:
    for command in (preview, backfill):
        app.command()(command)


def preview(
    segment: Annotated[str, typer.Argument(help="A model of dbt_project/models/segments, as it is in your files now.")],
    *,
    as_of: AsOf = None,
    show_pii: ShowPii = False,
    as_json: AsJson = False,
) -> None:
    """What a segment of the working copy would be: size, who enters and leaves, what is below it. Writes nothing.

    Without `--as-of` the clock is that of the last refresh. Example: `tailrace preview seg_lapsed`
    """
    from assets import preview as previewing
    from orchestration import preview_report

    with console.progress(quiet=as_json) as tell:
        now = settings()
        tell(f"compiling {segment}")
        clock = clocks.clock(now, as_of) if as_of else None
        found = previewing.preview(now, clock, segment, show_pii=show_pii)
    if as_json:
        console.print_json(preview_report.document(found))
    else:
        preview_report.print_preview(found)


def backfill(
    table: Annotated[Table, typer.Argument(help="What to fill.")] = Table.segment_days,
    *,
    start: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day; default: 30 days.")] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day; default: the last whole one.")
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
