"""A cast that is tried takes the same texts on every engine, and makes the same values of them."""

import math
from datetime import datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.ledger import _lost
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
SINGLE = [  # about the largest and the smallest that four bytes hold
    "1e39", "-1e39", "3.4028235e38", "3.4028236e38", "1e-50", "-1e-50", "1e-45", "7e-46", "0.1", "16777217", "n/a",
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
    "float": [*NUMBERS, *SINGLE],
    "real": SINGLE,
    "bigint": NUMBERS,
    "integer": NUMBERS,
    "decimal(18,2)": NUMBERS,
    "decimal(18, 2)": NUMBERS[:5],
    "decimal(5,0)": [number for number in NUMBERS if number != "5e-3"],
    "boolean": BOOLEANS,
    "date": DAYS,
    "timestamp": TIMES,
    "timestamptz": [*TIMES, *(f"2024-10-27 02:30:00 {zone}" for zone in ZONED), "2024-03-31 02:30:00 Europe/Berlin"],
    "timestamp with time zone": TIMES[:5],
    "json": ["n/a", "", "{}", "[1]", "null", '{"a":', '{"a":1}x', " 1 "],
    "varchar": TEXTS,
}


@pytest.mark.parametrize("kind", TRIED)
def test_a_cast_that_is_tried_takes_the_same_texts(both, kind):
    """And makes the same values of them; of the others null, and of null."""
    tried = [*TRIED[kind], None]
    agreed(both, lambda dialect: [dialect.try_cast(dialect.literal(text), kind) for text in tried])


HOURS = [
    "10:20:30", "10:20", "1:2:3", "10", "24:00:01", "23:59:60", "25:00:00", "10:20:30.5", "10:20:30.1234567",
    " 10:20:30 ", "now", "allballs", "102030", "10:20:30Z", "10:60:00", "", "10:20:30.", "-10:20:30", "n/a",
]  # fmt: skip


def test_a_time_of_day_is_tried_on_postgresql(beside_postgres):
    """No word for now is one."""
    agreed(beside_postgres, lambda dialect: [dialect.try_cast(dialect.literal(text), "time") for text in HOURS])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uuid", "0f1e2d3c-0000-4000-8000-000000000000"), ("time", "10:20:30"), ("json", "{}"), ("interval", "1 day"),
        ("float", "1.5"), ("smallint", "1"), ("utinyint", "1"), ("hugeint", "1"), ("bigint[]", None),
        ("varchar[]", None), ("date[]", None),
    ],
)  # fmt: skip
def test_no_cast_that_is_tried_fails(both, kind, value):
    """Of rows too, whatever the type: what is none of it is null."""
    for each in both:
        if each.dialect.name == "spark" and kind in {"uuid", "time"}:  # no types of its
            continue
        texts = ("n/a", *([value] if value else []), None)
        rows = " union all ".join(f"select {each.dialect.literal(text)} as said" for text in texts)
        found = each.rows(f"select {each.dialect.try_cast('said', kind)} is null as is_null from ({rows}) as listed")
        assert sorted(row["is_null"] for row in found) == [*([False] if value else []), True, True]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n/a", "float"), ("n/a", "bigint[]"), ("n/a", "json"), ("1.5", "float"), ("n/a", "timestamp with time zone"),
        (["a", "b"], "bigint[]"), (["1", "2"], "bigint[]"), (["a"], "json"), (["a"], "float"), (["1"], "varchar"),
    ],
)  # fmt: skip
def test_a_kept_value_is_read_in_any_other_type(both, text, wanted):
    """As a plan reads a ledger whose column had another type: a value of the other, or it is lost."""
    for each in both:
        dialect = each.dialect
        kept = dialect.text_list(text) if isinstance(text, list) else dialect.literal(text)
        kind = "varchar[]" if isinstance(text, list) else "varchar"
        row = f"select {kept} as v"
        lost = f"select {dialect.try_cast('v', wanted)} is null as is_null, {_lost(dialect, 'v', kind, wanted)} as lost"
        found = each.rows(f"{lost} from ({row}) as kept")[0]
        assert found["lost"] or not found["is_null"]


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
