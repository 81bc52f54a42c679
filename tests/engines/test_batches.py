"""Append-only tables and their one commit point keep their laws on every engine, with several writers too."""

import inspect
import multiprocessing
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from models.errors import UserError
from tests.warehouse import test_batches as laws
from warehouse import batches, definitions, metadata
from warehouse.postgres import Postgres

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LAWS = [
    law
    for name, law in vars(laws).items()
    if name.startswith("test_") and [*inspect.signature(law).parameters] == ["warehouse"]
]
assert LAWS, "of no law pytest would skip the test"


@pytest.fixture
def logged(warehouse):
    batches.create_log(warehouse, "tailrace.notes", {"note": "varchar"})
    return warehouse


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__.removeprefix("test_"))
def test_the_laws_of_batches(law, logged):
    """Those that tests/warehouse states for DuckDB."""
    law(logged)


def test_preparing_again_changes_nothing(connect):
    """Opened and prepared twice, a warehouse keeps what is in it, with one line of its history."""
    for number in range(2):
        opened = connect()
        batches.prepare(opened)
        batches.create_log(opened, "tailrace.notes", {"note": "varchar"})
        batch = batches.Batch(opened, str(number))
        batch.append("tailrace.notes", "select 'a' as note")
        batch.commit(datetime(2026, 1, 1, tzinfo=UTC))
        assert len(opened.rows("select * from tailrace.notes")) == number + 1
        assert len(opened.rows(f"select * from {metadata.TABLE}")) == 1
        opened.close()


def test_logs_take_all_kinds_of_columns(warehouse):
    """Named by DuckDB's words; with keys, and with quotes in a name; new ones are added, and the view shows them."""
    columns = {"text": "varchar", "part": "double", 'a "b"': "bigint", "at_time": "timestamptz", "texts": "varchar[]"}
    batches.create_log(warehouse, "tailrace.all", columns, keys=["text"])
    batches.create_log(warehouse, "tailrace.all", {**columns, "money": "decimal(18,2)"}, keys=["text"])
    kept = {"batch_id": "varchar", **columns, "at_time": "timestamp with time zone", "money": "decimal(18,2)"}
    assert warehouse.columns("tailrace.all") == kept
    batch = batches.Batch(warehouse, "b")
    assert batch.append("tailrace.all", pa.table({"part": [1, 2], "money": pa.nulls(2)})) == 2
    batch.commit(NOW)
    assert warehouse.rows("select sum(part) as total from tailrace.all") == [{"total": 3.0}]
    assert batches.visible_in(warehouse, "tailrace.all") == {"b": 2}
    batches.discard(warehouse, "tailrace.all", ["b"])
    assert warehouse.rows("select * from tailrace.all") == []


def test_a_view_of_another_query_is_replaced(warehouse):
    """Whatever its columns, once for each query; what could not be made is not noted."""
    for query in ("select 'n' as name", "select 1 as name, 2 as other", "select 'm' as name"):
        definitions.create_view(warehouse, "tailrace.names", query)
        assert warehouse.columns("tailrace.names") == warehouse.columns(f"({query})")
    with pytest.raises(UserError):
        definitions.create_view(warehouse, "tailrace.names", "select nothing")
    definitions.create_view(warehouse, "tailrace.names", "select 'p' as name")
    assert warehouse.rows("select name from tailrace.names") == [{"name": "p"}]


def begin(url, schemas, gate):
    """What a process does first; the gate opens for all at once."""
    with Postgres(url, schemas=schemas) as warehouse:
        gate.wait()
        batches.prepare(warehouse)
        batches.create_log(warehouse, "tailrace.notes", {"note": "varchar"})
        definitions.create_view(warehouse, "tailrace.words", "select note from tailrace.notes")
        for number in range(20):
            batch = batches.Batch(warehouse, f"{multiprocessing.current_process().name}/{number}")
            batch.append("tailrace.notes", pa.table({"note": ["one", "two"]}))
            batch.commit(NOW)
            rows = f"select '{number}' as note"
            gate.wait()
            batches.append_once(warehouse, f"the same {number}", "tailrace.notes", rows, NOW)


def test_processes_that_begin_at_once_make_all_once(server, schemas):
    """None fails, nothing is there twice, and no writer loses what another writes."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(4)
    processes = [context.Process(target=begin, args=(server, schemas, gate), name=f"p{n}") for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    with Postgres(server, schemas=schemas) as warehouse:
        assert warehouse.rows("select count(*) as n from tailrace.words") == [{"n": 180}]
        same = "select count(*) as n, count(distinct note) as notes from tailrace.notes where batch_id like 'the same%'"
        assert warehouse.rows(same) == [{"n": 20, "notes": 20}]
        assert len(warehouse.rows(f"select * from {metadata.TABLE}")) == 1
        noted = warehouse.rows(f"select count(*) as n, count(distinct name) as names from {definitions.TABLE}")
        assert noted == [{"n": 3, "names": 3}]
        warehouse.execute("drop schema tailrace cascade")
