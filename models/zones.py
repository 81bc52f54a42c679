"""Time zones by name: those that Python and the warehouse both know."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

OF_THIS_MACHINE = {"localtime", "posixrules"}  # files beside the zones; the warehouse knows no zones of such names


@cache
def zones() -> frozenset[str]:
    """All of them; finding them reads the folder of zones."""
    return frozenset(available_timezones() - OF_THIS_MACHINE)


def zone_name(value: object, allowed: str) -> str:
    """The name of a zone. Raises ValueError that ends in what is `allowed`."""
    if not isinstance(value, str) or value not in zones():
        message = f"'{value}' is not a time zone; write {allowed}"
        raise ValueError(message)
    return value
