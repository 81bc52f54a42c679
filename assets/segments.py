"""Segment history: who entered and who left, when and why, one batch a segment and evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from models.clock import Clock
from models.errors import TailraceError
from models.steps import step
from warehouse.base import Warehouse
from warehouse.batches import LOG_SUFFIX, Batches, create_log, otherwise
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
HISTORY, EVALUATIONS = "tailrace.segment_history", "tailrace.segment_evaluation"
AT_ONCE = 8  # segments that one statement compares: of more, each with all its members, too much would be in memory

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


def record(warehouse: Warehouse, clock: Clock, definitions: Mapping[str, str]) -> list[Recorded]:
    """Compare these segments' models with their open memberships and append the differences, a batch a segment.

    `definitions`: segment → a checksum of its model and all above it. An `as_of` not later than the last of a segment
    appends nothing of it.
    """
    last = _last(warehouse, definitions)
    due = [segment for segment in definitions if segment not in last or clock.as_of > last[segment][0]]
    done = dict[str, Recorded]()
    for first in range(0, len(due), AT_ONCE):
        part = due[first : first + AT_ONCE]
        causes = {segment: _cause(last.get(segment), definitions[segment]) for segment in part}
        try:
            done |= _recorded(warehouse, clock, causes, definitions)
        except TailraceError:
            if len(part) == 1:
                raise
            for segment, cause in causes.items():  # who is well is not kept from it by who is not
                done |= _recorded(warehouse, clock, {segment: cause}, definitions)
    return [done.get(segment, Recorded(segment, advanced=False)) for segment in definitions]


def _cause(last: tuple[datetime, str] | None, definition: str) -> Cause:
    """Of what no merge explains."""
    if last is None:
        return "first"
    return "data" if last[1] == definition else "definition"


def _recorded(
    warehouse: Warehouse, clock: Clock, causes: Mapping[str, Cause], definitions: Mapping[str, str]
) -> dict[str, Recorded]:
    ids = {segment: f"history/{segment}/{clock.as_of.isoformat()}" for segment in causes}
    changes = {
        segment: render(
            SQL,
            "record_segment",
            warehouse.dialect,
            segment=segment,
            clock=clock,
            cause=cause,
            relation=f"main.{segment}",
            entry_id=_entry_id(warehouse, clock, segment),
        )
        for segment, cause in causes.items()
    }
    evaluated = {segment: _evaluation(warehouse, clock, segment, definitions[segment]) for segment in causes}
    batches = Batches(warehouse, list(ids.values()))
    written = 0
    for log, queries in ((HISTORY, changes), (EVALUATIONS, evaluated)):
        written += batches.append(log, _united(warehouse, ids, queries))
        for batch_id in ids.values():
            step("appended", batch=batch_id, table=log)
    counted = Counter[tuple[str, str]]()
    listed = ", ".join(map(warehouse.dialect.literal, ids.values()))
    for row in warehouse.rows(
        f"select segment, change, count(*) as n from {HISTORY}{LOG_SUFFIX} where batch_id in ({listed}) "
        "group by segment, change"
    ):
        counted[row["segment"], row["change"]] = int(row["n"])
    if (there := counted.total() + len(ids)) != written:
        raise otherwise(", ".join(ids.values()), written, there)
    done = {
        segment: Recorded(segment, counted[segment, "entered"], counted[segment, "left"], cause)
        for segment, cause in causes.items()
    }
    batches.commit({ids[name]: each.entered + each.left + 1 for name, each in done.items()}, clock.known_by)
    return done


def _united(warehouse: Warehouse, ids: Mapping[str, str], queries: Mapping[str, str]) -> str:
    """The rows of these queries, each with its batch."""
    literal = warehouse.dialect.literal
    return " union all ".join(
        f"select {literal(ids[segment])} as batch_id, appended.* from ({query}) as appended"
        for segment, query in queries.items()
    )


def _last(warehouse: Warehouse, segments: Iterable[str]) -> dict[str, tuple[datetime, str]]:
    """When each of these that ever was evaluated last was, and by which definition."""
    listed = ", ".join(map(warehouse.dialect.literal, segments)) or "null"
    found = warehouse.rows(
        "select segment, as_of, definition from ("
        f"select *, row_number() over (partition by segment order by as_of desc) as newest from {EVALUATIONS} "
        f"where segment in ({listed})) as evaluated where newest = 1"
    )
    return {str(row["segment"]): (row["as_of"], row["definition"]) for row in found}


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
