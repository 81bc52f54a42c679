"""Which clock a run has: what was asked for, else now. Fixed once at the start and passed on from there."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from assets import configuration
from models.clock import Clock, parse_moment
from models.errors import UserError
from models.policy import Policy
from models.settings import Settings
from models.times import YEARS

FIRST, LAST = date(YEARS[0], 1, 1), date(YEARS[1], 12, 31)  # of the days that people may ask for


def policy(settings: Settings) -> Policy:
    """What holds for the whole project."""
    return configuration.policy(settings)


def zone(settings: Settings) -> ZoneInfo:
    """The project's time zone: a day ends there."""
    return policy(settings).zone_info


def clock(settings: Settings, as_of: str | None = None) -> Clock:
    """The clock written as `as_of`, else now. In prod none is ahead of now: what ran by it cannot be taken back."""
    now = datetime.now(UTC)
    if not as_of:
        return Clock.at(now)
    found = Clock.at(parse_moment(as_of, zone(settings)))
    if settings.target == "prod" and found.as_of > now and not found.is_now(now):
        message = f"'{as_of}' is ahead of now: in prod nothing runs as of {found.as_of.astimezone(UTC).isoformat()}"
        raise UserError(message)
    return found


def last_whole_day(settings: Settings, clock: Clock) -> date:
    """The last day that is over at the clock; a day is over from its last microsecond on."""
    after = (clock.as_of + timedelta(microseconds=1)).astimezone(zone(settings))
    return after.date() - timedelta(days=1)


def day(text: str) -> date:
    """`2026-11-24`. Raises UserError for anything else."""
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        message = f"'{text}' is not a day; write it like 2026-11-24"
        raise UserError(message) from error
    if not FIRST <= found <= LAST:
        message = f"'{text}' is out of range; allowed: {FIRST} to {LAST}"
        raise UserError(message)
    return found
