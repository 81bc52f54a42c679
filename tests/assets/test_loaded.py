"""Until when a source is loaded, by the names of its files."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from assets.loaded import unbroken

BERLIN, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")


def hours(day: str, *numbers: int) -> list[str]:
    return [f"shop/{day}T{number:02}.ndjson" for number in numbers]


@pytest.mark.parametrize(
    ("names", "until"),
    [
        (["2026-11-24_23.ndjson"], "2026-11-25T00"),
        (["2026-11-24.ndjson", "2026-11-25-07.ndjson", "2026-11-27.ndjson"], "2026-11-26T00"),
        (["2026-11-24_01.ndjson", "2026-11-24_02.ndjson"], "2026-11-25T00"),
        (["2026-11-24_99.ndjson"], "2026-11-25T00"),
        (["2026-03-28.ndjson", "2026-03-29.ndjson"], "2026-03-30T00"),
        (["2026-02-30.ndjson", "orders.ndjson"], None),
    ],
)
def test_a_day_is_closed_by_its_file_whatever_else_the_name_says(names: list[str], until: str | None) -> None:
    """What follows the date is a number like any other: the gate never opens past the end of the day."""
    wanted = until and datetime.fromisoformat(until).replace(tzinfo=BERLIN).astimezone(UTC)
    assert unbroken(names, "day", BERLIN) == wanted


@pytest.mark.parametrize(
    ("names", "until"),
    [
        (hours("2026-06-01", 0, 1, 2, 4), "2026-06-01T01:00"),
        ([*hours("2026-06-01", 22, 23), *hours("2026-06-02", 0)], "2026-06-01T23:00"),
        (hours("2026-03-29", 0, 1), "2026-03-29T01:00"),
        (hours("2026-03-29", 0, 1, 3), "2026-03-29T02:00"),  # two o'clock does not exist …
        (hours("2026-03-29", 0, 1, 2, 3, 4), "2026-03-29T03:00"),  # … and does no harm
        (hours("2026-03-29", 0, 1, 4), "2026-03-29T01:00"),
        (hours("2026-10-25", 0, 1), "2026-10-25T00:00"),
        (hours("2026-10-25", 0, 1, 2), "2026-10-25T02:00"),  # two o'clock comes twice
        (hours("2026-10-25", 0, 1, 2, 3), "2026-10-25T03:00"),
        (["shop/2026-06-01.ndjson"], None),
    ],
)
def test_hours_are_those_that_clocks_show(names: list[str], until: str | None) -> None:
    """In Berlin the hour that is left out is no hole, and the one that comes twice is over when both are; in UTC."""
    wanted = until and datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert unbroken(names, "hour", BERLIN) == wanted


@pytest.mark.parametrize("day", ["2026-04-05", "2026-10-04"])
def test_a_change_by_half_an_hour_leaves_no_hole(day: str) -> None:
    """Where clocks change by thirty minutes, the day's hours are unbroken to its end."""
    end = datetime.fromisoformat(day).replace(hour=12, tzinfo=LORD_HOWE)
    assert unbroken(hours(day, *range(12)), "hour", LORD_HOWE) == end.astimezone(UTC)
