"""What ingest and refresh did, as a person reads it and as a program does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestration import console

if TYPE_CHECKING:  # at run time it would cost every `--help` the import of the engine
    from assets.ingest_report import IngestResult
    from assets.refresh import RefreshResult


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
    for model, reason in sorted(done.broken.items()):
        screen.print(f"broken: {model}: {reason}", markup=False, style="red")
