"""Works out the past: who was in each segment at the end of each day of a range, as if that night had run then.

Today's tables are read and never written. Killed anywhere, the next run goes on with the day it was at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from assets import configuration, lineage, night, publish, raw, segment_days, stages, staging, store
from assets.dbt_project import project, variables
from assets.segment_days import Evaluation, KnownBy
from models.clock import Clock, end_of_day
from models.errors import Refused, UserError
from models.settings import Settings
from models.source import FileSource
from warehouse.base import Warehouse
from warehouse.lock import hold
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
TURN_SECONDS = 0.1  # the lock is free for so long between two days: whoever waits for it asks every 0.05 s


class Tell(Protocol):
    """Says what is being done now, and how far it is."""

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None: ...


@dataclass(frozen=True)
class BackfillResult:
    """Days of the range that were worked out, and those that had been before; `rows` are those appended."""

    name: str
    start: date
    end: date
    known_by: KnownBy
    days: int = 0
    skipped: int = 0
    rows: int = 0


def backfill(
    settings: Settings,
    clock: Clock,
    start: date,
    end: date,
    *,
    known_by: KnownBy = "now",
    again: bool = False,
    on_progress: Tell | None = None,
) -> BackfillResult:
    """Fill `segment_days` from `start` to `end`, both included, and publish it.

    `known_by`: what had arrived by the clock (`now`), or by the end of each day (`day-end`): what that night could
    know. A day that was worked out so, by the same definitions, is skipped unless `again`. Raises UserError for a
    range that is not over at the clock, and BuildFailed for a model that fails.
    """
    tell = on_progress or (lambda what, done=None, total=None: None)  # noqa: ARG005 - the same shape, silent
    days = _days(settings, clock, start, end)
    with hold(settings.locks / "past.lock", what="the past"):
        definition = lineage.definition(project(settings), stages.segment_names(settings), variables(settings))
        with _opened(settings) as warehouse:
            _require_current_log(settings, warehouse, clock)
            done = {} if again else segment_days.evaluations(warehouse)
        wanted = {day: Evaluation(day, 0, known_by, definition) for day in days}
        waiting = [day for day in days if day not in done or not done[day].is_like(wanted[day])]
        rows = 0
        for number, day in enumerate(waiting):
            tell(f"working out {day}", number, len(waiting))
            rows += _fill(settings, _clock(settings, clock, day, known_by), wanted[day])
            time.sleep(TURN_SECONDS)
        tell("publishing")
        with _opened(settings) as warehouse:
            publish.publish(settings, warehouse)
    return BackfillResult("segment_days", start, end, known_by, len(waiting), len(days) - len(waiting), rows)


@contextmanager
def _opened(settings: Settings) -> Iterator[Warehouse]:
    with store.locked(settings, how="building"), stages.opened(settings) as warehouse:
        yield warehouse


def _days(settings: Settings, clock: Clock, start: date, end: date) -> list[date]:
    """Every day of the range. Raises UserError when it runs backwards or its last day is not over."""
    if end < start:
        message = f"the range ends on {end}, before it starts on {start}"
        raise UserError(message)
    zone = configuration.policy(settings).zone_info
    if end_of_day(end, zone) > clock.as_of:
        message = f"{end} is not over at {clock.as_of.astimezone(zone):%Y-%m-%d %H:%M} ({zone}), the clock of this run"
        raise UserError(message)
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


def _clock(settings: Settings, clock: Clock, day: date, known_by: KnownBy) -> Clock:
    at = end_of_day(day, configuration.policy(settings).zone_info)
    return Clock(at, at if known_by == "day-end" else clock.known_by)


def _fill(settings: Settings, clock: Clock, wanted: Evaluation) -> int:
    """Work one day out and append it; the number of memberships."""
    models = night.compiled(settings, clock)
    with _opened(settings) as warehouse:
        earlier = segment_days.derived_before(warehouse, wanted.day)
        members, derived = night.build(settings, warehouse, clock, models, earlier)
        fresh = derived.join(earlier, on=["identifier_type", "identifier", "profile_id"], how="anti")
        return segment_days.append(warehouse, wanted, clock, members, fresh)


def _require_current_log(settings: Settings, warehouse: Warehouse, clock: Clock) -> None:
    """Refuse when the event log does not hold all that had arrived by the clock, or was staged by other models."""
    last = staging.last_staged(warehouse)
    if last is None:
        raise Refused("nothing is refreshed yet; run `tailrace refresh`, then this again")
    definition = lineage.definition(project(settings), [stages.LOG, stages.IDENTIFIERS], variables(settings))
    if last.definition != definition:
        raise Refused("staging changed since the last refresh; run `tailrace refresh`, then this again")
    files = [name for name, source in configuration.sources(settings).items() if isinstance(source, FileSource)]
    latest = Clock(clock.as_of, max(clock.known_by, last.known_by))
    query = render(SQL, "count_arrived", warehouse.dialect, relations=map(raw.relation, files), clock=latest)
    if len(files) == len(configuration.sources(settings)) and str(warehouse.rows(query)[0]["batches"]) != last.inputs:
        raise Refused("files arrived that no refresh has read; run `tailrace refresh`, then this again")
