"""Time as an argument: the two clocks every model and decision reads, and how a person writes one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from models.errors import UserError

NOW = timedelta(hours=1)  # a run's clock is fixed when it is launched; what it waits for takes minutes


@dataclass(frozen=True)
class Clock:
    """`as_of` bounds which events count (event time), `known_by` which had arrived (load time). Both UTC."""

    as_of: datetime
    known_by: datetime

    @classmethod
    def at(cls, moment: datetime) -> Clock:
        """The clock of a run on time: it counts and knows everything up to `moment`."""
        moment = moment.astimezone(UTC)
        return cls(moment, moment)

    def is_now(self, at: datetime) -> bool:
        """Whether a run that reaches this point at the real time `at` was launched as of now."""
        return abs(at - self.as_of) <= NOW


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The last microsecond of `day` in `zone`, in UTC."""
    return datetime.combine(day, time.max, zone).astimezone(UTC)


def parse_moment(text: str, zone: ZoneInfo) -> datetime:
    """`2026-11-24` (the end of that day in `zone`) or an ISO moment (in `zone` unless it says otherwise), in UTC.

    Raises UserError for anything else.
    """
    try:
        if len(text) == len("2026-11-24"):
            return end_of_day(date.fromisoformat(text), zone)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the first and last day of all have no moment in every zone
        message = f"'{text}' is not a date (2026-11-24) or a moment (2026-11-24T09:30:00+00:00)"
        raise UserError(message) from error
