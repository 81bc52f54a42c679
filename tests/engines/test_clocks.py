"""Clocks, days and seconds are the same on every engine, at both edges of daylight saving too."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.engines.agreement import agreed, values

MOMENTS = [
    datetime(2024, 2, 29, 12, 0, 0, 500_000, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC),
    datetime(2024, 3, 31, 1, 0, 0, tzinfo=UTC),
    datetime(2024, 10, 27, 0, 30, 0, tzinfo=UTC),
    datetime(2024, 10, 27, 1, 30, 0, tzinfo=UTC),
    datetime(2024, 11, 3, 5, 30, 0, tzinfo=UTC),
    datetime(2024, 11, 3, 6, 30, 0, tzinfo=UTC),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9000, 1, 1, tzinfo=UTC),
]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "europe/berlin"]
EXACT = "europe/berlin"  # a name that Spark does not know in small letters


@pytest.mark.parametrize("zone", ZONES)
def test_clocks_show_the_same(both, zone):
    """What clocks show at a moment, the day of the week, the minute in UTC, and how long one is after another."""
    if zone == EXACT and both[1].dialect.name == "spark":
        pytest.skip("Spark knows zones by their exact names; docs/engines.md says so")

    def written(dialect, moment):
        literal = dialect.literal(moment)
        local = dialect.local_time(literal, dialect.literal(zone))
        return [
            local,
            dialect.weekday(local),
            dialect.utc_time(local, dialect.literal(zone)),
            dialect.moment_text(literal),
            dialect.seconds_between(dialect.literal(MOMENTS[0]), literal),
            dialect.seconds_between(f"date_trunc('day', {local})", local),
            *(dialect.window_end(literal, seconds) for seconds in (1, 100, 3600, 86_400, 604_800)),
            *(dialect.plus_seconds(literal, seconds) for seconds in ("1", "-1", "86400 * 400", "0.5", "null")),
            dialect.plus_seconds(local, "cast(90 as bigint)"),
        ]

    agreed(both, lambda dialect: [each for moment in MOMENTS[:-2] for each in written(dialect, moment)])
    agreed(both, lambda dialect: [dialect.seconds_between(*map(dialect.literal, MOMENTS[-2:]))])


LOCAL = {
    "Europe/Berlin": [f"2024-03-31 {t}" for t in ("01:59:59", "02:00:00", "02:30:00", "03:00:00")]
    + [f"2024-10-27 {t}" for t in ("01:59:59", "02:00:00", "02:30:00", "02:59:59", "03:00:00")],
    "America/New_York": [f"2024-03-10 {t}" for t in ("01:59:59", "02:00:00", "02:30:00", "03:00:00")]
    + [f"2024-11-03 {t}" for t in ("00:59:59", "01:00:00", "01:30:00", "02:00:00")],
    "Australia/Lord_Howe": ["2024-10-06 02:15:00", "2024-04-07 01:45:00"],
    "Europe/Dublin": ["2024-03-31 01:30:00", "2024-10-27 01:30:00"],
    "Pacific/Apia": ["2011-12-30 12:00:00"],
}


@pytest.mark.parametrize("zone", LOCAL)
def test_local_times_are_the_same_moments_at_both_edges(both, zone):
    """Of a time that there is twice the later; one that there is not is as much later as the clock jumped."""
    agreed(both, lambda dialect: [dialect.utc_time(local_time(dialect, text), f"'{zone}'") for text in LOCAL[zone]])


def test_the_later_of_two_and_the_jump_as_such(both):
    """The law in words, without the other engine."""
    berlin = [dialect_time(both[1], text) for text in ("2024-10-27 02:30:00", "2024-03-31 02:30:00")]
    assert berlin == [datetime(2024, 10, 27, 1, 30, tzinfo=UTC), datetime(2024, 3, 31, 1, 30, tzinfo=UTC)]


def dialect_time(warehouse, local):
    return values(warehouse, [warehouse.dialect.utc_time(local_time(warehouse.dialect, local), "'Europe/Berlin'")])[0]


def local_time(dialect, text):
    return f"cast('{text}' as {dialect.kind('timestamp')})"
