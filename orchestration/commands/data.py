"""Commands that bring data forward: ingest, refresh; sql and compare, which look at it; and move, to another engine."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from typing import Annotated

import typer

from orchestration import clocks, console, reports
from orchestration.commands.options import AsJson, AsOf
from orchestration.environment import settings


def register(app: typer.Typer) -> None:
    app.command()(ingest)
    app.command()(refresh)
    app.command()(sql)
    app.command()(compare)
    app.command()(move)


def ingest(
    *,
    source: Annotated[list[str] | None, typer.Argument(help="Sources of sources.yml; default: all.")] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Load what is new in the landing folders; each file exactly once.

    Examples: `tailrace ingest` · `tailrace ingest shop --as-of 2026-11-24`
    """
    from assets import ingest as ingesting

    with console.progress(quiet=as_json) as tell:
        now = settings()
        loaded = ingesting.ingest(now, clocks.clock(now, as_of), source or None, tell)
    if as_json:
        console.print_json(loaded)
    else:
        reports.print_ingested(loaded)
    raise typer.Exit(code=int(any(result.needs_a_person for result in loaded)))


def refresh(*, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Load what landed, rebuild profiles and segments, keep who entered and left, and publish.

    Examples: `tailrace refresh` · `tailrace refresh --as-of 2026-11-24`
    """
    from assets import refresh as refreshing

    with console.progress(quiet=as_json) as tell:
        now = settings()
        done = refreshing.refresh(now, clocks.clock(now, as_of), tell)
    if as_json:
        console.print_json(reports.refreshed(done))
    else:
        reports.print_refreshed(done)
    raise typer.Exit(code=int(not done.ok))


def sql(query: Annotated[str, typer.Argument(help="One statement.")], *, as_json: AsJson = False) -> None:
    """Ask the published copy a question; it is opened read-only and never waits for a run.

    Examples: `tailrace sql "select count(*) as people from profiles"` ·
    `tailrace sql "select * from seg_lapsed limit 5" --json`
    """
    from assets import store

    with store.reading(settings()) as warehouse:
        rows = warehouse.rows(query)
    if as_json:
        console.print_json(rows)
        return
    screen = console.out()
    for shown in console.fitting(rows, screen) if rows else ["no rows"]:
        screen.print(shown)


def compare(
    first: Annotated[
        str, typer.Argument(help="A warehouse: duckdb:///path, postgresql://user@host/database or sc://host:15002.")
    ],
    second: Annotated[str, typer.Argument(help="Another.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Compare what two warehouses publish, row by row, on whatever engines; columns that are volatile are left out.

    Exit code 1 where anything differs. Example:
    `tailrace compare duckdb:///data/warehouse.duckdb postgresql://tailrace@db/marketing`
    """
    from orchestration import comparing

    with console.progress(quiet=as_json) as tell:
        tables = comparing.compare(settings(), first, second, tell)
    differing = [each for each in tables if not each.is_same]
    if as_json:
        console.print_json(comparing.document(tables))
    elif differing:
        console.out().print(console.table(comparing.document(differing)["tables"], title="tables that differ"))
    else:
        rows = sum(each.rows_a or 0 for each in tables)
        console.out().print(f"the same: {len(tables)} tables, {rows:,} rows")
    raise typer.Exit(code=int(bool(differing)))


def move(
    *,
    to: Annotated[
        str, typer.Option(metavar="URL", help="postgresql://user@host/database, sc://host:15002 or duckdb:///path.")
    ],
    as_json: AsJson = False,
) -> None:
    """Copy this target's warehouse to another engine, then compare both; stopped anywhere, the same command goes on.

    Nothing of the old one changes. What is built is not copied: set TAILRACE_WAREHOUSE to the URL, then refresh.
    Exit code 1 where anything differs. Example: `tailrace move --to postgresql://tailrace@db/marketing`
    """
    from orchestration import moving

    with console.progress(quiet=as_json) as tell:
        moved = moving.move(settings(), to, tell)
    if as_json:
        console.print_json(moving.document(moved))
    else:
        moving.print_moved(moved)
    raise typer.Exit(code=int(bool(moved.differing)))
