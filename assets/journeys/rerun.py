"""Runs one version of a journey over the past, as one tick of the engine in a scratch database.

What the logs hold of the past is laid out there as a tick reads it; the published copy is only read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from assets import identity, segments
from assets.journeys import named, publication, tables
from assets.journeys.flat import flatten
from assets.journeys.program import NEVER, Version
from assets.journeys.tick import Inputs
from assets.journeys.ticking import tick
from models.clock import Clock, end_of_day
from models.policy import Policy
from models.zones import zones
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.batches import Batch
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"


@dataclass(frozen=True)
class Past:
    """The range, and where its data is: the published copy's schema, and events with their people as known now."""

    kept: str
    events: str
    start: datetime
    end: datetime
    known_by: datetime


@dataclass(frozen=True)
class Counts:
    """What a version would have done. `exited` and `refused`: reason → how many."""

    entered: int
    exited: Mapping[str, int]
    sent: int
    refused: Mapping[str, int]
    goals: int


def rerun(warehouse: Warehouse, policy: Policy, past: Past, version: Version) -> Counts:
    """Let the version take people in from the start of the range, and move them to its end.

    `warehouse`: a scratch database of the caller's; its schema `tailrace` is made anew. Raises Refused for any other.
    """
    version = replace(version, version=1, published_at=past.start)
    _Stage(warehouse, policy, past, version).lay()
    clock = Clock(past.end, past.known_by)
    tick(warehouse, policy, clock, Inputs("past_event", clock, [version]))
    return _counts(warehouse, version.name)


def recorded_at(warehouse: Warehouse, past: Past) -> datetime | None:
    """Since when what journeys read of people is recorded."""
    if not warehouse.columns(f"{past.kept}.profile_history"):
        return None
    at = warehouse.rows(f"select min(as_of) as at from {past.kept}.profile_history")[0]["at"]
    return at if isinstance(at, datetime) else None


@dataclass(frozen=True)
class _Stage:
    """Lays the past out as a tick reads it."""

    warehouse: Warehouse
    policy: Policy
    past: Past
    version: Version

    def lay(self) -> None:
        warehouse, past = self.warehouse, self.past
        warehouse.empty(batches.SCHEMA)
        batches.prepare(warehouse)
        for part in (identity, segments, tables):
            part.prepare(warehouse)
        warehouse.create_view("past_event", self._sql("rerun_events", past=past))
        self._lay_segments()
        self._lay_people()
        self._fill(identity.HISTORY, self._sql("rerun_identity"))
        self._fill(tables.LOADED, f"select source, through, known_at from {past.kept}.source_loaded")
        if others(warehouse, past, self.version.name):
            self._fill(tables.OUTBOX, self._sql("rerun_outbox", journey=self.version.name, end=past.end))

    def _lay_segments(self) -> None:
        names = segments_of([self.version])
        segments_text = ", ".join(self.warehouse.dialect.literal(name) for name in names) or "''"
        days = days_of(self.warehouse, self.past, self.policy.zone_info, names)
        rows = [
            {"day": day, "number": number, "ended_at": at} for number, (day, at) in enumerate(sorted(days.items()), 1)
        ]
        schema = pa.schema({"day": pa.date32(), "number": pa.int64(), "ended_at": pa.timestamp("us", "UTC")})
        with self.warehouse.lend("past_day", pa.Table.from_pylist(rows, schema)):
            self._fill(segments.HISTORY, self._sql("rerun_memberships", segments=segments_text))
            self._fill(segments.EVALUATIONS, self._sql("rerun_evaluations", segments=segments_text))

    def _lay_people(self) -> None:
        recorded, dialect = recorded_at(self.warehouse, self.past), self.warehouse.dialect
        known = recorded_dates(self.warehouse, self.past) if recorded else set()
        dates = {
            name: dialect.json_text("history.dates", f"$.{name}")
            if name in known
            else f"cast(person.{dialect.quote(name)} as {dialect.text})"
            for name in sorted(publication.date_columns([self.version]))
        }
        values = {"recorded_at": recorded, "never": NEVER}
        with self.warehouse.lend("known_zone", pa.table({"name": sorted(zones())})):
            self._fill(tables.PROFILES, self._sql("rerun_profiles", dates=dialect.json_object(dates), **values))
        self._fill(tables.CONSENT, self._sql("rerun_consent", **values))

    def _fill(self, log: str, query: str) -> None:
        batch = Batch(self.warehouse, f"past/{log}")
        batch.append(log, query)
        batch.commit(self.past.known_by)

    def _sql(self, statement: str, **values: Any) -> str:
        return render(SQL, f"journeys/{statement}", self.warehouse.dialect, kept=self.past.kept, **values)


def segments_of(versions: Sequence[Version]) -> list[str]:
    return sorted({name for each in versions for name, _ in named.segments(each.journey, flatten(each.journey))})


def days_of(warehouse: Warehouse, past: Past, zone: ZoneInfo, names: Sequence[str]) -> dict[date, datetime]:
    """The days that were worked out of these segments → when each ended."""
    if not names or not warehouse.columns(f"{past.kept}.segment_days"):
        return {}
    listed = ", ".join(warehouse.dialect.literal(name) for name in names)
    rows = warehouse.rows(f"select distinct day from {past.kept}.segment_days where segment in ({listed})")
    return {row["day"]: end_of_day(row["day"], zone) for row in rows}


def recorded_dates(warehouse: Warehouse, past: Past) -> set[str]:
    """The date columns that the history of people has."""
    return publication.date_columns(publication.published(warehouse, relation=f"{past.kept}.journey_version"))


def others(warehouse: Warehouse, past: Past, journey: str) -> bool:
    relation = f"{past.kept}.message_outbox"
    return bool(warehouse.rows(f"select 1 as found from {relation} where journey <> ? limit 1", [journey]))


def _counts(warehouse: Warehouse, journey: str) -> Counts:
    runs = warehouse.rows(render(SQL, "journeys/rerun_runs", warehouse.dialect))
    messages = warehouse.rows(render(SQL, "journeys/rerun_messages", warehouse.dialect, journey=journey))
    return Counts(
        entered=sum(int(row["n"]) for row in runs),
        exited={str(row["ended"]): int(row["n"]) for row in runs if row["ended"]},
        sent=sum(int(row["n"]) for row in messages if row["reason"] is None),
        refused={str(row["reason"]): int(row["n"]) for row in messages if row["reason"]},
        goals=sum(int(row["goals"]) for row in runs),
    )
