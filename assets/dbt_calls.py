"""The only module that imports dbt at its top: it takes seconds, so whoever needs it imports this one when it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest


def invoke(call: Sequence[str], parsed: Manifest | None = None) -> dbtRunnerResult:
    """Run one dbt command in this process; the file is closed again when it returns."""
    try:
        return dbtRunner(manifest=parsed).invoke(list(call))
    finally:
        # dbt keeps the file open after it returns, and with it the place of the only writer
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def load(path: Path) -> Manifest:
    """The manifest dbt stored after a parse, ready to run."""
    loaded = Manifest.from_msgpack(path.read_bytes())
    loaded.build_parent_and_child_maps()  # type: ignore[no-untyped-call]
    return loaded
