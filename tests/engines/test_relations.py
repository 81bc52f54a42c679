"""The port's laws of relations and statements, each on every engine: what is made stands, a mistake leaves what was."""

import pyarrow as pa
import pytest

from models.errors import UserError
from tests.engines.agreement import numbers
from tests.engines.test_rows import KINDS
from warehouse.lint import place


@pytest.fixture
def table(warehouse):
    warehouse.create_table("tailrace.things", KINDS)
    return "tailrace.things"


def test_columns_are_named_in_one_engines_words(warehouse, table):
    """In order; of what is not there none, be it the table or its schema; of queries and views too."""
    assert warehouse.columns(table) == KINDS
    assert warehouse.columns("tailrace.nowhere") == {}
    assert warehouse.columns("nowhere.at_all") == {}
    warehouse.create_view("tailrace.seen", f"select yes, money from {table}")
    warehouse.create_temporary("mine", f"select texts from {table}")
    assert warehouse.columns("tailrace.seen") == {"yes": "boolean", "money": "decimal(18,2)"}
    assert warehouse.columns("mine") == {"texts": "varchar[]"}
    assert warehouse.columns(f"(select small from {table})") == {"small": "integer"}
    assert warehouse.columns('"mine"') == {"texts": "varchar[]"}


def test_a_view_takes_the_place_of_any_other(warehouse, table):
    """More columns, fewer, others, other types; a temporary one as well."""
    for query, columns in {
        "select 1 as a": {"a": "integer"},
        "select 1 as a, 2 as b": {"a": "integer", "b": "integer"},
        "select 'x' as a": {"a": "varchar"},
        f"select text from {table}": {"text": "varchar"},
        "with one as (select 1 as c) select * from one": {"c": "integer"},
    }.items():
        for name, temporary in (("tailrace.shown", False), ("shown", True)):
            warehouse.create_view(name, query, temporary=temporary)
            assert warehouse.columns(name) == columns


def test_a_view_that_cannot_be_made_leaves_the_old_one(warehouse):
    """Nor does a table that cannot be made."""
    warehouse.create_view("tailrace.shown", "select 1 as a")
    with pytest.raises(UserError):
        warehouse.create_view("tailrace.shown", "select nothing")
    with pytest.raises(UserError):
        warehouse.create_table("tailrace.shown", "select nothing")
    assert warehouse.rows("select * from tailrace.shown") == [{"a": 1}]


def test_a_table_takes_the_place_of_another_and_may_be_made_of_it(warehouse):
    """Of a query's rows, also of the old one's, or empty with columns; one that cannot be made leaves the old one."""
    for create, name in ((warehouse.create_table, "tailrace.numbers"), (warehouse.create_temporary, "numbers")):
        create(name, "select 1 as a")
        create(name, f"select a + 1 as b, 'x' as c from {name}")
        assert warehouse.rows(f"select * from {name}") == [{"b": 2, "c": "x"}]
        with pytest.raises(UserError):
            create(name, "select nothing")
        assert warehouse.rows(f"select * from {name}") == [{"b": 2, "c": "x"}]
    name = 'tailrace."odd"' if warehouse.dialect.name == "spark" else 'tailrace."od""d"'  # Hive's catalogue takes words
    warehouse.create_table(name, {"a b": "double", "c": "varchar[]"})
    assert warehouse.columns(name) == {"a b": "double", "c": "varchar[]"}


def test_a_temporary_table_has_parts_that_are_worked_out_once(warehouse):
    """Each reads those before it, and nothing is left of them. Where the statement fails, the table is as it was."""
    parts = {"first": "select 1 as a, random() as chance", "second": "select a + 1 as a, chance from first"}
    both = "select one.a, two.a as b, one.chance = two.chance as is_same from first as one cross join second as two"
    warehouse.create_temporary("numbers", both, parts)
    assert warehouse.rows("select * from numbers") == [{"a": 1, "b": 2, "is_same": True}]
    assert [warehouse.columns(part) for part in parts] == [{}, {}]
    with pytest.raises(UserError):
        warehouse.create_temporary("numbers", "select nothing from second", parts)
    assert warehouse.rows("select a, b from numbers") == [{"a": 1, "b": 2}]


def test_a_temporary_table_is_nobody_elses(connect, warehouse):
    """Another connection finds none, while the first is open and once it is closed."""
    warehouse.create_temporary("numbers", "select 1 as a")
    other = connect()
    assert other.columns("numbers") == {}
    warehouse.close()
    assert other.columns("numbers") == {}


def test_schemas_are_where_a_name_stands_before_a_point(warehouse):
    """Texts, quoted names, comments, and tables, columns and aliases that are called so, are what they are."""
    warehouse.create_table("tailrace.raw", "select 'tailrace.x' as main, 1 as published")
    found = warehouse.rows(
        'select "raw".main, raw_main.published, \'raw.x\' as "raw.y" -- main.z isn\'t\n'
        'from tailrace.raw as "raw" cross join /* raw.z */ tailrace.raw as raw_main'
    )
    assert found == [{"main": "tailrace.x", "published": 1, "raw.y": "raw.x"}]


def test_a_read_only_connection_cannot_write(connect, warehouse, table):
    """It reads."""
    warehouse.close()
    reader = connect(read_only=True)
    assert reader.rows(f"select * from {table}") == []
    with pytest.raises(UserError, match="read-only"):
        reader.execute("create table tailrace.x (a int)")


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("select 1 as a,\n  )", (2, 3)),
        ("select 1 as a,\n    nope\nfrom tailrace.things", (2, 5)),
        ("select tailrace.things.text, tailrace.things.yes, nope from tailrace.things", (1, 51)),
        ("select 'tailrace.x', text, \"tailrace.y\" from tailrace.things", (1, 28)),
        ("select 1 from tailrace.nowhere", (1, 15)),
    ],
)
def test_a_mistake_is_the_users_and_has_its_place(warehouse, table, sql, where):
    """Line and column as they were written, whatever the engine was sent."""
    with pytest.raises(UserError) as caught:
        warehouse.rows(sql)
    assert place(str(caught.value), sql) == where


@pytest.mark.parametrize(
    "query",
    [
        "select cast('x' as int)",
        "select 1 from nowhere",
        "select cast(text as int) as n, 'with what fills a batch' || repeat('.', 1000) as wide from t",
    ],
)
def test_a_wrong_value_is_the_users_mistake(warehouse, query):
    """Also where it is found in the midst of a stream; the next statement runs."""
    text = warehouse.dialect.text
    found = f"select cast(n as {text}) as text from numbers union all select 'x'"
    warehouse.create_temporary("t", numbers(20_000) + found)
    with pytest.raises(UserError):
        warehouse.rows(query)
    with pytest.raises(UserError):
        warehouse.stream(query).read_all()
    assert warehouse.rows("select 1 as n") == [{"n": 1}]


def test_what_may_be_done_alone(warehouse, table):
    """All: one such block may be within another; it may load, look for what is not there, and lend."""
    with warehouse.alone(), warehouse.alone():
        warehouse.create_table("tailrace.one", "select 1 as a")
        assert warehouse.columns("tailrace.nowhere") == {}
        assert warehouse.load(table, pa.table({"text": ["a"]})) == 1
        with warehouse.lend("lent", pa.table({"a": [2]})):
            assert warehouse.insert("tailrace.one", "select a from lent") == 1
    assert warehouse.rows("select sum(a) as a from tailrace.one") == [{"a": 3}]
    with pytest.raises(UserError), warehouse.alone(), warehouse.lend("lent", pa.table({"a": [2]})):
        warehouse.rows("select nothing from lent")
    assert warehouse.rows(f"select text from {table}") == [{"text": "a"}]
