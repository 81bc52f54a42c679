"""Spark's errors are said in words that a person can act on, and what is in the data is not shown."""

import pytest

from models.errors import NeedsPerson, UserError

SECRET = "ann@secret.example"
LONG = "9999999999999"


@pytest.fixture(scope="module")
def opened(spark):
    with spark() as warehouse:
        warehouse.create_table("main.people", f"select '{SECRET}' as who, '{LONG}' as n")
        yield warehouse


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("select cast(who as int) as n from main.people", 'value … of the type "STRING" cannot be cast to "INT"'),
        ("select cast(cast(n as bigint) as int) as n from main.people", 'value … of the type "BIGINT" cannot be cast'),
        ("select cast(n as decimal(5, 1)) as n from main.people", r"… cannot be represented as Decimal\(5, 1\)"),
        ("select cast(n as bigint) * 9000000000000000000 as n from main.people", "arithmetic overflow: …"),
        ("select cast(who as date) as n from main.people", 'cannot be cast to "DATE"'),
        ("select to_timestamp(who, 'yyyy') as n from main.people", "cannot parse timestamp|to_timestamp"),
        ("select parse_json(who) as n from main.people", "Malformed records"),
        ("select raise_error(who) as n from main.people", "user raised exception: …"),
        ("select map(who, 1, who, 2) as n from main.people", "Duplicate map key …"),
        (
            "select 1 as n where (select max(cast(who as int)) from main.people) > 0",
            'cast invalid input: …|cast to "INT"',
        ),
    ],
)
def test_a_value_that_does_not_fit_is_not_shown(opened, query, says):
    """Nor is it where rows are written, and not the whole sentence where that is made of it."""
    for run in (opened.rows, lambda sql: opened.create_table("main.made", sql)):
        with pytest.raises(UserError, match=says) as caught:
            run(query)
        said = str(caught.value).split("\n\nLINE")[0]  # the statement itself is ours
        assert SECRET not in said
        assert LONG not in said
        assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True), "Dagster keeps both"


def test_a_column_that_is_not_there_is_named_with_its_place(opened):
    """Without the plan that the server shows of it."""
    with pytest.raises(UserError) as caught:
        opened.rows(f"select '{SECRET}' as a,\n    whom\nfrom main.people")
    assert str(caught.value) == 'column "whom" does not exist\n\nLINE 2:     whom\n            ^'


def test_dbt_is_told_the_same(opened, cluster, monkeypatch, tmp_path):
    """Of a model that is made, and of a test whose rows are fetched later."""
    from dbt.adapters.spark.session import Cursor  # noqa: PLC0415 - where the adapter is

    from warehouse.spark_dbt import dbt_session  # noqa: PLC0415 - where the client is

    monkeypatch.setenv("SPARK_REMOTE", cluster)
    query = f"select cast(who as int) as n from {opened.names.schemas['main']}.people"
    with dbt_session(cluster, tmp_path):
        for sql in (query, f"create table {opened.names.schemas['main']}.made_by_dbt using parquet as {query}"):
            cursor = Cursor()
            with pytest.raises(UserError, match="The value …") as caught:  # noqa: PT012 - a query runs when it is fetched
                cursor.execute(sql)
                cursor.fetchall()
            assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"expression": f"{SECRET} (line 1, pos 2) SQLSTATE: x == SQL"}, "The value … fits not"),
        (None, "cast invalid input: …"),
    ],
    ids=["it looks like what is cut off", "nothing is said of it apart"],
)
def test_a_value_is_masked_whatever_it_looks_like(told, says):
    connect = pytest.importorskip("pyspark.errors.exceptions.connect")
    from warehouse.spark_errors import translated  # noqa: PLC0415 - where the client is

    value = told["expression"] if told else SECRET
    error = connect.SparkConnectGrpcException(
        f"[CAST_INVALID_INPUT] The value {value} fits not. SQLSTATE: 22018",
        errorClass="CAST_INVALID_INPUT",
        messageParameters=told,
        sql_state="22018",
    )
    assert str(translated(error, None)).startswith(says)
    assert SECRET not in str(translated(error, None))


@pytest.mark.parametrize("condition", ["INVALID_HANDLE.OPERATION_ABANDONED", "RESPONSE_ALREADY_RECEIVED"])
def test_a_client_that_slept_too_long_is_told_to_begin_again(condition):
    """The server has forgotten what it asked for."""
    connect = pytest.importorskip("pyspark.errors.exceptions.connect")
    from warehouse.spark_errors import translated  # noqa: PLC0415 - where the client is

    said = translated(connect.SparkConnectGrpcException(f"[{condition}] gone", errorClass=condition), None)
    assert isinstance(said, NeedsPerson)
    assert "run the command again" in str(said)


@pytest.mark.parametrize(
    "told",
    [
        "(java.lang.IllegalStateException) Cannot call methods on a stopped SparkContext.",
        "Application error processing RPC",
    ],
)
def test_a_server_that_is_being_ended_is_waited_for(told):
    """It says so without a condition."""
    connect = pytest.importorskip("pyspark.errors.exceptions.connect")
    from warehouse.spark_errors import translated  # noqa: PLC0415 - where the client is

    said = translated(connect.SparkConnectGrpcException(told), None)
    assert isinstance(said, NeedsPerson)
    assert "run the command again" in str(said)


def test_a_job_that_was_given_up_is_said_without_its_rows():
    errors = pytest.importorskip("pyspark.errors")
    from warehouse.spark_errors import translated  # noqa: PLC0415 - where the client is

    said = translated(errors.PySparkException(f"Job aborted due to stage failure: {SECRET}"), None)
    assert isinstance(said, NeedsPerson)
    assert SECRET not in str(said)
