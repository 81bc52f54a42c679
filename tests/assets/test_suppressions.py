"""Who said no, handed over to the journal."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from assets.suppressions import copy_suppressions, position_known
from sinks.journal import Journal
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB

AT = datetime(2026, 11, 1, tzinfo=UTC)
MANY = 200_000


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with DuckDB(Path(":memory:")) as opened:
        batches.prepare(opened)
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as opened:
        yield opened


def refuse(warehouse: Warehouse, count: int, granted: int = 0) -> None:
    """So many people said no to marketing, and so many yes."""
    warehouse.execute(
        "create or replace table consent as select i || '@x' as contact_point, 'marketing' as purpose, "
        f"timestamptz '2026-01-01' as decided_at, i >= {count} as granted, false as suppressed "
        f"from range({count + granted}) as numbers (i)"
    )


def copy(warehouse: Warehouse, journal: Journal) -> int:
    return copy_suppressions(warehouse, journal, "salt", AT)


def test_a_journal_is_told_of_each_no_once(warehouse: Warehouse, journal: Journal) -> None:
    """A refresh hands over what is new, and another journal is told of everybody."""
    refuse(warehouse, 3, granted=5)
    assert copy(warehouse, journal) == 3
    refuse(warehouse, 4)
    assert copy(warehouse, journal) == 1
    told = warehouse.rows("select batch_id, count(*) as n from tailrace.suppression_told group by batch_id order by n")
    assert [row["n"] for row in told] == [1, 3]
    assert position_known(warehouse, journal) == journal.suppression_position() == 4
    with Journal(journal.place.with_name("another.sqlite")) as another:
        assert copy(warehouse, another) == 4


def test_who_says_no_again_later_is_told_again(warehouse: Warehouse, journal: Journal) -> None:
    """The moment is part of it: whoever agreed and refused again in between is suppressed anew."""
    refuse(warehouse, 2)
    copy(warehouse, journal)
    warehouse.execute("update consent set decided_at = timestamptz '2026-02-01' where contact_point = '1@x'")
    assert copy(warehouse, journal) == 1


def test_memory_does_not_grow_with_who_said_no(warehouse: Warehouse, journal: Journal) -> None:
    """However many there are, some thousands are in memory at a time: all of them as rows would take 100 MB."""
    refuse(warehouse, MANY)
    tracemalloc.start()
    try:
        assert copy(warehouse, journal) == MANY
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
