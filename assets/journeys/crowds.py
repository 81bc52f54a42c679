"""Too many people at once: which journeys wait for somebody's word, and how many a word lets in.

The limit is policy.yml's `max_send`, for all journeys of a tick together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from assets.journeys import tables
from assets.journeys.program import Version
from models.clock import Clock
from models.errors import Refused
from warehouse.base import Warehouse
from warehouse.batches import Batch, append_once
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
MORE = 0.1  # a word for 600 lets in up to 660: people go on coming between the look and the next tick


def too_many(entries: Mapping[str, int], most: int, approved: Mapping[str, int]) -> dict[str, int]:
    """Of what would enter each journey, that which must wait: the most first, until the others fit.

    `approved`: journey → how many somebody gave their word for; who comes by it is not counted with the others.
    """
    asked = {journey: count for journey, count in entries.items() if count > approved.get(journey, 0)}
    held: dict[str, int] = {}
    for journey in sorted(asked, key=lambda name: (-asked[name], name)):
        if sum(asked.values()) - sum(held.values()) <= most:
            break
        held[journey] = asked[journey]
    return held


def hold(warehouse: Warehouse, clock: Clock, versions: Sequence[Version], entries: Mapping[str, int]) -> dict[str, str]:
    """Write down how many would have entered these journeys; journey → why it waits."""
    found = {}
    for journey, count in entries.items():
        version = max(each.version for each in versions if each.name == journey)
        batch = Batch(warehouse, f"held/{journey}/{clock.as_of.isoformat()}")
        batch.append(tables.HELD, {"journey": journey, "version": version, "entries": count, "as_of": clock.as_of})
        batch.commit(clock.known_by)
        found[journey] = held(journey, count)
    return found


def held(journey: str, entries: int) -> str:
    """Why a journey waits that so many people would enter at once."""
    return (
        f"{entries:,} people would enter at once, more than all journeys together may let in; "
        f"to let them: tailrace apply journey:{journey}"
    )


def approve(warehouse: Warehouse, journey: str, at: datetime) -> int:
    """Let the journey take in what its last tick would have; how many. Raises Refused where nothing waits."""
    found = warehouse.rows(render(SQL, "journeys/held_entries", warehouse.dialect, journey=journey))
    if not found:
        message = f"no entries of the journey '{journey}' wait for anybody"
        raise Refused(message)
    held_as_of, entries = found[0]["as_of"], int(found[0]["entries"])
    row = {"journey": journey, "held_as_of": held_as_of, "approved_at": at}
    append_once(warehouse, f"approval/{journey}/{held_as_of.isoformat()}", tables.APPROVED, row, at)
    return entries


def approved(warehouse: Warehouse) -> dict[str, int]:
    """Journeys somebody gave their word for since they moved last → how many it lets in."""
    rows = warehouse.rows(render(SQL, "journeys/approved_entries", warehouse.dialect))
    return {str(row["journey"]): int(row["entries"] * (1 + MORE)) for row in rows}
