"""The port's laws of rows, each on every engine: what goes in comes out, by name and in the table's own types."""

import traceback
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from models.errors import UserError
from tests.engines.agreement import numbers

MOMENT = datetime(2024, 2, 29, 12, 30, 15, 123_456, tzinfo=UTC)
LEAP_DAY = datetime(2024, 2, 29, tzinfo=UTC)
KINDS = {
    "text": "varchar",
    "whole": "bigint",
    "small": "integer",
    "part": "double",
    "yes": "boolean",
    "day": "date",
    "moment": "timestamp with time zone",
    "wall": "timestamp",
    "money": "decimal(18,2)",
    "texts": "varchar[]",
}
ROW = {
    "text": 'it\'s\n\\ "quoted" 東京 🎈',
    "whole": -(2**63) + 1,
    "small": 2**31 - 1,
    "part": -0.1,
    "yes": False,
    "day": date(2024, 2, 29),
    "moment": MOMENT,
    "wall": MOMENT.replace(tzinfo=None),
    "money": Decimal("-1234567890123456.78"),
    "texts": ["a", None, 'q"', ""],
}
ARROW = pa.schema(
    {
        "text": pa.string(),
        "whole": pa.int64(),
        "small": pa.int32(),
        "part": pa.float64(),
        "yes": pa.bool_(),
        "day": pa.date32(),
        "moment": pa.timestamp("us", "UTC"),
        "wall": pa.timestamp("us"),
        "money": pa.decimal128(18, 2),
        "texts": pa.list_(pa.string()),
    }
)
NOTHING = dict.fromkeys(KINDS)


@pytest.fixture
def table(warehouse):
    warehouse.create_table("tailrace.things", KINDS)
    return "tailrace.things"


def test_rows_loaded_are_rows_read(warehouse, table):
    """By name, whatever the order; as Python values and as Arrow ones."""
    data = pa.Table.from_pylist([ROW, NOTHING], ARROW)
    assert warehouse.load(table, data.select(list(reversed(ARROW.names)))) == 2
    assert warehouse.rows(f"select * from {table} order by whole nulls last") == [ROW, NOTHING]
    streamed = warehouse.stream(f"select * from {table} order by whole nulls last").read_all()
    assert streamed.to_pylist() == [ROW, NOTHING]
    assert streamed.schema.field("money").type == pa.decimal128(18, 2)
    assert streamed.schema.field("moment").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    ("column", "given", "kept"),
    [
        ("text", pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", None]),
        ("text", pa.array(["a", None], pa.large_string()), ["a", None]),
        ("text", pa.array(["a", None], pa.string_view()), ["a", None]),
        ("text", pa.array([1, None]), ["1", None]),
        ("text", pa.nulls(2), [None, None]),
        ("whole", pa.array([1, None], pa.int32()), [1, None]),
        ("whole", pa.array([1, None], pa.uint8()), [1, None]),
        ("small", pa.array([1, None], pa.int64()), [1, None]),
        ("part", pa.array([1, None], pa.int64()), [1.0, None]),
        ("money", pa.array([1, None], pa.int64()), [Decimal(1), None]),
        ("money", pa.array([Decimal("1.5")], pa.decimal128(5, 1)), [Decimal("1.50")]),
        ("moment", pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("us")), [MOMENT]),
        ("moment", pa.array([MOMENT], pa.timestamp("ns", "UTC")), [MOMENT]),
        ("moment", pa.array([LEAP_DAY], pa.timestamp("s", "Europe/Berlin")), [LEAP_DAY]),
        ("texts", pa.array([["a"], None], pa.large_list(pa.string())), [["a"], None]),
        ("texts", pa.array([[]], pa.list_(pa.string())), [[]]),
        ("money", pa.nulls(1), [None]),
        ("texts", pa.nulls(1), [None]),
    ],
    ids=str,
)  # fmt: skip
def test_arrow_of_another_type_becomes_the_tables_own(warehouse, table, column, given, kept):
    """From a table and from a reader of batches; every column that is not given is null."""
    data = pa.table({column: given})
    assert warehouse.load(table, data) == len(kept)
    assert warehouse.load(table, data.to_reader(max_chunksize=1)) == len(kept)
    found = [row[column] for row in warehouse.rows(f"select {column} from {table}")]
    assert sorted(found, key=str) == sorted(kept * 2, key=str)
    assert warehouse.rows(f"select count(*) as n from {table} where yes is null") == [{"n": 2 * len(kept)}]


@pytest.mark.parametrize(
    ("column", "given", "value"),
    [("small", [1, 2**31], "2147483648"), ("whole", ["1", "x"], "'x'"), ("nowhere", [1, 1], "nowhere")],
)
def test_what_does_not_fit_is_refused_whole(warehouse, table, column, given, value):
    """With the value, by servers with the column's name; of a table and of a reader nothing is kept."""
    data = pa.table({column: given, "yes": [True, False]})
    for sent in (data, data.to_reader(max_chunksize=1)):
        with pytest.raises(UserError, match=value if warehouse.dialect.name == "duckdb" else column) as caught:
            warehouse.load(table, sent)
        told = "".join(traceback.format_exception(caught.value))
        assert warehouse.dialect.name == "duckdb" or value == column or value not in told
        assert warehouse.rows(f"select * from {table}") == []


def test_no_rows_are_rows_too(warehouse, table):
    """Of a table and of a reader without a batch."""
    empty = ARROW.empty_table()
    assert warehouse.load(table, empty) == 0
    assert warehouse.load(table, pa.RecordBatchReader.from_batches(ARROW, iter(()))) == 0
    assert warehouse.stream(f"select * from {table}").read_all().num_rows == 0
    assert warehouse.insert(table, f"select * from {table}") == 0


def test_a_query_is_inserted_by_name(warehouse, table):
    """A bare null has every type, a number becomes the column's; a query may be ordered, named and commented."""
    assert warehouse.insert(table, "select true as yes, null as money, 'a' as text, 1 as whole") == 1
    query = (
        "with one as (select 2 as whole, 1 as money) -- a comment\nselect *, null as texts from one order by 1 -- it's"
    )
    assert warehouse.insert(table, query) == 1
    found = warehouse.rows(f"select text, whole, money, texts, yes from {table} order by whole")
    assert found == [
        {"text": "a", "whole": 1, "money": None, "texts": None, "yes": True},
        {"text": None, "whole": 2, "money": Decimal("1.00"), "texts": None, "yes": None},
    ]
    with pytest.raises(UserError, match="nowhere"):
        warehouse.insert(table, "select 1 as nowhere")


def test_rows_lent_are_a_relation_for_the_block(warehouse):
    """In their own types, joined and read twice; gone afterwards, also where the block fails; none are lent as well."""
    data = pa.Table.from_pylist([ROW, NOTHING], ARROW)
    with warehouse.lend("lent", data):
        assert warehouse.columns("lent") == KINDS
        assert warehouse.rows("select count(*) as n from lent as one inner join lent as two using (whole)") == [
            {"n": 1}
        ]
        assert warehouse.rows("select * from lent order by whole nulls last") == [ROW, NOTHING]
    with pytest.raises(UserError):
        warehouse.rows("select * from lent")
    with pytest.raises(ZeroDivisionError), warehouse.lend("lent", data.to_reader()):
        raise ZeroDivisionError
    encoded = pa.table({"word": pa.array(["a"] * 3000).dictionary_encode(), "none": pa.nulls(3000), "n": range(3000)})
    with warehouse.lend("lent", encoded):
        assert warehouse.rows("select word, none, sum(n) as n from lent group by word, none") == [
            {"word": "a", "none": None, "n": 4_498_500}
        ]
    with warehouse.lend("lent", ARROW.empty_table()):
        assert warehouse.rows("select * from lent") == []


def test_json_goes_in_and_comes_out_as_text(warehouse):
    """Of a column of type json, as it was written: loaded, inserted and as a parameter, whole and in a stream."""
    told = '{ "a" : [1, null],\n"a":"\\u00e9"}'
    warehouse.create_table("tailrace.told", {"told": "json"})
    kind = "varchar" if warehouse.dialect.name == "spark" else "json"
    assert warehouse.columns("tailrace.told") == {"told": kind}
    warehouse.load("tailrace.told", pa.table({"told": [told]}))
    warehouse.insert("tailrace.told", f"select {warehouse.dialect.literal(told)} as told")
    warehouse.execute("insert into tailrace.told values (?)", [told])
    assert warehouse.rows("select told from tailrace.told") == [{"told": told}] * 3
    assert warehouse.stream("select told from tailrace.told").read_all().to_pylist() == [{"told": told}] * 3


def test_a_stream_is_read_in_batches(warehouse):
    """No larger than asked, each row once, in the types that the query has."""
    text = warehouse.dialect.text
    query = f"select n, cast(n as decimal(18, 2)) as money, cast(null as {text}) as nothing from numbers order by n"
    batches = list(warehouse.stream(numbers(10_000) + query, batch_rows=2048))
    assert max(map(len, batches)) <= 2048
    read = pa.Table.from_batches(batches)
    assert read.schema.types == [pa.int32(), pa.decimal128(18, 2), pa.string()]
    assert read["money"].to_pylist() == [Decimal(n) for n in range(1, 10_001)]
    assert read["nothing"].null_count == 10_000


def test_a_stream_that_is_left_does_no_harm(warehouse):
    """The next statement runs."""
    query = numbers(500) + "select s.n, other.n as m, 'some text' as text from numbers as s cross join numbers as other"
    assert len(warehouse.stream(query, batch_rows=1000).read_next_batch()) == 1000
    assert warehouse.rows("select 1 as n") == [{"n": 1}]


def test_python_values_are_plain(warehouse):
    """Sums of whole numbers are whole, moments know their zone, null is None."""
    row = warehouse.rows(
        "select sum(n) as total, max(at_time) as latest, null as nothing, sum(money) as money, count(*) as n, "
        f"avg(cast(n as {warehouse.dialect.kind('double')})) as mean, cast(sum(n) as {warehouse.dialect.text}) as text "
        f"from (select 1 as n, {warehouse.dialect.literal(MOMENT)} as at_time, cast(1.5 as decimal(18, 2)) as money) "
        "as t"
    )[0]
    expected = {
        "total": 1,
        "latest": MOMENT,
        "nothing": None,
        "money": Decimal("1.50"),
        "n": 1,
        "mean": 1.0,
        "text": "1",
    }
    assert row == expected
    assert isinstance(row["total"], int)
    assert row["latest"].utcoffset().total_seconds() == 0


def test_parameters_are_values(warehouse, table):
    """In place of each `?` that is no part of a text, a name or a comment."""
    warehouse.execute(f"insert into {table} (text, moment, yes) values (?, ?, ?) -- ?", ["a ? b", MOMENT, None])
    found = warehouse.rows(f"select text as \"what?\", yes, '?' as sign from {table} where text = ? /* ? */", ["a ? b"])
    assert found == [{"what?": "a ? b", "yes": None, "sign": "?"}]


@pytest.mark.parametrize(
    ("sql", "params"), [("select ? as one", []), ("select ? as one", [1, 2]), ("select ? as one, ? as two", [1])]
)
def test_each_parameter_has_its_place(warehouse, sql, params):
    """More values than places, and fewer, are a mistake."""
    with pytest.raises(UserError):
        warehouse.rows(sql, params)
