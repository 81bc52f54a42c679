"""How journeys are shown: tables for people, plain documents for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from assets.journeys.backtest import Backtest
from orchestration import console
from orchestration.journeys import Ticking


def ticked(done: Ticking) -> dict[str, Any]:
    """The JSON of `tailrace tick`."""
    moved = done.journeys
    return {
        "as_of": moved.clock.as_of,
        "tick": moved.ticked.number or None,
        "entered": moved.ticked.entered,
        "moved": moved.ticked.moved,
        "decided": dict(moved.ticked.decided),
        "withdrawn": moved.ticked.withdrawn,
        "waiting": dict(moved.waiting),
        "sent": {result.sync: dict(result.counts) for result in done.synced if result.counts},
        "unread": list(done.unread),
        "stranded": list(done.stranded),
        "not_sent": {result.sync: str(result.error or result.stopped) for result in done.synced if not result.ok},
    }


def print_ticked(done: Ticking) -> None:
    """One line of what moved, one a reason that a message was or was not admitted, one a journey that waits."""
    screen, moved = console.out(), done.journeys
    if not moved.ticked.number:
        screen.print("nobody moved: nothing was due or new")
    else:
        screen.print(
            f"{moved.ticked.entered:,} entered, {moved.ticked.moved:,} moves, {moved.ticked.withdrawn:,} taken back"
        )
    if moved.ticked.decided:
        rows = [{"messages": reason, "": count} for reason, count in sorted(moved.ticked.decided.items())]
        screen.print(console.table(rows))
    sent = [{"sync": result.sync, **dict(result.counts)} for result in done.synced if result.counts]
    if sent:
        screen.print(console.table(sent))
    for journey, reason in moved.waiting.items():
        screen.print(f"{journey}: {reason}", markup=False)
    for line in (*done.unread, *done.stranded):
        screen.print(line, markup=False)
    for result in done.synced:
        if not result.ok:
            screen.print(f"{result.sync}: {result.error or result.stopped}", markup=False)


def print_backtest(done: Backtest) -> None:
    """A row a number, the working copy beside the published version; then what of the past is not known as it was."""
    screen, found = console.out(), done.document()
    published = found["published"] or {}
    names = [("entered", None), ("sent", None), ("goals", None)]
    for key in ("exited", "refused"):
        names += [(key, reason) for reason in sorted({*found[key], *published.get(key, {})})]
    rows = []
    for key, reason in names:
        row = {"": key if reason is None else f"{key}: {reason}", "working copy": _number(found, key, reason)}
        rows.append({**row, f"version {done.version}": _number(published, key, reason)} if published else row)
    screen.print(f"{done.journey} from {done.start} to {done.end}", markup=False)
    screen.print(console.table(rows))
    if not published:
        screen.print("it is not published: there is nothing to compare with")
    print_notes(done, screen)


def print_notes(done: Backtest, screen: Console) -> None:
    """A line for each thing of the past that is not known as it was."""
    for note in done.notes:
        screen.print(f"note: {note}", markup=False)


def _number(found: dict[str, Any], key: str, reason: str | None) -> int:
    return int(found[key] if reason is None else found[key].get(reason, 0))
