"""The engine behind the port: what a person can act on is said in words."""

import json
import struct
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from models.errors import NeedsPerson, UserError, WarehouseHeld, WarehouseVersion
from warehouse.duckdb import DuckDB

HEADER = 4096  # bytes: checksum, magic, storage version, …


@pytest.fixture
def path(tmp_path) -> Path:
    with DuckDB(tmp_path / "w.duckdb") as warehouse:
        warehouse.execute("create table people as select 1 as id")
    return tmp_path / "w.duckdb"


def with_storage_version(path: Path, version: int) -> None:
    """Rewrite the file's header as another version's, its checksum right."""
    data = bytearray(path.read_bytes())
    data[12:20] = struct.pack("<Q", version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", data[8:HEADER]):
        checksum ^= (word * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    data[:8] = struct.pack("<Q", checksum)
    path.write_bytes(data)


@pytest.mark.parametrize(("version", "says"), [(1, "much older DuckDB"), (9999, "a newer DuckDB")])
def test_a_file_of_another_version_is_named_as_such(path, version, says):
    """Too old or too new: the message says which engine is installed and what to do."""
    with_storage_version(path, version)
    with pytest.raises(WarehouseVersion, match=says) as caught:
        DuckDB(path)
    assert duckdb.__version__ in str(caught.value)
    assert "requirements.lock" in str(caught.value)


@pytest.mark.parametrize("content", [b"hello " * 3000, b"\0" * 20_000])
def test_a_file_that_is_no_database_is_told(tmp_path, content):
    """Text, zeros: it says so and leaves the file alone."""
    (tmp_path / "w.duckdb").write_bytes(content)
    with pytest.raises(NeedsPerson, match="damaged, or no database file"):
        DuckDB(tmp_path / "w.duckdb")
    assert (tmp_path / "w.duckdb").read_bytes() == content


@pytest.mark.parametrize("size", [0, 4096, 8192])
def test_a_creation_that_was_cut_short_is_begun_again(path, size):
    """A process killed while it made the file left headers without a database; the next writer starts afresh."""
    path.write_bytes(path.read_bytes()[:size])
    with DuckDB(path) as warehouse:
        assert warehouse.columns("people") == {}


def test_a_truncated_file_is_damaged(path):
    """Its first bytes alone are no database."""
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(NeedsPerson, match="damaged"):
        DuckDB(path)


def test_a_file_that_another_process_holds_names_the_process(path):
    """For writing and for reading; attaching it says the same."""
    hold = f"import duckdb, time; c = duckdb.connect({str(path)!r}); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        for read_only in (False, True):
            with pytest.raises(WarehouseHeld, match=f"process {holder.pid} has it open"):
                DuckDB(path, read_only=read_only)
        with DuckDB(path.with_name("other.duckdb")) as other, pytest.raises(WarehouseHeld):
            other.attach("held", path)
        holder.kill()


@pytest.mark.parametrize(
    "query", ["select * form x", "select nope from people", "from nowhere", "select cast('x' as int)"]
)
def test_a_wrong_query_is_the_users_mistake(path, query):
    """Syntax, names and values: no traceback of the engine."""
    with DuckDB(path) as warehouse, pytest.raises(UserError):
        warehouse.rows(query)


def test_too_little_memory_is_told(path):
    """A query that cannot fit says so."""
    with DuckDB(path, memory_limit="20MB") as warehouse:
        warehouse.execute("set temp_directory = ''")
        with pytest.raises(NeedsPerson, match="not enough memory"):
            warehouse.rows("select list(number) from range(50_000_000) numbers(number)")


def test_a_read_only_file_cannot_be_written(path):
    """A reader's mistake is refused by the engine."""
    with DuckDB(path, read_only=True) as warehouse, pytest.raises(UserError, match="read-only"):
        warehouse.execute("create table x (a int)")


def test_moments_are_in_utc(path):
    """Whatever the machine's zone is."""
    with DuckDB(path) as warehouse:
        assert warehouse.rows("select cast(timestamptz '2026-01-01 00:00:00+02' as varchar) as text") == [
            {"text": "2025-12-31 22:00:00+00"}
        ]


VALUES = [
    None,
    True,
    False,
    0,
    -5,
    2**62,
    1.5,
    Decimal("12345678901234567.89"),
    'it\'s\n\\ "quoted" 東京 🎈 {{ jinja }} --',
    "",
    datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=UTC).date(),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_literal_is_the_value(path, value):
    """What the dialect writes, the engine reads back equal."""
    with DuckDB(path) as warehouse:
        assert warehouse.rows(f"select {warehouse.dialect.literal(value)} as value") == [{"value": value}]


def test_a_moment_without_zone_is_no_literal(path):
    """It would mean something else on another machine."""
    with DuckDB(path) as warehouse, pytest.raises(ValueError, match="without a zone"):
        warehouse.dialect.literal(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("name", ["plain", 'quo"te', "spa ce", "select", "ö;--"])
def test_any_name_can_be_quoted(path, name):
    """A quoted name is a column, whatever it holds."""
    with DuckDB(path) as warehouse:
        assert warehouse.rows(f"select 1 as {warehouse.dialect.quote(name)}") == [{name: 1}]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int[]", ["null", "[]", "[null]", "[null, null]", "[0]"]),
        ("varchar[]", ["null", "[]", "['']", "['null']", "['NULL']", "['a, b']", "['a', 'b']", "[' a']", "['a']"]),
        ("int[1]", ["null", "[null]", "[0]"]),
        (
            "struct(a int, b varchar)",
            ["null", "{'a': null, 'b': null}", "{'a': null, 'b': ''}", "{'a': null, 'b': 'NULL'}"],
        ),
        ("struct(a int[])", ["null", "{'a': null}", "{'a': []}", "{'a': [null]}"]),
        ("map(varchar, int)", ["null", "map {}", "map {'a': null}", "map {'a=1, b': 1}", "map {'a': 1, 'b': 1}"]),
        ("int", ["null", "0", "1"]),
    ],
)
def test_different_values_hash_differently(path, kind, values):
    """No list, an empty list and a list of nothing are three values, whatever holds them."""
    with DuckDB(path) as warehouse:
        dialect = warehouse.dialect
        hashed = dialect.row_hash([dialect.hashable("given", warehouse.columns(f"(select null::{kind} as g)")["g"])])
        rows = " union all ".join(f"select cast({value} as {kind}) as given" for value in values)
        assert len(warehouse.rows(f"select distinct {hashed} as hashed from ({rows}) as listed")) == len(values)


def test_what_stands_under_a_key_stays_what_it_is(path):
    """Numbers, truth, lists and objects are no text; a key may have any letters; a key that is not there is null."""
    said = {"a": 3, "b/~c": 1.5, "d": [{"e": "f"}], "g": False, "h'\".": "x"}
    with DuckDB(path) as warehouse:
        dialect = warehouse.dialect
        columns = {key: dialect.json_value("told", key) for key in (*said, "missing")}
        told = dialect.literal(json.dumps(said))
        (row,) = warehouse.rows(f"select {dialect.json_object(columns)} as made from (select {told} as told) as t")
    assert json.loads(row["made"]) == said | {"missing": None}


def test_arrow_goes_in_and_comes_out(path):
    """Rows loaded are the rows streamed, in batches no larger than asked; a lent table is gone after its block."""
    data = pa.table({"id": pa.array(range(10_000), pa.int64())})
    with DuckDB(path) as warehouse:
        warehouse.execute("create table numbers (id bigint)")
        assert warehouse.load("numbers", data) == 10_000
        streamed = list(warehouse.stream("select id from numbers order by id", batch_rows=2048))
        assert max(len(batch) for batch in streamed) <= 2048
        assert pa.Table.from_batches(streamed) == data
        with warehouse.lend("lent", data):
            assert warehouse.rows("select count(*) as n from lent") == [{"n": 10_000}]
        with pytest.raises(UserError):
            warehouse.rows("select * from lent")


def test_columns_of_what_is_not_there_are_none(path):
    """An absent relation has no columns; a present one has its own, in order."""
    with DuckDB(path) as warehouse:
        assert warehouse.columns("nowhere") == {}
        assert warehouse.columns("people") == {"id": "integer"}
