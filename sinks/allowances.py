"""What an account may still be asked: the quota of its rows and the pace of its requests, both kept in the journal.

Read and written within the claim's transaction: all who share the journal count together and exactly, at no further
commit.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from models.quota import Quota
from sinks.journal_store import Connection, insert

USED_UP = "quota used up"  # how it begins to say so: it waits for time and not for a person
ENDLESS = sys.maxsize
SOON = 0.02  # seconds before its slot in which a claim is still the last look
_HOUR, _DAY = 3_600, 24  # seconds, hours
_DAYS_KEPT = 2  # a place is given back within a run's request, also past midnight

_USED = "select hour, used from quota_use where account = ? and hour between ? and ?"
_TAKEN = "insert into quota_use (account, hour, used)"
_COUNTED = "on conflict (account, hour) do update set used = quota_use.used + excluded.used"
_PACED = """
insert into pace (account, next_at, set_at) values (?, ?, ?)
on conflict (account) do update set next_at = excluded.next_at, set_at = excluded.set_at
"""


@dataclass(frozen=True)
class Allowance:
    """What the account of one sink may be asked. `now` is the delivery's own clock: quotas go by it."""

    account: str
    quota: Quota
    per_second: float | None
    now: Callable[[], datetime]

    @property
    def is_endless(self) -> bool:
        return self.quota.is_endless and not self.per_second


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows were counted. `hour`: since 1970, in UTC."""

    account: str
    hour: int


@dataclass(frozen=True, slots=True)
class Room:
    """How many rows may be claimed now, and where they count; `why`: what is used up, where it is nothing."""

    rows: int = ENDLESS
    place: Place | None = None
    why: str = ""


@dataclass
class Counts:
    """What accounts have used, as it will be after a commit that is being gathered: read once, written once."""

    connection: Connection
    _read: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)  # (account, midnight) → hour → rows
    _changes: Counter[Place] = field(default_factory=Counter)

    def room(self, allowance: Allowance) -> Room:
        """What is left of the quota at this moment."""
        quota, account = allowance.quota, allowance.account
        if quota.is_endless:
            return Room()
        hour = int(allowance.now().timestamp() // _HOUR)
        midnight = hour - hour % _DAY
        used = self._used(account, midnight)
        of_hour, of_day = used.get(hour, 0), sum(used.values())
        limit = quota.of_day(_moment(hour).date())
        told = "per_day" if limit == quota.per_day else "per_day, warming up"
        spans = [
            (most - used, ends, f"{most:,} rows {words}")
            for most, used, ends, words in (
                (quota.per_hour, of_hour, hour + 1, "an hour (per_hour)"),
                (limit, of_day, midnight + _DAY, f"a day ({told})"),
            )
            if most is not None
        ]
        left = max(min(left for left, _, _ in spans), 0)
        if left:
            return Room(left, Place(account, hour))
        ends, words = max((ends, words) for left, ends, words in spans if left <= 0)
        why = f"{USED_UP}: {account} may be sent {words}; it is free again at {_moment(ends).isoformat()}"
        return Room(0, None, f"{why}, the rest goes then")

    def take(self, place: Place, rows: int) -> None:
        """Count rows that are claimed."""
        self._changes[place] += rows
        used = self._read.get((place.account, place.hour - place.hour % _DAY))
        if used is not None:
            used[place.hour] = used.get(place.hour, 0) + rows

    def give_back(self, place: Place, rows: int) -> None:
        """Rows that were counted and certainly not processed."""
        self.take(place, -rows)

    def write(self) -> None:
        """As part of the commit; hours that nobody asks for any more are forgotten."""
        more = [(place.account, place.hour, rows) for place, rows in self._changes.items() if rows > 0]
        insert(self.connection, _TAKEN, more, _COUNTED)
        for place, rows in self._changes.items():
            if rows < 0:
                self.connection.execute(
                    "update quota_use set used = used + ? where account = ? and hour = ?",
                    [rows, place.account, place.hour],
                )
        for account in {account for account, _, _ in more}:
            long_ago = max(hour for each, hour, _ in more if each == account) - _DAYS_KEPT * _DAY
            self.connection.execute("delete from quota_use where account = ? and hour < ?", [account, long_ago])

    def _used(self, account: str, midnight: int) -> dict[int, int]:
        """Rows by hour of a day."""
        used = self._read.get((account, midnight))
        if used is None:
            last = midnight + _DAY - 1
            used = self._read[account, midnight] = dict(
                self.connection.execute(_USED, [account, midnight, last]).fetchall()
            )
            for place, rows in self._changes.items():
                if place.account == account and midnight <= place.hour <= last:
                    used[place.hour] = used.get(place.hour, 0) + rows
        return used


def is_early(connection: Connection, allowance: Allowance) -> bool:
    """Whether the account's next slot is so far away that too much could be said until then."""
    if not allowance.per_second:
        return False
    now = connection.clock()
    return _next_slot(connection, allowance, now) - now > SOON


def take_slot(connection: Connection, allowance: Allowance) -> float:
    """Take the account's next: when the request may leave, by the monotonic clock; 0 where there is no pace.

    Who asks first has the first, so that no process waits for another's last request.
    """
    if not allowance.per_second:
        return 0.0
    now, interval = connection.clock(), 1 / allowance.per_second
    slot = _next_slot(connection, allowance, now)
    # who comes a little late does not slow the account down: one slot that was missed is made up for
    connection.execute(_PACED, [allowance.account, max(slot, now - interval) + interval, now])
    return connection.here(max(slot, now))


def _next_slot(connection: Connection, allowance: Allowance, now: float) -> float:
    """By the journal's clock; 0 where none was taken.

    A clock that begins anew with its machine: what was set later than now was set before that.
    """
    found = connection.execute("select next_at, set_at from pace where account = ?", [allowance.account]).fetchone()
    return float(found[0]) if found and found[1] <= now else 0.0


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * _HOUR, UTC)
