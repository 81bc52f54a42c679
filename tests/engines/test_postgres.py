"""What is PostgreSQL's own behind the port: schemas and locks, what it cannot hold, streams in little memory."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pytest

from models.errors import UserError, WarehouseHeld
from models.settings import Settings
from warehouse import batches
from warehouse.engine import engine
from warehouse.names import Names
from warehouse.postgres import Postgres

ROOT = Path(__file__).parents[2]


@pytest.fixture
def warehouse(server, schemas):
    with Postgres(server, schemas=schemas) as opened:
        batches.prepare(opened)
        yield opened
        opened.execute("drop schema tailrace cascade")


def test_the_version_and_the_zone(warehouse):
    """Of the server; all in UTC, whatever the machine's zone is."""
    assert warehouse.version.startswith("postgresql ")
    assert warehouse.rows("select cast(timestamptz '2026-01-01 00:00:00+02' as varchar) as text") == [
        {"text": "2025-12-31 22:00:00+00"}
    ]


def test_a_database_file_cannot_be_attached(warehouse, tmp_path):
    """It says what to do instead; and to undo it is nothing."""
    with pytest.raises(UserError, match="schemas of its own database"):
        warehouse.attach("other", tmp_path / "other.duckdb")
    warehouse.detach("other")


def test_a_text_with_nul_is_refused_with_its_column(warehouse):
    """In a text and in a list of texts; nothing of the load is kept."""
    warehouse.create_table("tailrace.words", {"word": "varchar", "words": "varchar[]"})
    for data in ({"word": ["a", "b\0"]}, {"words": [["a"], ["b\0"]]}):
        with pytest.raises(UserError, match=rf"words\.{next(iter(data))}: .*U\+0000"):
            warehouse.load("tailrace.words", pa.table(data))
    assert warehouse.rows("select * from tailrace.words") == []
    with pytest.raises(UserError, match=r"lent\.word: .*U\+0000"), warehouse.lend("lent", pa.table({"word": ["\0"]})):
        pass
    assert warehouse.columns("lent") == {}


def test_a_number_without_precision_cannot_be_streamed(warehouse):
    """It says which column, and what to do; a row with it can be read."""
    with pytest.raises(UserError, match="total: a number without a precision; cast it"):
        warehouse.stream("select sum(n) as total from (values (cast(1 as bigint))) as t (n)")
    assert warehouse.stream("select cast(sum(n) as bigint) as total from (values (1)) as t (n)").read_all().to_pylist()


def half(warehouse):
    warehouse.create_table("tailrace.half", "select 1 as a")
    raise ZeroDivisionError


def test_who_is_alone_is_waited_for(warehouse, server, schemas):
    """By all of the target, and by no other target."""
    with Postgres(server, schemas=schemas) as same, Postgres(server, schemas={"tailrace": "o'ther"}) as other:
        for each in (same, other):
            each.execute("set lock_timeout = '100ms'")
        with warehouse.alone():
            with pytest.raises(WarehouseHeld), same.alone():
                pass
            with other.alone():
                assert other.rows("select 1 as n") == [{"n": 1}]
        with same.alone():
            assert same.rows("select 1 as n") == [{"n": 1}]


def test_a_transaction_that_fails_leaves_the_connection_usable(warehouse):
    """Nothing of it is kept, and it never ends as if it were: not where the block itself caught the mistake, either."""

    def mistaken() -> None:
        with warehouse.alone():
            warehouse.create_table("tailrace.half", "select 1 as n")
            with contextlib.suppress(UserError):
                warehouse.rows("select nothing")

    with pytest.raises(adbc.Error, match="aborted"):
        mistaken()
    with pytest.raises(ZeroDivisionError), warehouse.alone():
        half(warehouse)
    assert warehouse.columns("tailrace.half") == {}
    assert warehouse.rows("select 1 as n") == [{"n": 1}]


def test_readers_never_find_a_view_gone(warehouse, server, schemas):
    """While it is replaced by one of other columns, again and again."""
    warehouse.create_view("tailrace.shown", "select 1 as a")
    reading = (
        "import sys; from warehouse.postgres import Postgres\n"
        f"with Postgres({server!r}, schemas={dict(schemas)!r}) as reader:\n"
        "    for _ in range(300): assert len(reader.rows('select * from tailrace.shown')) == 1\n"
        "print('ok')"
    )
    with subprocess.Popen([sys.executable, "-c", reading], cwd=ROOT, stdout=subprocess.PIPE, text=True) as reader:
        number = 0
        while reader.poll() is None:
            number += 1
            warehouse.create_view("tailrace.shown", f"select 1 as a{number % 2}")
        assert reader.stdout.read() == "ok\n"
    assert number > 10


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("select a from tailrace.x", "select a from t_tailrace.x"),
        ("tailrace.x__log", "t_tailrace.x__log"),
        ("create schema if not exists raw", "create schema if not exists t_raw"),
        (
            "select 'tailrace.x', \"tailrace.y\" -- raw.z\n, /* raw.z\n */ raw.x",
            "select 'tailrace.x', \"tailrace.y\" -- raw.z\n, /* raw.z\n */ t_raw.x",
        ),
        ("select 'it''s raw.x', raw.x", "select 'it''s raw.x', t_raw.x"),
        ('select "a""raw.x", raw.x', 'select "a""raw.x", t_raw.x'),
        ('select "tailrace".x, x.raw.y, myraw.x, raw_x.y, raw', 'select "tailrace".x, x.raw.y, myraw.x, raw_x.y, raw'),
        ("select published.x, other.y", "select published.x, other.y"),
        ("(select * from raw.x)", "(select * from t_raw.x)"),
        ("select raw.f(tailrace.g(1))", "select t_raw.f(t_tailrace.g(1))"),
    ],
)
def test_logical_schemas_become_real_ones(sql, written):
    """Where they stand before a point, outside of texts, quoted names and comments; others stay."""
    names = Names({"tailrace": "t_tailrace", "raw": "t_raw"})
    assert names.write(sql).sql == written


def test_a_companys_schema_may_be_called_as_one_of_ours(database):
    """It is read where its name is quoted: that is left alone; in plain words the name is ours."""
    with Postgres(database, schemas={"raw": "ours", "main": "models"}) as warehouse:
        for name in ('"raw"', "raw"):
            warehouse.execute(f"create schema {name}")
            warehouse.create_table(f"{name}.sales", f"select cast({warehouse.dialect.literal(name)} as text) as said")
            assert warehouse.load(f"{name}.sales", pa.table({"said": [f"{name}.x"]})) == 1
            said = warehouse.rows(f"select said from {name}.sales order by said")
            assert said == [{"said": name}, {"said": f"{name}.x"}]
        found = warehouse.rows("select nspname as name from pg_namespace where nspname in ('raw', 'ours') order by 1")
        assert found == [{"name": "ours"}, {"name": "raw"}]


STREAMED = """
import resource, sys
from warehouse.postgres import Postgres

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with Postgres(sys.argv[1]) as warehouse:
    query = (
        "select n, repeat(md5(cast(n as text)), 16) as text, cast(n / 7.0 as decimal(18, 2)) as money, "
        "to_timestamp(n) as at_time from generate_series(1, {}) as s (n)"
    )
    list(warehouse.stream(query.format(1000)))
    before, rows, size = peak(), 0, 0
    for batch in warehouse.stream(query.format(sys.argv[2])):
        rows += len(batch)
        size += batch.nbytes
    print(rows, size // 1024, peak() - before)
"""


def test_a_stream_needs_little_memory_however_long_it_is(server):
    """Half a million rows of 500 bytes and more in less than a third of their size: two or three of the parts sent."""
    command = [sys.executable, "-c", STREAMED, server, "500000"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env={**os.environ})
    rows, size, grown = map(int, done.stdout.split())
    assert rows == 500_000
    assert size > 250_000  # in kilobytes, as is what it grew by: 50,000, and more than `size` where it is read whole
    assert grown < size / 3


def test_a_name_that_the_engine_would_cut_is_refused(database, tmp_path):
    """PostgreSQL cuts names at 63 bytes and says nothing; what stands under the rest would be found by nobody."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    with home.open() as warehouse:
        batches.prepare(warehouse)
        batches.create_log(warehouse, f"tailrace.{'x' * 58}", {"n": "integer"})
        with pytest.raises(UserError, match="at most 63 bytes"):
            batches.create_log(warehouse, f"tailrace.{'x' * 59}", {"n": "integer"})
        assert f"tailrace.{'x' * 58}" in batches.logs(warehouse)
