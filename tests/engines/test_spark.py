"""What only Spark needs: what a killed run left does no harm, signs that mean something to it are text."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pytest

from models.errors import NeedsPerson, UserError, WarehouseHeld
from tests.engines import spark_serving
from warehouse import batches

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def opened(spark):
    with spark() as warehouse:
        batches.prepare(warehouse)
        batches.create_log(warehouse, "tailrace.notes", {"note": "varchar"})
        yield warehouse


def notes(warehouse):
    return sorted(row["note"] for row in warehouse.rows("select note from tailrace.notes"))


def test_files_that_a_killed_run_left_unknown_do_not_come_back(opened):
    """In a batch's folder, and the catalogue was not told before the server ended: a repeated append replaces them."""
    opened.execute("create table tailrace.notes__left (batch_id string, note string) using parquet")
    place = opened.rows("describe extended tailrace.notes__log")
    location = next(row["data_type"] for row in place if row["col_name"] == "Location")
    opened.execute(f"insert overwrite directory '{location}/batch_id=b' using parquet select 'of a killed run' as note")
    batch = batches.Batch(opened, "b")
    batch.append("tailrace.notes", pa.table({"note": ["whole"]}))
    batch.commit(NOW)
    assert notes(opened) == ["whole"]


def test_what_another_session_writes_is_seen_at_once(opened, spark):
    """Rows put into a table that was read before, and a table in the place of one."""
    opened.execute("create table tailrace.seen (n int) using parquet")
    assert opened.rows("select * from tailrace.seen") == []
    with spark() as other:
        other.insert("tailrace.seen", "select 1 as n")
        assert opened.rows("select n from tailrace.seen") == [{"n": 1}]
        other.create_table("tailrace.seen", "select 2 as n")
    assert opened.rows("select n from tailrace.seen") == [{"n": 2}]


@pytest.mark.parametrize(
    ("made", "kept"),
    [("(n int, note string) using parquet", []), ("using parquet as select 2 as n, 'b' as note", [{"n": 2}])],
    ids=["empty", "with rows"],
)
def test_a_table_that_a_killed_run_was_replacing_is_there_again(opened, spark, made, kept):
    """The old one is gone, the new one not in its place; whoever makes sure that there is one finds it."""
    opened.create_table("tailrace.replaced", "select 1 as n")
    opened.execute(f"create table tailrace.replaced__fresh {made}")
    opened.execute("drop table tailrace.replaced")
    with spark() as other:
        other.execute("create table if not exists tailrace.replaced (n int)")
        assert list(other.columns("tailrace.replaced")) == ["n", "note"]
        assert other.rows("select n from tailrace.replaced") == kept
    assert opened.relations("tailrace").count("replaced__fresh") == 0


def test_what_is_gathered_is_there_first(opened):
    """Killed between the steps of gathering: who gathers next has the rows, though nobody looked for the table."""
    opened.create_table("tailrace.gathered", "select 1 as n")
    opened.execute("create table tailrace.gathered__fresh using parquet as select 2 as n")
    opened.execute("drop table tailrace.gathered")
    opened.gather("tailrace.gathered")
    assert opened.rows("select n from tailrace.gathered") == [{"n": 2}]


def folder(warehouse, table):
    """Where a table's files are, on this machine."""
    told = {row["col_name"]: row["data_type"] for row in warehouse.rows(f"describe table extended {table}")}
    return Path(urlsplit(told["Location"]).path)


def test_a_table_whose_folder_was_renamed_before_the_catalogue_knew_is_there_again(opened, spark):
    """The server ended within the second step: rows are where the table is to be, and are not taken for leftovers."""
    opened.create_table("tailrace.renamed", "select 1 as n")
    opened.execute("create table tailrace.renamed__fresh using parquet as select 2 as n, 'b' as note")
    old, new = (folder(opened, f"tailrace.renamed{end}") for end in ("", "__fresh"))
    opened.execute("drop table tailrace.renamed")
    new.rename(old)
    with spark() as other:
        other.execute("create table if not exists tailrace.renamed (n int)")
        assert other.rows("select * from tailrace.renamed") == [{"n": 2, "note": "b"}]
    assert opened.relations("tailrace").count("renamed__fresh") == 0


@pytest.mark.parametrize("left", ["made__fresh", "made"])
def test_what_a_server_left_where_a_table_is_to_be_is_in_nobodys_way(opened, left):
    """Killed while it made one, or between what the catalogue knows and its files: a folder without a table."""
    opened.create_table("tailrace.made", "select 1 as n")
    place = folder(opened, "tailrace.made").with_name(left)
    opened.execute("drop table tailrace.made")
    (place / "_temporary" / "0").mkdir(parents=True)
    (place / "part-0.parquet").write_text("cut off")
    opened.create_table("tailrace.made", "select 2 as n")
    assert opened.rows("select n from tailrace.made") == [{"n": 2}]


def test_nor_is_it_in_dbts(opened, cluster, monkeypatch, tmp_path):
    """Its session clears the way as the port's does."""
    from dbt.adapters.spark.session import Cursor  # noqa: PLC0415 - where the adapter is

    from warehouse.spark_dbt import dbt_session  # noqa: PLC0415 - where the client is

    monkeypatch.setenv("SPARK_REMOTE", cluster)
    opened.create_table("main.model", "select 1 as n")
    place = folder(opened, "main.model")
    opened.execute("drop table main.model")
    (place / "_temporary" / "0").mkdir(parents=True)
    with dbt_session(cluster, tmp_path):
        name = f"{opened.names.schemas['main']}.model"
        Cursor(server_side_parameters={}).execute(f"create table {name} using parquet as select 2 as n")
    assert opened.rows("select n from main.model") == [{"n": 2}]


SLOW = "select max(xxhash64(id)) as n from range(0, {}, 1, 4)"
KILLED = """
import sys
from pathlib import Path
from warehouse.spark import Spark
with Spark(sys.argv[1], home=Path(sys.argv[2]), schemas={"main": sys.argv[3]}) as warehouse:
    print("begins", flush=True)
    warehouse.insert("main.late", sys.argv[4])
"""


def test_what_a_killed_run_had_begun_is_ended_before_anybody_writes(opened, cluster, tmp_path):
    """The server goes on with a statement though its client is gone; whoever begins the next session ends it."""
    from warehouse.spark import Spark  # noqa: PLC0415 - where the client is

    schemas = {"main": opened.names.schemas["main"]}
    opened.create_table("main.late", {"n": "bigint"})
    rows, seconds = 30_000_000, 0.0
    while seconds < 5:
        rows, began = rows * 3, time.monotonic()
        opened.insert("main.late", SLOW.format(rows))
        seconds = time.monotonic() - began
    opened.create_table("main.late", {"n": "bigint"})
    (tmp_path / "killed.py").write_text(KILLED)  # a file, for Spark's client looks for the one that was begun
    line = [sys.executable, tmp_path / "killed.py", cluster, tmp_path, schemas["main"], SLOW.format(rows)]
    environment = {**os.environ, "PYTHONPATH": str(spark_serving.ROOT)}
    child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout
    child.stdout.readline()
    time.sleep(seconds / 3)
    assert child.poll() is None
    child.kill()
    child.wait()
    with Spark(cluster, home=tmp_path, schemas=schemas) as next_one:
        time.sleep(seconds * 1.5)
        assert next_one.rows("select n from main.late") == [], (rows, seconds)
    assert not [*(tmp_path / "spark").glob("session_*")]


def test_a_batch_with_other_rows_than_were_appended_does_not_become_visible(opened):
    """Somebody's statement came between: whoever repeats the append has the batch whole."""
    batch = batches.Batch(opened, "between")
    batch.append("tailrace.notes", "select 'mine' as note")
    opened.insert("tailrace.notes__log", "select 'between' as batch_id, 'theirs' as note")
    with pytest.raises(WarehouseHeld, match="1 rows of between were written and 2 are there"):
        batch.commit(NOW)
    together = batches.Batches(opened, ["between"])
    together.append("tailrace.notes", "select 'between' as batch_id, 'again' as note")
    with pytest.raises(WarehouseHeld, match="2 rows of between were written and 1 are there"):
        together.commit({"between": 2}, NOW)
    assert not {"mine", "theirs", "again"} & {*notes(opened)}
    batch = batches.Batch(opened, "between")
    batch.append("tailrace.notes", "select 'mine' as note")
    assert batch.commit(NOW)
    assert {"mine", "theirs", "again"} & {*notes(opened)} == {"mine"}


def test_rows_are_loaded_in_several_statements(opened, monkeypatch):
    """The server has in its memory what one of them inserts, however many come as one batch."""
    monkeypatch.setattr("warehouse.spark_arrow.CHUNK", 3 * 8)  # bytes
    statements = []
    append = type(opened)._appended

    def counted(warehouse, *given):
        statements.append(append(warehouse, *given))
        return statements[-1]

    monkeypatch.setattr(type(opened), "_appended", counted)
    opened.create_table("main.loaded", {"n": "bigint"})
    assert opened.load("main.loaded", pa.table({"n": range(10)})) == 10
    assert statements == [3, 3, 3, 1]
    assert [row["n"] for row in opened.rows("select n from main.loaded order by n")] == [*range(10)]


def test_functions_of_another_version_are_made_again(opened, spark):
    """Also where that one was killed while it made them, and in a process that has seen its own."""
    opened.execute("create or replace function tailrace.json_valid(said string) returns boolean return false")
    for digest in ("of another", ""):
        note = f"create or replace function tailrace.functions_made_by() returns string return '{digest}'"
        opened.execute(note)
        with spark() as other:
            other.prepare_functions()
            assert other.rows("select tailrace.json_valid('{}') as valid") == [{"valid": True}]


@pytest.mark.parametrize(
    "sql",
    [
        "with x as (select 'n' as note) insert into tailrace.notes__log select 'b', note from x",
        "from tailrace.notes__log insert into tailrace.notes__log select *",
        "/* no\n'word */ WITH x as (select 1) MERGE into tailrace.notes__log using x on true when matched then delete",
    ],
)
def test_who_reads_does_not_write(spark, sql):
    """Whatever a statement that writes begins with; the words themselves are as good as others."""
    with spark(read_only=True) as reader:
        for ask in (reader.rows, reader.stream):
            with pytest.raises(UserError, match="read-only"):
                ask(sql)
        said = reader.rows("with x as (select 'insert' as `update`) select * from x -- delete")
        assert said == [{"update": "insert"}]


def test_batches_are_gathered(opened):
    """Each committed one is a file; all of them are visible, and one file, after."""
    for name in "wxyz":
        batches.Batch(opened, name).commit(NOW)
    before = opened.rows("select * from tailrace.batch order by batch_id")
    opened.gather("tailrace.batch")
    assert opened.rows("select * from tailrace.batch order by batch_id") == before
    assert len(opened.rows("select distinct input_file_name() as file from tailrace.batch")) == 1


def test_a_server_that_would_hide_it_is_refused(spark, monkeypatch):
    """With the options that it is to be started with."""
    from warehouse import spark_session  # noqa: PLC0415 - where the client is

    monkeypatch.setitem(spark_session.OF_SERVER, "spark.sql.filesourceTableRelationCacheSize", "7")
    with pytest.raises(UserError, match=r"server with --conf spark\.sql\.filesourceTableRelationCacheSize=7$"):
        spark()


@pytest.mark.parametrize(
    "text", ["${spark.app.name}", "a\\b\\n", "\\'", "it's raw.x \\", "tab\t\\t", 'q"', "`", "%s", "{x}", ":x", "\u2028"]
)
def test_signs_that_mean_something_to_spark_are_text(opened, text):
    """In a literal, as a parameter, and beside a name of ours."""
    literal = opened.dialect.literal(text)
    found = opened.rows(f"select {literal} as a, ? as b, told.c from (select {literal} as c) as told", [text])
    assert found == [{"a": text, "b": text, "c": text}]


def test_a_value_that_does_not_fit_is_told_of_in_dbts_session_too(opened, cluster, monkeypatch, tmp_path):
    """ANSI SQL stays on, though the adapter turns it off before every statement."""
    from dbt.adapters.spark.session import Cursor  # noqa: PLC0415 - where the adapter is

    from warehouse.spark_dbt import dbt_session  # noqa: PLC0415 - where the client is

    monkeypatch.setenv("SPARK_REMOTE", cluster)
    with dbt_session(cluster, tmp_path):
        cursor = Cursor(server_side_parameters={"spark.sql.ansi.enabled": "false"})
        with pytest.raises(Exception, match="cannot be cast to"):  # noqa: PT012 - a query runs when it is fetched
            cursor.execute("select cast('x' as int) as n")
            cursor.fetchall()
    assert opened.rows("select 1 as n") == [{"n": 1}]


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("sc://127.0.0.1:1", NeedsPerson, "sc://127.0.0.1:1: no Spark Connect server answers"),
        ("sc://127.0.0.1:1/;token=s3cr3t", NeedsPerson, "sc://127.0.0.1:1: no Spark Connect server answers"),
        ("sc://127.0.0.1:x/;token=s3cr3t", UserError, "cannot be used as an address"),
        ("http://127.0.0.1:1/s3cr3t", UserError, "cannot be used as an address"),
    ],
)
def test_a_server_that_is_not_there_is_told_of_at_once_and_without_the_token(tmp_path, monkeypatch, url, kind, says):
    if (home := spark_serving.home()) is None:
        pytest.skip("the client looks for a Spark before it connects: `make spark` gets one")
    monkeypatch.setenv("SPARK_HOME", str(home))
    from warehouse.spark import Spark  # noqa: PLC0415 - where the client is

    with pytest.raises(kind, match=says) as caught:
        Spark(url, home=tmp_path)
    assert "s3cr3t" not in f"{caught.value}{caught.value.__cause__!r}"
    assert caught.value.__suppress_context__
