"""Which engine runs is known in warehouse/ and in the macros of dbt, and nowhere else."""

import ast
import re
from pathlib import Path

import pytest

from tests.test_architecture import PACKAGES, ROOT

ENGINES = (
    "warehouse.duckdb",
    "warehouse.postgres",
    "warehouse.spark",
    "warehouse.dialect.DuckDBDialect",
    "dbt.adapters.duckdb",
    "dbt.adapters.postgres",
    "dbt.adapters.spark",
    "duckdb",
    "adbc",
    "psycopg",
    "pyspark",
)  # and all that begins with one
ALLOWED = {
    "assets/parquet_records.py": {
        "duckdb": "the reader of Parquet files, whatever the warehouse is",
        "warehouse.dialect.DuckDBDialect": "what that reader is asked in",
    },
    "sinks/journal_server.py": {"psycopg": "the journal's own server, whatever the warehouse is"},
    "assets/dbt_calls.py": {"dbt.adapters.duckdb": "dbt's adapter is left with the only writer's place, and is closed"},
}
WORDS = ("duckdb", "postgres", "postgresql", "spark", "duckdb:///", "postgresql://", "sc://")
TOLD = {
    "orchestration/environment.py": "which settings there may be",
    "models/settings.py": "the file of a target, whose locks and backups are beside it",
    "models/postgres_server.py": "the address of a server, of a journal too",
}
ASKING = {"dbt_project/seeds/_seeds.yml": "dbt knows no macros in what is said of seeds"}
MODULES = [
    path.relative_to(ROOT).as_posix()
    for package in sorted(PACKAGES - {"warehouse"})
    for path in sorted((ROOT / package).rglob("*.py"))
]


def imported(path: Path) -> set[str]:
    """The dotted names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", MODULES)
def test_the_engine_stays_behind_the_port(module):
    """No module imports one, its driver or its adapter but for a reason that is given here."""
    found = {engine for engine in ENGINES for name in imported(ROOT / module) if name.startswith(engine)}
    assert found == set(ALLOWED.get(module, ())), "ask warehouse/engine.py; an entry that nobody needs goes"


def test_nobody_asks_which_engine_it_is():
    """By its name or the beginning of its address."""
    asking = {module for module in MODULES if set(WORDS) & texts(ROOT / module)}
    assert asking == set(TOLD)


def texts(path: Path) -> set[str]:
    """The texts that stand in a module."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_no_model_asks_which_engine_it_is():
    """What engines spell differently is a macro."""
    files = [
        path
        for folder in ("dbt_project", "assets")
        for path in [*(ROOT / folder).rglob("*.sql"), *(ROOT / folder).rglob("*.yml")]
        if "macros" not in path.parts and re.search(r"\b(target|adapter)\.type\b", path.read_text())
    ]
    assert {path.relative_to(ROOT).as_posix() for path in files} == set(ASKING)


def test_what_is_allowed_is_there():
    """An allowed module that was moved takes its reason along."""
    assert set(ALLOWED) <= set(MODULES)


@pytest.mark.parametrize(
    "line", ["import duckdb", "from duckdb import connect", "from warehouse import postgres_engine", "import adbc_x.y"]
)
def test_an_import_is_seen_however_it_is_written(tmp_path, line):
    """In a function too."""
    module = tmp_path / "module.py"
    module.write_text(f"def late():\n    {line}\n")
    assert [name for name in imported(module) if name.startswith(ENGINES)]
