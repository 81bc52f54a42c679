"""What the working copy of a journey would have done in the past, beside its published version. Writes nothing.

Reads the published copy. Events get their people by the project's own models, made aside as a preview makes them:
so `int_events`, a second copy of every event, need not be published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from assets import configuration, dbt_project
from assets import working_copy as working
from assets.dbt_project import LIVE
from assets.journeys import checks, documents, publication, rerun, seen, unknown_past
from assets.journeys.program import Version
from assets.journeys.rerun import SQL, Counts, Past
from assets.working_copy import WorkingCopy
from models.clock import Clock, end_of_day
from models.errors import UserError
from models.settings import Settings
from warehouse.base import Warehouse
from warehouse.query import render

EVENTS = "int_events"
NEEDED = ("journey_version", "message_outbox", "consent_history", "profile_id_history", "source_loaded", "pause_change")


@dataclass(frozen=True)
class Backtest:
    """`published` is None where no version is."""

    journey: str
    start: date
    end: date
    counts: Counts
    published: Counts | None
    version: int | None
    notes: Sequence[str]

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {**asdict(self.counts), "published": asdict(self.published) if self.published else None}


def backtest(settings: Settings, name: str, start: date, end: date) -> Backtest:
    """Run the journey from the first of these days to the end of the last, as one tick that knows what is known now.

    Raises UserError for a range of which nothing is known, ConfigError for a journey that `check` refuses.
    """
    have = working.published(settings)
    if missing := [table for table in NEEDED if table not in have.tables]:
        message = f"the published copy lacks {', '.join(missing)}; run `tailrace refresh`, then this again"
        raise UserError(message)
    policy = configuration.policy(settings)
    first = end_of_day(start - timedelta(days=1), policy.zone_info) + timedelta(microseconds=1)
    last = min(end_of_day(end, policy.zone_info), have.clock.as_of)
    _require_order(start, end, first, have.clock)
    written = _written(settings, name, first)
    copy = WorkingCopy(settings, have.clock, have)
    with copy.opened() as scratch:
        warehouse = scratch.warehouse
        past = Past(scratch.published, scratch.before("events"), first, last, have.clock.known_by)
        require_data(warehouse, past, written)
        copy.create(scratch, copy.changed([EVENTS]))
        past = replace(past, events=scratch.moved[LIVE, EVENTS])
        known = [
            each
            for each in publication.published(warehouse, relation=scratch.before("journey_version"))
            if each.name == name
        ]
        versions = [written, *known[-1:]]
        notes = unknown_past.notes(warehouse, policy, past, versions)
        counts = [rerun.rerun(warehouse, policy, past, version) for version in versions]
    if last < end_of_day(end, policy.zone_info):
        notes.insert(0, f"the last refresh was as of {last:%Y-%m-%d %H:%M} UTC: the range ends there")
    number = known[-1].version if known else None
    return Backtest(name, start, end, counts[0], counts[1] if known else None, number, notes)


def _require_order(start: date, end: date, first: datetime, clock: Clock) -> None:
    if end < start:
        message = f"the range ends on {end}, before it starts on {start}"
        raise UserError(message)
    if first > clock.as_of:
        known = f"{clock.as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        message = f"nothing is known of {start} to {end}: the last refresh was as of {known}"
        raise UserError(message)


def require_data(warehouse: Warehouse, past: Past, version: Version) -> None:
    """Raises UserError for a range in which nothing could make anybody enter."""
    segment = version.journey.entry.segment
    what = f"evaluations and days of {segment}" if segment else "events"
    has_days = bool(warehouse.columns(f"{past.kept}.segment_days"))
    values = {"past": past, "segment": segment, "has_days": has_days}
    rows = warehouse.rows(render(SQL, "journeys/rerun_reach", warehouse.dialect, **values))
    if rows[0]["n"]:
        return
    first, last = rows[0]["first"], rows[0]["last"]
    reach = f"reach from {first:%Y-%m-%d} to {last:%Y-%m-%d}" if first else "there are none"
    message = f"nothing is known of {past.start:%Y-%m-%d} to {past.end:%Y-%m-%d}: {what}: {reach}"
    raise UserError(message)


def _written(settings: Settings, name: str, published_at: datetime) -> Version:
    """The journey as it is written, as publishing it would record it."""
    wanted = publication.named_journey(documents.readable(settings, name), name)
    manifest = dbt_project.read_manifest(settings)
    found = seen.look(settings, [wanted.journey])
    checks.check(settings, manifest, [wanted], seen=found)
    project = checks.describe(settings, manifest, found)
    return publication.compiled(settings, wanted.journey, project, Clock.at(published_at), number=1)
