"""What is PostgreSQL's own behind the port: its errors in words, its schemas, its streams in little memory."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from models.errors import NeedsPerson, UserError
from warehouse import batches
from warehouse.postgres import Postgres
from warehouse.postgres_dialect import Names
from warehouse.postgres_errors import translated

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t"


@pytest.fixture
def warehouse(server, schemas):
    with Postgres(server, schemas=schemas) as opened:
        batches.prepare(opened)
        yield opened
        opened.execute("drop schema tailrace cascade")


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("postgresql://postgres:{secret}@127.0.0.1:1/postgres", NeedsPerson, "127.0.0.1:1/postgres: no PostgreSQL"),
        ("postgresql://nobody:{secret}@{place}/postgres", UserError, "user and password"),
        ("postgresql://postgres:{secret}@{place}/nowhere", UserError, '"nowhere" does not exist'),
        ("postgresql://postgres:{secret} x@{place}/postgres", UserError, "address of a server"),
        ("postgresql://postgres:{secret}@{place}x/postgres", UserError, "address of a server"),
        ("postgresql://no.such.host.invalid/x?password={secret}", NeedsPerson, "no PostgreSQL"),
        ("{secret}", UserError, "address of a server"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_told_of_without_the_password(server, url, kind, says):
    """In the message and in whatever a traceback shows of it."""
    place = server.split("@")[-1].split("/")[0]
    with pytest.raises(kind, match=says) as caught:
        Postgres(url.format(secret=SECRET, place=place))
    error = caught.value
    assert SECRET not in f"{error}{error!r}{error.__cause__!r}"
    assert error.__suppress_context__


def test_nothing_shows_the_password(warehouse, server, schemas):
    with Postgres(server.replace("postgres@", f"postgres:{SECRET}@"), schemas=schemas) as opened:
        assert SECRET not in repr(opened) + repr(vars(opened))


def test_the_version_and_the_zone(warehouse):
    """Of the server; all in UTC, whatever the machine's zone is."""
    assert warehouse.version.startswith("postgresql ")
    assert warehouse.rows("select cast(timestamptz '2026-01-01 00:00:00+02' as varchar) as text") == [
        {"text": "2025-12-31 22:00:00+00"}
    ]


@pytest.mark.parametrize(
    ("state", "text", "kind"),
    [
        ("53100", "could not extend file", "StorageFull"),
        ("", "ERROR:  could not write to file: No space left on device", "StorageFull"),
        ("53200", "out of memory", "NeedsPerson"),
        ("57P01", "terminating connection due to administrator command", "NeedsPerson"),
        ("", "server closed the connection unexpectedly", "NeedsPerson"),
        ("22P02", "invalid input syntax", "UserError"),
        ("42501", "permission denied for schema x", "UserError"),
    ],
)
def test_what_a_person_can_act_on_is_said_in_words(state, text, kind):
    """By the server's code, or its words where the driver lost that."""
    error = OSError(text)
    error.sqlstate = state
    assert type(translated(error, None)).__name__ == kind


def test_a_connection_that_was_ended_is_told(server, schemas):
    """By an administrator, or with the server."""
    with Postgres(server, schemas=schemas) as victim, Postgres(server, schemas=schemas) as other:
        pid = victim.rows("select pg_backend_pid() as pid")[0]["pid"]
        other.rows("select pg_terminate_backend(?)", [pid])
        with pytest.raises(NeedsPerson, match="ended the connection"):
            victim.rows("select 1 as n")


def test_a_database_file_cannot_be_attached(warehouse, tmp_path):
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


def test_a_transaction_that_fails_leaves_the_connection_usable(warehouse):
    with warehouse.alone(), contextlib.suppress(UserError):
        warehouse.create_table("tailrace.half", "select nothing")
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
        ("select 'tailrace.x', \"tailrace.y\" -- raw.z\n, /* raw.z\n */ raw.x", None),
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
    expected = "select 'tailrace.x', \"tailrace.y\" -- raw.z\n, /* raw.z\n */ t_raw.x" if written is None else written
    assert names.write(sql).sql == expected


STREAMED = """
import resource, sys, time
from warehouse.postgres import Postgres
with Postgres(sys.argv[1]) as warehouse:
    query = (
        "select n, 'profile-' || n as profile_id, md5(cast(n as text)) as digest, "
        "cast(n / 7.0 as decimal(18, 2)) as money, to_timestamp(n) as at_time from generate_series(1, {rows}) as s (n)"
    )
    list(warehouse.stream(query.format(rows=1000)))
    before, begun, rows = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), 0
    for batch in warehouse.stream(query.format(rows=sys.argv[2])):
        rows += len(batch)
    seconds = time.perf_counter() - begun
    print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, round(rows / seconds))
"""


def test_a_stream_needs_little_memory_however_long_it_is(server):
    """Half a million rows of 100 bytes and more in less than a tenth of their size."""
    command = [sys.executable, "-c", STREAMED, server, "500000"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env={**os.environ})
    rows, kilobytes, _ = map(int, done.stdout.split())
    assert rows == 500_000
    assert kilobytes < 120_000
