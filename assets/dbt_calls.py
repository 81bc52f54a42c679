"""The only module that imports dbt at its top: it takes seconds, so whoever needs it imports this one when it does."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.factory import cleanup_connections
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from warehouse.engine import Engine

ABOUT_MODELS = ("exposures", "metrics", "semantic_models", "saved_queries", "unit_tests", "functions")


def invoke(call: Sequence[str], engine: Engine, parsed: Manifest | None = None) -> dbtRunnerResult:
    """Run one dbt command in this process; what it opened is closed again when it returns."""
    try:
        with _set(engine.environment()), engine.running_dbt():
            return dbtRunner(manifest=parsed).invoke(list(call))
    finally:
        cleanup_connections()  # type: ignore[no-untyped-call]
        # DuckDB's adapter keeps the file open after it returns, and with it the place of the only writer
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def load(path: Path, own: str, read: Collection[str]) -> Manifest:
    """The manifest dbt stored after a parse, ready to run what the package `own` has.

    Of other packages it keeps the models that are `read` (`package.model`), as tables that are there: neither what is
    above them nor hooks, tests and seeds, so that nothing of them can run.
    """
    loaded = Manifest.from_msgpack(path.read_bytes())
    for kind in (loaded.nodes, *(getattr(loaded, name) for name in ABOUT_MODELS)):
        for key, node in [*kind.items()]:
            if node.package_name != own and key.partition(".")[2] not in read:
                del kind[key]
            elif node.package_name != own:
                node.depends_on.nodes = []
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
