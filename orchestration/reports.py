"""What ingest and refresh did and how things stand, as a person reads it and as a program does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orchestration import console

if TYPE_CHECKING:  # at run time it would cost every `--help` the import of the engine
    from assets.ingest_report import IngestResult
    from assets.refresh import RefreshResult
    from assets.status import Status


def print_ingested(results: Iterable[IngestResult]) -> None:
    """A line a source, then what needs a look."""
    found = list(results)
    rows = [
        {"source": one.source, "files": one.files, "rows": one.rows, "bad lines": one.bad, "copies": len(one.copies)}
        for one in found
    ]
    console.out().print(console.table(rows))
    for line in notes(found):
        console.out().print(line, markup=False)


def notes(results: Iterable[IngestResult]) -> list[str]:
    """What was not loaded and why, a line each."""
    lines: list[str] = []
    for one in results:
        lines += [f"{one.source}: waits for {note.file}: {note.reason}" for note in one.waiting]
        lines += [f"{one.source}: refused {note.file}: {note.reason}" for note in one.refused]
        lines += [f"{one.source}: stopped: {one.stopped}"] if one.stopped else []
        lines += [f"{one.source}: stale: {one.stale}"] if one.stale else []
    return lines


def refreshed(done: RefreshResult) -> dict[str, Any]:
    """The JSON of `tailrace refresh`."""
    return {
        "as_of": done.clock.as_of,
        "ingested": done.ingested,
        "profiles": {"minted": done.identity.minted, "merged": done.identity.merged, "rebuilt": done.profiles_built},
        "segments": [{"name": one.segment, "entered": one.entered, "left": one.left} for one in done.segments],
        "journeys": {"tick": done.journeys.ticked.number or None, "no_tick": done.journeys.skipped},
        "broken": done.broken,
        "published": done.published,
        "seconds": done.seconds,
    }


def print_refreshed(done: RefreshResult) -> None:
    """What was new, who entered and left, what is broken."""
    screen = console.out()
    events = sum(one.rows for one in done.ingested)
    screen.print(
        f"as of {console.cell(done.clock.as_of)} UTC: {events:,} new rows, {done.identity.minted:,} new people"
    )
    moved = [one for one in done.segments if one.entered or one.left]
    if moved:
        rows = [{"segment": one.segment, "entered": one.entered, "left": one.left} for one in moved]
        screen.print(console.table(rows))
    else:
        screen.print("nobody entered or left a segment")
    for line in notes(done.ingested):
        screen.print(line, markup=False)
    if done.journeys.skipped:
        screen.print(f"no tick this time: {done.journeys.skipped}; the next one catches up", markup=False)
    for model, reason in sorted(done.broken.items()):
        screen.print(f"broken: {model}: {reason}", markup=False, style="red")


def print_status(found: Status) -> None:
    """One screen: what needs a person comes last, where the eye ends."""
    screen = console.out()
    when = f"as of {console.cell(found.as_of)} UTC" if found.as_of else "never refreshed"
    screen.print(f"target {found.target}, {when}")
    for title, rows in (
        ("sources", [_source(row) for row in found.sources]),
        ("segments", [{"name": row["name"], "size": row["size"], **_moves(row)} for row in found.segments]),
        ("syncs", [vars(sync) for sync in found.syncs]),
        ("last runs", [_run(row) for row in found.runs]),
    ):
        if rows:
            screen.print(console.table(rows, title=title))
    screen.print("needs a person" if found.needs_a_person else "nothing needs a person", style="bold")
    for line in found.needs_a_person:
        screen.print(f"  {line}", markup=False)


def _source(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "stale": "stale" if row["stale"] else "fresh" if row["max_age"] else None}


def _moves(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"entered": row["entered"], "left": row["left"]}


def _run(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("sync", "opened_at", "planned", "accepted", "rejected", "unknown")
    return {**{name: row[name] for name in shown}, "ended": row["stopped"] or ("done" if row["closed_at"] else "open")}
