"""The published versions of all journeys as small tables, which the statements of a tick join with: their shape.

Nodes and versions are numbers here. A target is a node's number, COMPLETED (no step is left) or OUT (`exit`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from models.journey import Journey

COMPLETED, OUT = -1, -2
NEVER = datetime(1900, 1, 1, tzinfo=UTC)
_INT, _TEXT, _TIME, _FLAG, _REAL = pa.int32(), pa.string(), pa.timestamp("us", "UTC"), pa.bool_(), pa.float64()

SCHEMAS = {
    "program_version": pa.schema(
        {
            "pv": _INT, "journey": _TEXT, "version": _INT, "published_at": _TIME, "next_published_at": _TIME,
            "on_publish": _TEXT, "entry_kind": _TEXT, "entry_event": _TEXT, "entry_key": _TEXT,
            "entry_segment": _TEXT, "takes_existing": _FLAG, "policy": _TEXT, "gap": pa.int64(), "first": _INT,
            "goal_event": _TEXT, "goal_match": _TEXT, "goal_seconds": pa.int64(), "holdout_below": _TEXT,
            "salt": _TEXT, "max_stale": pa.int64(), "last_tick": pa.int64(), "last_as_of": _TIME, "is_ticked": _FLAG,
        }
    ),
    "program_node": pa.schema(
        {
            "n": _INT, "pv": _INT, "node": _TEXT, "kind": _TEXT, "next_n": _INT, "then_n": _INT, "else_n": _INT,
            "detail": _TEXT, "seconds": pa.int64(), "day": _TEXT, "weekday": _INT, "day_seconds": _INT,
            "date_column": _TEXT, "zone": _TEXT, "event": _TEXT, "match": _TEXT, "from_entry": _FLAG,
            "horizon": _TIME, "last_horizon": _TIME, "sink": _TEXT, "channel": _TEXT, "template": _TEXT,
            "purpose": _TEXT, "priority": _INT, "expires": pa.int64(), "audience": _TEXT, "op": _TEXT,
        }
    ),
    "program_arm": pa.schema(
        {
            "n": _INT, "place": _INT, "way": _TEXT, "target": _INT, "segment": _TEXT, "property": _TEXT,
            "has_values": _FLAG, "at_least": _REAL, "less_than": _REAL,
        }
    ),
    "program_value": pa.schema({"n": _INT, "place": _INT, "value": _TEXT, "number": _REAL}),
    "program_split": pa.schema({"n": _INT, "way": _TEXT, "low": _TEXT, "high": _TEXT, "target": _INT}),
    "program_exit": pa.schema({"pv": _INT, "place": _INT, "segment": _TEXT, "event": _TEXT, "match": _TEXT}),
    "program_watch": pa.schema({"pv": _INT, "event": _TEXT, "match": _TEXT}),
    "program_migration": pa.schema({"pv": _INT, "n": _INT, "target": _INT}),
}  # fmt: skip


@dataclass(frozen=True)
class Version:
    """A published version: a row of `tailrace.journey_version`, read back."""

    journey: Journey
    version: int
    published_at: datetime
    salt: str
    sources: Mapping[str, Sequence[str]]  # awaited event → the sources that may send it
    channels: Mapping[str, str]  # sink → channel
    templates: Mapping[str, str] = field(default_factory=dict)  # template → the digest it had

    @property
    def name(self) -> str:
        return self.journey.journey


@dataclass(frozen=True)
class Last:
    """What the last tick of a journey had seen."""

    number: int = 0
    as_of: datetime = NEVER
    cap_window: timedelta = timedelta(0)  # of the policy it decided by
    loaded_through: Mapping[str, datetime] = field(default_factory=dict)


@dataclass
class Program:
    """The tables, and what of the language the journeys use: statements leave out what nobody needs."""

    tables: dict[str, pa.Table]
    versions: dict[int, Version] = field(default_factory=dict)  # by their numbers
    matches: list[str] = field(default_factory=list)  # properties that are compared with the entry's
    properties: list[str] = field(default_factory=list)  # properties that branches read
    dates: list[str] = field(default_factory=list)  # profile columns that waits read
    segments: list[str] = field(default_factory=list)  # in branches, exits and entries
    events: list[str] = field(default_factory=list)
    _listed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    has_local_waits: bool = False
    has_other_shares: bool = False  # whether two versions of a journey hold out differently
    has_own_events: bool = False  # whether an event that lets people in is waited for, too

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of one of the tables."""
        if table not in self._listed:
            self._listed[table] = self.tables[table].to_pylist()
        return self._listed[table]
