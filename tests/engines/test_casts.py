"""A cast that is tried takes the same texts on every engine, and makes the same values of them."""

import math
from datetime import datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.agreement import SETTINGS, TEXTS, agreed, several, values

NUMBERS = [
    "1", "1.5", "2.5", "-0.5", "-1.5", " 1 ", "1e5", "1e400", "-1e400", "1.5e-400", "-0", "0", "nan", "NaN", "inf",
    "-inf", "Infinity", "+inf", "1_000", "1__0", "_1", "1_", "1,5", "1.", ".", " .5", "1e", "1e+5", "+1", "--1", "",
    "  ", "true", "1\n", "\t1", "1\u00a0", "1d", "1.5.5", "1e5.5", "\u0661", "1e308", "1.8e308", "2e-324", "5.e3", "-",
    "e5", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "9223372036854775807.4", "1e18", "1e19",
    "2147483647", "2147483648", "2147483647.4", "2147483647.5", "1.4999", "25e-1", "12.55e1", "00012", "1.005", "1.015",
    "-1.005", "5e-3", "9999999999999999.99", "9999999999999999.995", "99999999999999999", "1e16", "1e15", "1.005e0",
    "12345.678e-2", "-0.001", "1e-40", "0.1", "123456789012345678901234567890", "1" * 400, "x", "null",
]  # fmt: skip
BOOLEANS = ["true", "TRUE", "t", "f", "False", "1", "0", "yes", "No", "y", "n", "on", "off", " true ", "2", "", "01"]
DAYS = [
    "2024-01-31", "2024-02-30", "2024-1-5", "20240101", "2024/01/05", "2024-01/05", "2024-01-05 10:00", " 2024-01-05 ",
    "now", "today", "epoch", "24-01-05", "2024-01-05T10:00:00Z", "Jan 1 2024", "2024.01.05", "2024 01 05",
    "", "2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-13-01", "2024-00-01", "2024-04-31", "2024-001-01",
    "2024-01-001", "2024-01-05abc", "\t2024-01-05", "2024-01-05\n", "2024-01-05 x", "2024\\01\\05", "yesterday",
]  # fmt: skip
TIMES = [
    *(day for day in DAYS if day != "\t2024-01-05"), "2024-01-05 10:20:30", "2024-01-05T10:20:30Z",
    "2024-01-05T10:20:30z", "2024-01-05T10:20:30+02:00", "2024-01-05T10:20:30+02", "2024-01-05T10:20:30+0200",
    "2024-01-05T10:20:30-02:30", "2024-01-05 10:20:30 +02:00", "2024-01-05 10:20:30 UTC", "2024-01-05 10:20",
    "2024-01-05T10:20Z", "2024-01-05 10", "2024-01-05T10:20:30.1", "2024-01-05T10:20:30.123456Z",
    "2024-01-05T10:20:30.123456789Z", "2024-01-05T10:20:30.9999999", "2024-01-05T10:20:30.", "2024-01-05T10:20:30.Z",
    "2024-01-05T24:00:00", "2024-01-05T24:00:01", "2024-01-05T23:59:60", "2024-01-05T25:00:00", "2024-01-05T10:60:00",
    "2024-1-5 1:2:3", "2024-01-05  10:20:30", " 2024-01-05 10:20:30 ", "20240105T102030Z", "2024-01-05t10:20:30",
    "2024-01-05T10:20:30-08:00:30", "2024-01-05T10:20:30+2", "2024-01-05T10:20:30+16:00", "2024-01-05T10:20:30+02:5",
    "2024-01-05Z", "2024-01-05 UTC", "2024-01-05 10:20:30.5 +02:00", "2024/01/05 10:20:30", "2024-01-05T10:20:30Z ",
    "2024-01-05T10:20:30 Z", "2024-01-05T10:20:30,5", "2024-01-05_10:20:30", "2024-01-05T", "1704448830", "10:20:30",
    "2024-01-05 1020", "2024-01-05 10:20:30 PM", "2024-02-29T10:20:30Z", "2023-02-29T10:20:30Z", "2024-03-31 02:30:00",
    "2024-01-31T23:59:59+14:00", "0999-01-01T00:00:00Z",
]  # fmt: skip
ZONED = ["Europe/Berlin", "America/New_York", "GMT", "CET", "nope", "Etc/GMT+5"]
TRIED = {
    "double": NUMBERS,
    "bigint": NUMBERS,
    "integer": NUMBERS,
    "decimal(18,2)": NUMBERS,
    "decimal(18, 2)": NUMBERS[:5],
    "decimal(5,0)": [number for number in NUMBERS if number != "5e-3"],
    "boolean": BOOLEANS,
    "date": DAYS,
    "timestamp": TIMES,
    "timestamptz": [*TIMES, *(f"2024-10-27 02:30:00 {zone}" for zone in ZONED), "2024-03-31 02:30:00 Europe/Berlin"],
    "varchar": TEXTS,
}


@pytest.mark.parametrize("kind", TRIED)
def test_a_cast_that_is_tried_takes_the_same_texts(both, kind):
    """And makes the same values of them; of the others null, and of null."""
    tried = [*TRIED[kind], None]
    agreed(both, lambda dialect: [dialect.try_cast(dialect.literal(text), kind) for text in tried])


def test_a_zone_is_known_whatever_its_case(beside_postgres):
    """But on Spark, by its exact name only."""
    said = agreed(
        beside_postgres, lambda dialect: [dialect.try_cast("'2024-10-27 02:30:00 europe/berlin'", "timestamptz")]
    )
    assert said != [None]


@SETTINGS
@given(several(st.text(st.sampled_from("0123456789-+.e_ T:Z/"), max_size=12)), st.sampled_from([*TRIED]))
def test_a_cast_that_is_tried_takes_the_same_of_any_signs(both, texts, kind):
    """Texts of digits and what stands between them, in any order; but for years before the first, and what is below."""
    texts = [text for text in texts if not text.strip().startswith(("-", "0"))]
    texts = [text for text in texts if "e-" not in text or "decimal" not in kind]
    if texts:
        agreed(both, lambda dialect: [dialect.try_cast(dialect.literal(text), kind) for text in texts])


@pytest.mark.parametrize(
    ("text", "kind"), [("5e-4", "decimal(18,2)"), ("5e-3", "decimal(5,0)"), ("5e-40", "decimal(5,0)")]
)
def test_next_to_nothing_is_nothing_on_postgresql(beside_postgres, text, kind):
    """DuckDB rounds up digits that are further away than the exponent lets them be."""
    said = [values(each, [each.dialect.try_cast(f"'{text}'", kind)])[0] for each in beside_postgres]
    assert said[0] > said[1] == 0


@SETTINGS
@given(several(st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31))), st.sampled_from(["", "Z", "+05:45", "-08"]))  # noqa: DTZ001
def test_any_moment_is_read_the_same(both, moments, zone):
    texts = [moment.isoformat() + zone for moment in moments]
    agreed(both, lambda dialect: [dialect.try_cast(dialect.literal(text), "timestamptz") for text in texts])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *product(("infinity", "-infinity", "-0044-03-15", "0000-01-01"), ("date", "timestamp")),
        ("infinity", "timestamptz"),
        ("0x10", "bigint"),
    ],
)
def test_what_only_duckdb_casts_is_null_on_postgresql(beside_postgres, text, kind):
    """No end, years before the first and hexadecimal digits."""
    for each, is_null in zip(beside_postgres, (False, True), strict=True):
        assert values(each, [f"{each.dialect.try_cast(each.dialect.literal(text), kind)} is null"]) == [is_null]


def test_doubles_that_are_no_usual_number_are_cast_the_same(both):
    """What is no number, what has no end, and the zero below zero, on each engine."""
    for engine in both:
        read = values(engine, [engine.dialect.try_cast(f"'{text}'", "double") for text in ("nan", "-inf", "-0")])
        assert math.isnan(read[0])
        assert read[1:] == [-math.inf, 0]
        assert math.copysign(1, read[2]) == -1
