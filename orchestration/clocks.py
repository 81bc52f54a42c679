"""Which clock a run has: what was asked for, else now. Fixed once at the start and passed on from there."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from assets import configuration
from models.clock import Clock, parse_moment
from models.settings import Settings


def zone(settings: Settings) -> ZoneInfo:
    """The project's time zone: a day ends there."""
    return configuration.policy(settings).zone_info


def clock(settings: Settings, as_of: str | None = None) -> Clock:
    """The clock written as `as_of`, else now."""
    return Clock.at(parse_moment(as_of, zone(settings)) if as_of else datetime.now(UTC))
