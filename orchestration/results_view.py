"""How `tailrace results` shows what came of messages: counts, and shares of what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assets.messages.results import COUNTS
from orchestration import console


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table; beside each count its share of what was sent."""
    screen = console.out()
    if not rows:
        screen.print("no messages were sent yet")
        return
    screen.print(console.table([{name: _cell(row, name) for name in row} for row in rows]))
    screen.print("machine opened: by a proxy or scanner; whether a person opened it, too, nobody can say")


def _cell(row: dict[str, Any], name: str) -> Any:
    if name == "version" and row[name]:
        return row[name][:8]
    if name in COUNTS[1:] and row["sent"]:
        return f"{row[name]:,} ({row[name] / row['sent']:.1%})" if row[name] else 0
    return row[name]
