"""Until when each source is loaded, as it declares it: `loaded_through` in sources.yml, never the times of events.

One event dated in the future would open a gate that rests on event times, and a quiet night would close it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from assets import files, raw
from assets.ingest_report import IngestResult
from assets.journeys import tables
from models.clock import Clock, parse_moment
from models.errors import UserError
from models.settings import Settings
from models.source import FileSource, Source
from warehouse.base import Warehouse
from warehouse.batches import Batch

Interval = Literal["day", "hour"]

_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T_ -](\d{2})(?![\d-]))?")


def record(
    warehouse: Warehouse,
    settings: Settings,
    clock: Clock,
    zone: ZoneInfo,
    sources: Mapping[str, Source],
    results: Iterable[IngestResult],
) -> None:
    """Append, for each source that was just looked at, until when it is loaded, where that is later than before."""
    before = {
        str(row["source"]): row["through"]
        for row in warehouse.rows(f"select source, max(through) as through from {tables.LOADED} group by source")
    }
    for result in results:
        through = _through(warehouse, settings, clock, zone, result, sources[result.source])
        if through is not None and through > before.get(result.source, datetime.min.replace(tzinfo=UTC)):
            _append(warehouse, clock, result.source, through)


def _append(warehouse: Warehouse, clock: Clock, source: str, through: datetime) -> None:
    literal = warehouse.dialect.literal
    batch = Batch(warehouse, f"loaded/{source}/{through.isoformat()}")
    batch.append(
        tables.LOADED,
        f"select {literal(source)} as source, {literal(through)} as through, {literal(clock.known_by)} as known_at",
    )
    batch.commit(clock.known_by)


def _through(
    warehouse: Warehouse, settings: Settings, clock: Clock, zone: ZoneInfo, result: IngestResult, source: Source
) -> datetime | None:
    declared = source.loaded_through
    if declared is None:
        return None
    if declared.lag is not None:
        # what could not be read may hold anything
        is_whole = not (result.stopped or result.refused or result.waiting or result.stale)
        return clock.known_by - declared.lag if is_whole else None
    if declared.marker is not None:
        found = [file.name for file in files.find(settings.landing, declared.marker)]
        return max((at for name in found if (at := _stamped(name, zone))), default=None)
    assert declared.closes
    assert isinstance(source, FileSource)
    rows = warehouse.rows(f"select file from {raw.INGEST_FILE} where source = ?", [result.source])
    return unbroken((str(row["file"]) for row in rows), declared.closes, zone)


def unbroken(names: Iterable[str], closes: Interval, zone: ZoneInfo) -> datetime | None:
    """The end of the last of an unbroken row of intervals that these names hold, from the first on; in UTC.

    An hour that the zone's clocks leave out is not missing; one that they show twice is one interval.
    """
    starts = {at for name in names if (at := _start(name, closes))}
    if not starts:
        return None
    end = _end(min(starts), closes, zone)
    while (following := _floor(end.astimezone(zone), closes)) in starts:
        end = _end(following, closes, zone)
    return end


def _start(name: str, closes: Interval) -> datetime | None:
    """By the clock on the wall. A name without an hour says nothing of hours, and one with an hour is of its day."""
    found = _STAMP.search(name)
    if not found or (closes == "hour" and not found[2]):
        return None
    hour = found[2] if closes == "hour" else "00"
    try:
        return datetime.fromisoformat(f"{found[1]}T{hour}:00:00")
    except ValueError:
        return None


def _end(start: datetime, closes: Interval, zone: ZoneInfo) -> datetime:
    step = timedelta(days=1) if closes == "day" else timedelta(hours=1)
    return (start + step).replace(tzinfo=zone).astimezone(UTC)


def _floor(at: datetime, closes: Interval) -> datetime:
    hour = at.hour if closes == "hour" else 0
    return at.replace(hour=hour, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)


def _stamped(name: str, zone: ZoneInfo) -> datetime | None:
    """The moment a marker's name holds; a date alone is the end of that day."""
    found = re.search(r"\d{4}-\d{2}-\d{2}(?:T[0-9:]+(?:Z|[+-]\d{2}:?\d{2})?)?", name)
    if not found:
        return None
    try:
        return parse_moment(found[0], zone)
    except UserError:
        return None
