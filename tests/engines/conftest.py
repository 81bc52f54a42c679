"""The engines that a test runs on: DuckDB always; PostgreSQL and Spark where a server is, or may be started."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from models.settings import Settings
from tests.engines import spark_serving
from tests.engines.serving import STARTED, URLS
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB
from warehouse.engine import Engine, engine
from warehouse.postgres import Postgres

SPARK = "TAILRACE_TEST_SPARK"  # the address of a Spark Connect server
LOGICAL = ("tailrace", "raw", "main", "published")


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Spark Connect server whose catalogue may be written to."""
    pytest.importorskip("pyspark", reason="no Spark client: `pip install tailrace[spark]`")
    if url := os.environ.get(SPARK):
        yield url
    elif os.environ.get(STARTED) and spark_serving.home():
        with spark_serving.serving() as started:
            yield started.url
    else:
        pytest.skip(f"no Spark cluster: `make spark test-engines` starts one, or {SPARK} is the address of one")


@pytest.fixture(scope="module")
def schemas(server) -> Iterator[Mapping[str, str]]:
    """Real schemas for the logical ones, of this module alone."""
    real = named()
    with Postgres(server, schemas=real) as opened:
        opened.execute("create schema main")
    yield real
    with Postgres(server, schemas=real) as opened:
        emptied(opened)


@pytest.fixture(scope="module")
def spark(cluster, tmp_path_factory) -> Iterator[Callable[..., Warehouse]]:
    """Opens a session whose logical schemas are databases of this module alone."""
    from warehouse.spark import Spark  # noqa: PLC0415 - where the client is

    real, home = named(), tmp_path_factory.mktemp("spark")
    opened = Spark(cluster, home=home, schemas=real)
    opened.execute("create schema main")
    yield lambda **options: Spark(cluster, home=home, schemas=real, **options)
    emptied(opened)
    opened.close()


@pytest.fixture(scope="module")
def catalogue(cluster, tmp_path_factory) -> Iterator[str]:
    """The URL of a warehouse of this module's own in the cluster's catalogue."""
    from warehouse.spark import Spark  # noqa: PLC0415 - where the client is

    name = f"t{uuid4().hex[:10]}"
    yield f"{cluster}/{name}"
    with Spark(cluster, home=tmp_path_factory.mktemp("catalogue")) as opened:
        for row in opened.rows(f"show schemas like '{name}*'"):
            opened.execute(f"drop schema {row['namespace']} cascade")


def named() -> Mapping[str, str]:
    prefix = f"t{uuid4().hex[:10]}"
    return {name: f"{prefix}_{name}" for name in LOGICAL}


def emptied(opened: Warehouse) -> None:
    for name in LOGICAL:
        opened.execute(f"drop schema if exists {name} cascade")


def bared(opened: Warehouse) -> None:
    """Without tables and views, but with the functions, which take long to make."""
    for schema in LOGICAL:
        for name in opened.relations(schema):
            kind = "view" if is_view(opened, f"{schema}.{opened.dialect.quote(name)}") else "table"
            opened.execute(f"drop {kind} {schema}.{opened.dialect.quote(name)}")


def is_view(opened: Warehouse, relation: str) -> bool:
    described = {row["col_name"]: row["data_type"] for row in opened.rows(f"describe extended {relation}")}
    return described.get("Type") == "VIEW"


@pytest.fixture(params=["duckdb", "postgres", "spark"])
def connect(request, tmp_path) -> Iterator[Callable[..., Warehouse]]:
    """Opens the engine's warehouse of this test, or opens it again; all are closed, and the schemas emptied."""
    with ExitStack() as stack:
        if request.param == "duckdb":
            yield lambda **options: stack.enter_context(DuckDB(tmp_path / "w.duckdb", **options))
            return
        if request.param == "spark":
            begin = request.getfixturevalue("spark")
        else:
            url, real = request.getfixturevalue("server"), request.getfixturevalue("schemas")
            begin = lambda **options: Postgres(url, schemas=real, **options)  # noqa: E731 - as the other is
        yield lambda **options: stack.enter_context(begin(**options))
        stack.close()
        with begin() as opened:
            if request.param == "spark":
                bared(opened)
            else:
                emptied(opened)
                opened.execute("create schema main")


@pytest.fixture(params=["duckdb", "postgres", "spark"])
def home(request, tmp_path) -> Engine:
    """A target with nothing in it."""
    url = request.getfixturevalue(URLS[request.param]) if request.param in URLS else None
    (tmp_path / "dev").mkdir()
    return engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=url))


@pytest.fixture
def warehouse(connect) -> Warehouse:
    opened = connect()
    batches.prepare(opened)
    return opened


@pytest.fixture(scope="module")
def beside_postgres(schemas, server) -> Iterator[tuple[Warehouse, Warehouse]]:
    """DuckDB and PostgreSQL, prepared, to be asked the same."""
    with DuckDB(Path(":memory:")) as duckdb, Postgres(server, schemas=schemas) as postgres:
        for opened in (duckdb, postgres):
            batches.prepare(opened)
        yield duckdb, postgres


@pytest.fixture(scope="module")
def beside_spark(spark) -> Iterator[tuple[Warehouse, Warehouse]]:
    """DuckDB and Spark, the same."""
    with DuckDB(Path(":memory:")) as duckdb, spark() as other:
        for opened in (duckdb, other):
            batches.prepare(opened)
        yield duckdb, other


@pytest.fixture(scope="module", params=["postgres", "spark"])
def both(request) -> tuple[Warehouse, Warehouse]:
    """DuckDB, and beside it each of the others."""
    return request.getfixturevalue(f"beside_{request.param}")
