"""The only module that imports dbt at its top: it takes seconds, so whoever needs it imports this one when it does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.factory import cleanup_connections
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from warehouse.engine import Engine


def invoke(call: Sequence[str], engine: Engine, parsed: Manifest | None = None) -> dbtRunnerResult:
    """Run one dbt command in this process; what it opened is closed again when it returns."""
    try:
        with _set(engine.environment()), engine.running_dbt():
            return dbtRunner(manifest=parsed).invoke(list(call))
    finally:
        cleanup_connections()  # type: ignore[no-untyped-call]
        # DuckDB's adapter keeps the file open after it returns, and with it the place of the only writer
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def load(path: Path) -> Manifest:
    """The manifest dbt stored after a parse, ready to run."""
    loaded = Manifest.from_msgpack(path.read_bytes())
    loaded.build_parent_and_child_maps()  # type: ignore[no-untyped-call]
    return loaded


@contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
