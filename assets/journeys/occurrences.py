"""When campaigns come: the local times of `at` and `every` that some clock on earth has shown since the last tick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from assets.journeys.program import Last, Version
from models.clock import Clock
from models.journey import Entry
from models.times import RECIPIENT, WEEKDAYS

WORLD = timedelta(days=2)  # clocks on earth differ by 26 hours
EAST = timedelta(hours=14)  # the first clock that shows a local time is this far ahead of UTC …
WEST = timedelta(hours=12)  # … and the last one this far behind
APART = timedelta(minutes=15)  # no two clocks differ by less
_SCHEMA = pa.schema(
    {
        "pv": pa.int32(),
        "local_at": pa.timestamp("us"),
        "zone": pa.string(),
        "zone_at": pa.timestamp("us", "UTC"),
    }
)


def of(versions: Mapping[int, Version], clock: Clock, last: Mapping[str, Last]) -> pa.Table:
    """One row a version (by its number in the program) and local time. Which of them are due, the zones decide."""
    rows = [
        {"pv": pv, "local_at": local, "zone": version.journey.entry.zone, "zone_at": local.replace(tzinfo=UTC) - EAST}
        for pv, version in versions.items()
        for local in _local_times(
            version.journey.entry, max(version.published_at, last.get(version.name, Last()).as_of), clock.as_of
        )
    ]
    return pa.Table.from_pylist(rows, _SCHEMA)


def has_come(found: pa.Table, versions: Mapping[int, Version], clock: Clock, last: Mapping[str, Last]) -> bool:
    """Whether some clock may have shown one of these times since the version's last tick."""
    return any(
        _is_shown(row["local_at"].replace(tzinfo=UTC), last.get(versions[row["pv"]].name, Last()).as_of, clock.as_of)
        for row in found.to_pylist()
    )


def _is_shown(local: datetime, after: datetime, until: datetime) -> bool:
    first = local - EAST
    steps = max((after - first) // APART + 1, 0)  # the next clock after `after`
    return first + steps * APART <= min(until, local + WEST)


def last_moment(local: datetime, zone: str) -> datetime:
    """When the last clock that counts shows this local time: the zone's, or of recipients that of any on earth."""
    if zone == RECIPIENT:
        return local.replace(tzinfo=UTC) + WEST
    # of one that is shown twice the later; one that is left out is as much later as the clock jumped
    return max(local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))


def _local_times(entry: Entry, after: datetime, until: datetime) -> Iterator[datetime]:
    first, end = (after - WORLD).replace(tzinfo=None), (until + WORLD).replace(tzinfo=None)
    if entry.at and first <= entry.at <= end:
        yield entry.at
    if not entry.every:
        return
    day = first.date()
    while day <= end.date():
        if entry.every.day in ("day", WEEKDAYS[day.weekday()]) or (entry.every.day == "month" and day.day == 1):
            yield datetime.combine(day, entry.every.at)
        day += timedelta(days=1)
