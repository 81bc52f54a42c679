"""What only Spark needs: what a killed run left does no harm, signs that mean something to it are text."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from models.errors import NeedsPerson, UserError
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


def test_a_table_that_a_killed_run_was_replacing_is_there_again(opened, spark):
    """The old one is gone, the new one not in its place; whoever makes sure that there is one finds it."""
    opened.create_table("tailrace.replaced", "select 1 as n")
    opened.execute("create table tailrace.replaced__fresh using parquet as select 2 as n")
    opened.execute("drop table tailrace.replaced")
    with spark() as other:
        other.execute("create table if not exists tailrace.replaced (n int)")
        assert other.rows("select n from tailrace.replaced") == [{"n": 2}]
    assert opened.relations("tailrace").count("replaced__fresh") == 0


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


def test_a_value_that_does_not_fit_is_told_of_in_dbts_session_too(opened, cluster, monkeypatch):
    """ANSI SQL stays on, though the adapter turns it off before every statement."""
    from dbt.adapters.spark.session import Cursor  # noqa: PLC0415 - where the adapter is

    from warehouse.spark_dbt import dbt_session  # noqa: PLC0415 - where the client is

    monkeypatch.setenv("SPARK_REMOTE", cluster)
    with dbt_session(cluster):
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
