"""`tailrace move`: which warehouse its URL means, and how a move is told."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from assets import moving
from assets.moving import Moved
from models.settings import Settings
from orchestration import console, environment
from orchestration.console import Tell, silent


def move(settings: Settings, to: str, tell: Tell = silent) -> Moved:
    """Move the target's warehouse to this URL. Raises as assets/moving.py does, UserError for another text."""
    return moving.move(settings, replace(settings, warehouse_url=environment.warehouse(to)), tell)


def document(moved: Moved) -> dict[str, Any]:
    """The JSON of `tailrace move`."""
    return {
        "batches": moved.batches,
        "rows": moved.rows,
        "before": moved.before,
        "tables": [asdict(each) for each in moved.tables],
    }


def print_moved(moved: Moved) -> None:
    out = console.out()
    before = f", {moved.before:,} batches were there before" if moved.before else ""
    out.print(f"moved: {moved.batches:,} batches, {moved.rows:,} rows{before}")
    if moved.differing:
        differing = [asdict(each) for each in moved.differing]
        out.print(console.table(differing, title="tables that differ"))
        out.print("the destination is no warehouse yet: empty it, then move again")
        return
    out.print(f"the same: {len(moved.tables)} tables. Set TAILRACE_WAREHOUSE to it, then run `tailrace refresh`")
