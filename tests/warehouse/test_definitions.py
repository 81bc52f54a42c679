"""What was made by a definition is left alone; another definition, or a table with new columns, makes it anew."""

import pytest

from models.errors import UserError
from warehouse import batches, definitions
from warehouse.duckdb import DuckDB


@pytest.fixture
def path(tmp_path):
    return tmp_path / "warehouse.duckdb"


def opened(path) -> DuckDB:
    warehouse = DuckDB(path)
    batches.prepare(warehouse)
    return warehouse


def made(path) -> int:
    with opened(path) as warehouse:
        batches.create_log(warehouse, "tailrace.things", {"name": "varchar"})
        definitions.create_view(warehouse, "tailrace.names", "select * from tailrace.things")
    return path.stat().st_mtime_ns


def test_the_second_time_nothing_is_written(path) -> None:
    assert made(path) == made(path)


def test_a_view_of_another_query_is_replaced(path) -> None:
    made(path)
    with opened(path) as warehouse:
        definitions.create_view(warehouse, "tailrace.names", "select 'n' as name")
        assert warehouse.rows("select name from tailrace.names") == [{"name": "n"}]
    with opened(path) as warehouse:
        definitions.create_view(warehouse, "tailrace.names", "select 'm' as name")
        assert warehouse.rows("select name from tailrace.names") == [{"name": "m"}]


def test_a_view_of_all_columns_shows_new_ones(path) -> None:
    made(path)
    with opened(path) as warehouse:
        batches.create_log(warehouse, "tailrace.things", {"name": "varchar", "size": "bigint"})
        definitions.create_view(warehouse, "tailrace.names", "select * from tailrace.things")
        assert list(warehouse.columns("tailrace.names")) == ["batch_id", "name", "size"]


def test_a_log_that_no_view_shows_all_of_gets_new_columns_by_itself(path) -> None:
    """Nothing else is made again, so that nobody who reads it has to wait."""
    made(path)
    with opened(path) as warehouse:
        wider = {"name": "varchar", "size": "bigint"}
        batches.create_log(warehouse, "tailrace.things", wider, in_views=False)
        with definitions.made(warehouse, "tailrace.names", "select * from tailrace.things") as is_made:
            assert is_made
        assert list(warehouse.columns("tailrace.things")) == ["batch_id", *wider]


def test_killed_between_a_new_column_and_its_views(path) -> None:
    """A log that has the column already, noted without it, and views that were made before."""
    made(path)
    wider = {"name": "varchar", "size": "bigint"}
    with opened(path) as warehouse:
        definitions.forget(warehouse)
        warehouse.execute("alter table tailrace.things__log add column size bigint")
    with opened(path) as warehouse:
        batches.create_log(warehouse, "tailrace.things", wider)
        definitions.create_view(warehouse, "tailrace.names", "select * from tailrace.things")
        assert list(warehouse.columns("tailrace.things")) == ["batch_id", *wider]
        assert list(warehouse.columns("tailrace.names")) == ["batch_id", *wider]


def test_what_could_not_be_made_is_not_noted(path) -> None:
    with opened(path) as warehouse:
        with pytest.raises(UserError):
            definitions.create_view(warehouse, "tailrace.names", "select nothing")
        definitions.create_view(warehouse, "tailrace.names", "select 1 as name")
        assert warehouse.rows("select name from tailrace.names") == [{"name": 1}]
