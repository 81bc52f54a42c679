"""Segment history: who entered and who left, when and why, one batch a segment and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from models.clock import Clock
from warehouse.base import Warehouse
from warehouse.batches import Batch, create_log
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
HISTORY, EVALUATIONS = "tailrace.segment_history", "tailrace.segment_evaluation"

Cause = Literal["data", "first", "definition", "merge"]


@dataclass(frozen=True)
class Recorded:
    """What one evaluation changed. `advanced` is False when the history was already at this moment or later."""

    segment: str
    entered: int = 0
    left: int = 0
    cause: Cause = "data"  # of what no merge explains
    advanced: bool = True


def mistaken_key(columns: Mapping[str, str]) -> str | None:
    """What is wrong with the columns of a segment's model, name → kind; None where nothing is."""
    kind = columns.get("profile_id")
    if kind is None:
        return f"a segment gives a column profile_id; this one gives {', '.join(columns)}"
    return None if kind == "varchar" else f"profile_id is {kind}; a segment gives those of profiles, which are varchar"


def prepare(warehouse: Warehouse) -> None:
    """Create the logs where they are missing."""
    moments = {"as_of": "timestamptz", "known_by": "timestamptz"}
    texts = dict.fromkeys(("entry_id", "segment", "profile_id", "change", "cause"), "varchar")
    create_log(warehouse, HISTORY, {**texts, **moments})
    create_log(warehouse, EVALUATIONS, {"segment": "varchar", **moments, "definition": "varchar"})


def record(
    warehouse: Warehouse, clock: Clock, segment: str, definition: str, *, relation: str | None = None
) -> Recorded:
    """Compare the segment's model with its open memberships and append the differences.

    An `as_of` not later than the last appends nothing. `definition` is a checksum of the model and all above it.
    """
    last = _last(warehouse, segment)
    if last is not None and clock.as_of <= last[0]:
        return Recorded(segment, advanced=False)
    cause: Cause = "first" if last is None else "data" if last[1] == definition else "definition"
    query = render(
        SQL,
        "record_segment",
        warehouse.dialect,
        segment=segment,
        clock=clock,
        cause=cause,
        relation=relation or f"main.{segment}",
        entry_id=_entry_id(warehouse, clock, segment),
    )
    batch = Batch(warehouse, f"history/{segment}/{clock.as_of.isoformat()}")
    batch.append(HISTORY, query)
    batch.append(EVALUATIONS, _evaluation(warehouse, clock, segment, definition))
    batch.commit(clock.known_by)
    counted = warehouse.rows(
        f"select count(*) filter (where change = 'entered') as entered, count(*) filter (where change = 'left') as gone"
        f" from {HISTORY} where segment = ? and as_of = ?",
        [segment, clock.as_of],
    )[0]
    return Recorded(segment, int(counted["entered"]), int(counted["gone"]), cause)


def _last(warehouse: Warehouse, segment: str) -> tuple[datetime, str] | None:
    found = warehouse.rows(
        f"select as_of, definition from {EVALUATIONS} where segment = ? order by as_of desc limit 1", [segment]
    )
    return (found[0]["as_of"], found[0]["definition"]) if found else None


def _entry_id(warehouse: Warehouse, clock: Clock, segment: str) -> str:
    """SQL for hash(segment, profile_id at entry, as_of)."""
    dialect = warehouse.dialect
    parts = ", ".join((dialect.literal(segment), "members.profile_id", dialect.literal(clock.as_of.isoformat())))
    return f"substring({dialect.sha256(f'concat_ws(chr(31), {parts})')}, 1, 24)"


def _evaluation(warehouse: Warehouse, clock: Clock, segment: str, definition: str) -> str:
    literal = warehouse.dialect.literal
    return (
        f"select {literal(segment)} as segment, {literal(clock.as_of)} as as_of, "
        f"{literal(clock.known_by)} as known_by, {literal(definition)} as definition"
    )
