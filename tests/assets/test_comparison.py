"""Two tables are the same when their rows say the same, in whatever types; what differs is counted."""

from pathlib import Path

import pytest

from assets.comparison import Compared, compare
from warehouse.duckdb import DuckDB

MEMORY = Path(":memory:")


def compared(first: str | None, second: str | None, *volatile: str) -> Compared:
    """Tables of these queries' rows, or none, beside each other."""
    with DuckDB(MEMORY) as one, DuckDB(MEMORY) as other:
        for warehouse, query in ((one, first), (other, second)):
            if query is not None:
                warehouse.create_table("things", query)
        return compare(one, other, "things", volatile)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("select 1::int as a", "select 1::hugeint as a"),
        ("select 1.50::decimal(18,2) as a", "select 1.5::decimal(5,1) as a"),
        ("select 100::decimal(18,2) as a", "select 100::bigint as a"),
        ("select 0.1::double + 0.2 as a", "select 0.3::double as a"),
        ("select -0.0::double as a", "select 0.0::double as a"),
        ("select timestamptz '2026-03-29 03:00:00+02' as a", "select timestamptz '2026-03-29 01:00:00Z' as a"),
        ("select ['a', null] as a", "select ['a', null] as a"),
        ("select null::varchar as a", "select null::bigint as a"),
        ("select 1 as a, 2 as b union all select 3, 4", "select 4 as b, 3 as a union all select 2, 1"),
    ],
)
def test_what_says_the_same_is_the_same(first, second):
    """Types, scales, zones, the order of rows and columns, and the last digits of a float are the engine's affair."""
    assert compared(first, second).is_same


@pytest.mark.parametrize(
    ("first", "second", "differing"),
    [
        ("select null::varchar as a", "select '' as a", 2),
        ("select null::varchar as a", "select chr(31) as a", 2),
        ("select ['a', null] as a", "select ['a', ''] as a", 2),
        ("select ['a', 'b'] as a", "select ['a1:b'] as a", 2),
        ("select []::varchar[] as a", "select null::varchar[] as a", 2),
        ("select 'a' as a, null::varchar as b", "select null::varchar as a, 'a' as b", 2),
        ("select 100::bigint as a", "select 10::bigint as a", 2),
        ("select 1.5::double as a", "select 1.5001::double as a", 2),
        ("select timestamptz '2026-01-01 00:00:00Z' as a", "select timestamptz '2026-01-01 00:00:00.000001Z' as a", 2),
        ("select 1 as a union all select 1", "select 1 as a", 1),
        ("select 1 as a where false", "select 1 as a", 1),
    ],
)
def test_what_differs_is_counted(first, second, differing):
    """A row that only one has, or has more often."""
    found = compared(first, second)
    assert (found.differing, found.is_same) == (differing, False)


def test_columns_and_tables_that_only_one_has_are_told():
    """What both have of a table is compared all the same; of a table that is not there all rows differ."""
    assert compared("select 1 as a, 2 as b", "select 1 as a, 3 as c") == Compared("things", 1, 1, 0, ("b", "c"))
    assert not compared("select 1 as a, 2 as b", "select 1 as a").is_same
    assert compared("select 1 as a", None) == Compared("things", 1, None, 1)
    assert compared(None, "select 1 as a where false") == Compared("things", None, 0, 0)
    assert not compared(None, "select 1 as a where false").is_same


def test_volatile_columns_do_not_count():
    """A clock of ours and a run's id are left out on both sides, also where only one has them."""
    assert compared("select 1 as a, 'run 1' as run_id", "select 1 as a, 'run 2' as run_id", "run_id").is_same
    assert compared("select 1 as a, 'run 1' as run_id", "select 1 as a", "run_id").is_same
