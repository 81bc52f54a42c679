"""The engines that a test runs on: DuckDB always; PostgreSQL where a server is, or may be started."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from warehouse import batches
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB
from warehouse.postgres import Postgres

LOGICAL = ("tailrace", "raw", "main", "published")


@pytest.fixture(scope="module")
def schemas(server) -> Iterator[Mapping[str, str]]:
    """Real schemas for the logical ones, of this module alone."""
    prefix = f"t{uuid4().hex[:10]}"
    real = {name: f"{prefix}_{name}" for name in LOGICAL}
    with Postgres(server, schemas=real) as opened:
        opened.execute("create schema main")
    yield real
    with Postgres(server, schemas=real) as opened:
        for name in LOGICAL:
            opened.execute(f"drop schema if exists {name} cascade")


@pytest.fixture(params=["duckdb", "postgres"])
def connect(request, tmp_path) -> Iterator[Callable[..., Warehouse]]:
    """Opens the engine's warehouse of this test, or opens it again; all are closed, and the schemas emptied."""
    with ExitStack() as stack:
        if request.param == "duckdb":
            yield lambda **options: stack.enter_context(DuckDB(tmp_path / "w.duckdb", **options))
            return
        url, real = request.getfixturevalue("server"), request.getfixturevalue("schemas")
        yield lambda **options: stack.enter_context(Postgres(url, schemas=real, **options))
        stack.close()
        with Postgres(url, schemas=real) as opened:
            for name in LOGICAL:
                opened.execute(f"drop schema if exists {name} cascade")
            opened.execute("create schema main")


@pytest.fixture
def warehouse(connect) -> Warehouse:
    opened = connect()
    batches.prepare(opened)
    return opened


@pytest.fixture(scope="module")
def both(schemas, server) -> Iterator[tuple[Warehouse, Warehouse]]:
    """DuckDB and PostgreSQL, prepared, to be asked the same."""
    with DuckDB(Path(":memory:")) as duckdb, Postgres(server, schemas=schemas) as postgres:
        for opened in (duckdb, postgres):
            batches.prepare(opened)
        yield duckdb, postgres
