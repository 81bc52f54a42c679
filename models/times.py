"""How configuration writes time: durations, times of day, weekdays, zones and moments without one."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from models.zones import zone_name

UNITS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
LONGEST = 3650 * 86_400  # seconds that a duration may have: ten years; the engine counts to some 300,000
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RECIPIENT = "recipient"
YEARS = (1970, 2999)  # that somebody may mean


def seconds(text: str) -> int:
    """`4 hours` → 14400. Raises ValueError."""
    found = re.fullmatch(r"([1-9][0-9]*) (minute|hour|day|week)s?", text)
    if not found:
        message = f"'{text}' is not a duration; write one like 30 minutes, 4 hours, 1 day or 2 weeks"
        raise ValueError(message)
    total = int(found[1][:12]) * UNITS[found[2]]  # Python makes no number of thousands of digits
    if total > LONGEST:
        message = f"'{text}' is longer than ten years; allowed: at most 3650 days"
        raise ValueError(message)
    return total


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    return timedelta(seconds=seconds(str(value)))


def in_words(value: timedelta) -> str:
    """`4 hours`, as `seconds` reads it."""
    total = int(value.total_seconds())
    unit = next(name for name in ("week", "day", "hour", "minute") if total % UNITS[name] == 0)
    count = total // UNITS[unit]
    return f"{count} {unit}{'s' if count > 1 else ''}"


DURATION_SCHEMA = {"type": "string", "pattern": r"^[1-9][0-9]* (minute|hour|day|week)s?$"}
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(in_words),
    WithJsonSchema(DURATION_SCHEMA),
]


def _clock(value: object) -> object:
    """`09:00`. What is no text is told as it is written."""
    if not isinstance(value, time):
        value = str(value)
        if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
            message = f"'{value}' is not a time of day; write one like \"09:00\""
            raise ValueError(message)
        return time.fromisoformat(value)
    return value


_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
TimeOfDay = Annotated[
    time,
    BeforeValidator(_clock),
    PlainSerializer(lambda value: value.strftime("%H:%M")),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME}$"}),
]


def _zone(value: object) -> object:
    return value if value == RECIPIENT else zone_name(value, "`recipient`, or a name like Europe/Berlin")


Zone = Annotated[str, BeforeValidator(_zone)]


class When(BaseModel):
    """A moment that comes again: `09:00`, `monday 09:00`, or for entries also `month 09:00` (its first day)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: Literal["day", "month", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    at: TimeOfDay

    @model_validator(mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        if isinstance(value, int | float):
            return {"day": "day", "at": value}
        if isinstance(value, str):
            day, _, at = value.rpartition(" ")
            if day and day not in ("day", "month", *WEEKDAYS):
                message = f"'{day}' is no day; allowed: day, {', '.join(WEEKDAYS)}, month"
                raise ValueError(message)
            return {"day": day or "day", "at": at}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        text = {"type": "string", "pattern": f"^(({'|'.join(('day', *WEEKDAYS, 'month'))}) )?{_TIME}$"}
        return {"anyOf": [text, handler(core)]}


_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?)?$"
_ZONE = re.compile(r"(?<=:[0-9]{2}) ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$")


def _local(value: object) -> object:
    written = str(value)
    if _ZONE.search(written):
        raise ValueError("write the moment without a zone; `zone` says which")
    message = f"'{value}' is not a moment; write one like 2026-12-01 09:00"
    if not re.fullmatch(_MOMENT, written):
        raise ValueError(message)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise ValueError(message) from error
    if not YEARS[0] <= moment.year <= YEARS[1]:
        message = f"'{value}' is out of range; allowed: the years {YEARS[0]} to {YEARS[1]}"
        raise ValueError(message)
    return moment


LocalMoment = Annotated[datetime, BeforeValidator(_local), WithJsonSchema({"type": "string", "pattern": _MOMENT})]
