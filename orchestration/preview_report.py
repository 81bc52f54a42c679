"""A preview as a person reads it and as a program does."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestration import console

if TYPE_CHECKING:  # at run time it would cost every `--help` the import of the engine
    from assets.preview import Preview, Size


def document(found: Preview) -> dict[str, Any]:
    """The JSON of `tailrace preview`."""
    said = asdict(found)
    clock = said.pop("clock")
    return {"segment": said.pop("segment"), **clock, **said}


def print_preview(found: Preview) -> None:
    """Size and change, examples, what is below."""
    screen = console.out()
    screen.print(f"[bold]{found.segment}[/] as of {console.cell(found.clock.as_of)} UTC: {_counts(found)}")
    if found.remade:
        screen.print(f"changed above it, and made anew: {', '.join(found.remade)}")
    for title, people in (("some who enter", found.entering), ("some who leave", found.leaving)):
        if people:
            screen.print(console.table(people, title=title))
    for size in found.downstream:
        screen.print(f"below: {size.segment}: {size.error or _counts(size)}", markup=False)
    if found.syncs:
        rows = [asdict(sync) for sync in found.syncs]
        screen.print(console.table(rows, title="what its syncs would do more than now"))
        screen.print("exact, and what it would send: `tailrace plan SYNC`")


def _counts(found: Preview | Size) -> str:
    had = "new" if found.before is None else f"{found.before:,} now"
    return f"{found.size:,} people ({had}), {found.enters:,} enter, {found.leaves:,} leave"
