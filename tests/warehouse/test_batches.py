"""Rows show when their batch is committed, all at once, and never otherwise."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from models.errors import WarehouseVersion
from warehouse import batches, metadata
from warehouse.duckdb import DuckDB

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def warehouse(tmp_path):
    with DuckDB(tmp_path / "warehouse.duckdb") as opened:
        batches.prepare(opened)
        batches.create_log(opened, "tailrace.notes", {"note": "varchar"})
        yield opened


def notes(warehouse):
    return sorted(row["note"] for row in warehouse.rows("select note from tailrace.notes"))


def table(*values):
    return pa.table({"note": pa.array(values, pa.string())})


def test_nothing_shows_before_the_commit(warehouse):
    """Rows of several appends, by query and by Arrow, become visible in one."""
    batch = batches.Batch(warehouse, "b")
    assert batch.append("tailrace.notes", "select 'one' as note") == 1
    assert batch.append("tailrace.notes", table("two", "three")) == 2
    assert notes(warehouse) == []
    assert batch.commit(NOW)
    assert notes(warehouse) == ["one", "three", "two"]


def test_an_interrupted_append_is_replaced_by_its_repetition(warehouse):
    """What an id that never became visible left behind goes when it is appended again."""
    batches.Batch(warehouse, "b").append("tailrace.notes", table("half"))
    again = batches.Batch(warehouse, "b")
    again.append("tailrace.notes", table("whole"))
    again.commit(NOW)
    assert notes(warehouse) == ["whole"]
    assert warehouse.rows("select count(*) as n from tailrace.notes__log") == [{"n": 1}]


def test_a_visible_batch_is_never_rewritten(warehouse):
    """Appending and committing an id again does nothing, and says so."""
    batch = batches.Batch(warehouse, "b")
    batch.append("tailrace.notes", table("first"))
    batch.commit(NOW)
    again = batches.Batch(warehouse, "b")
    assert again.append("tailrace.notes", table("second")) == 0
    assert not again.commit(NOW)
    assert notes(warehouse) == ["first"]


def test_a_batch_that_replaces_others_takes_their_place_at_once(warehouse):
    """Compaction: readers see the old rows until the commit and the new ones from it on."""
    for name in ("a", "b"):
        batch = batches.Batch(warehouse, name)
        batch.append("tailrace.notes", table(name))
        batch.commit(NOW)
    compacted = batches.Batch(warehouse, "a+b", replaces=("a", "b"))
    compacted.append("tailrace.notes", table("ab"))
    assert notes(warehouse) == ["a", "b"]
    compacted.commit(NOW)
    assert notes(warehouse) == ["ab"]
    assert batches.is_committed(warehouse, "a")


def test_an_empty_batch_is_a_batch(warehouse):
    """One that holds nothing is remembered all the same."""
    assert batches.Batch(warehouse, "none").commit(NOW)
    assert batches.is_committed(warehouse, "none")


def test_batches_appended_together_show_together_or_apart(warehouse):
    """Rows carry their ids; what is committed shows, what is dropped is gone."""
    together = batches.Batches(warehouse, ["a", "b", "c"])
    rows = table("1", "2", "3").append_column("batch_id", pa.array(["a", "b", "c"]))
    assert together.append("tailrace.notes", rows) == 3
    together.drop(["b"])
    together.commit({"a": 1, "c": 1}, NOW)
    assert notes(warehouse) == ["1", "3"]
    assert warehouse.rows("select count(*) as n from tailrace.notes__log") == [{"n": 2}]
    assert batches.visible(warehouse, ["a", "b", "c"]) == {"a", "c"}


def test_ids_are_data(warehouse):
    """Quotes in an id or in a text are no SQL."""
    batch = batches.Batch(warehouse, "it's; drop table x --")
    batch.append("tailrace.notes", "select 'it''s' as note")
    batch.commit(NOW)
    assert notes(warehouse) == ["it's"]
    assert batches.visible(warehouse, ["it's; drop table x --"])


def test_a_log_takes_new_columns_and_keeps_its_rows(warehouse):
    """Old rows have nulls in a column that came later; the view shows it."""
    batch = batches.Batch(warehouse, "old")
    batch.append("tailrace.notes", table("old"))
    batch.commit(NOW)
    batches.create_log(warehouse, "tailrace.notes", {"note": "varchar", "weight": "bigint"})
    assert warehouse.rows("select note, weight from tailrace.notes") == [{"note": "old", "weight": None}]


def test_preparing_again_changes_nothing(tmp_path):
    """Opening and preparing a warehouse twice keeps everything, with one line of its history."""
    for _ in range(2):
        with DuckDB(tmp_path / "w.duckdb") as opened:
            batches.prepare(opened)
            batches.create_log(opened, "tailrace.notes", {"note": "varchar"})
            assert len(opened.rows(f"select * from {metadata.TABLE}")) == 1


def test_a_warehouse_of_a_newer_tailrace_is_refused(warehouse):
    """Its layout is not guessed at."""
    warehouse.execute(f"insert into {metadata.TABLE} values (2, {metadata.LAYOUT + 1}, 'duckdb 9.9')")
    with pytest.raises(WarehouseVersion, match="written by a newer Tailrace"):
        batches.prepare(warehouse)


class Appends(RuleBasedStateMachine):
    """Appends, commits, crashes and replacements in any order, against a dictionary."""

    @initialize()
    def open(self):
        self.warehouse = DuckDB(Path(":memory:"))
        batches.prepare(self.warehouse)
        batches.create_log(self.warehouse, "tailrace.notes", {"note": "varchar"})
        self.shown: dict[str, list[str]] = {}
        self.committed: set[str] = set()

    @rule(name=st.sampled_from("abc"), values=st.lists(st.text(max_size=2), max_size=3), commits=st.booleans())
    def append(self, name, values, commits):
        batch = batches.Batch(self.warehouse, name)
        batch.append("tailrace.notes", table(*values))
        if commits and batch.commit(NOW):
            self.committed.add(name)
            self.shown[name] = values

    @rule(name=st.sampled_from("xy"), values=st.lists(st.text(max_size=2), max_size=2))
    def replace(self, name, values):
        replaced = sorted(self.shown)
        batch = batches.Batch(self.warehouse, name, replaces=replaced)
        batch.append("tailrace.notes", table(*values))
        if batch.commit(NOW):
            self.committed.add(name)
            self.shown = {name: values}

    @invariant()
    def shows_exactly_what_is_committed(self):
        assert notes(self.warehouse) == sorted(value for values in self.shown.values() for value in values)

    def teardown(self):
        self.warehouse.close()


TestAppends = Appends.TestCase
TestAppends.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
