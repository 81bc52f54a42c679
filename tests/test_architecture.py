"""The arrow points one way, and only where it may."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"models", "sinks", "warehouse", "assets", "orchestration", "gateway"}
MAY_IMPORT = {
    "models": set(),
    "warehouse": {"models"},
    "sinks": {"models"},
    "gateway": {"models", "sinks"},
    "assets": {"models", "sinks", "warehouse"},
    "orchestration": {"models", "sinks", "warehouse", "assets", "gateway"},
}
ENGINES = {"dagster", "dagster_dbt", "dbt"}
MAY_IMPORT_ENGINES = {"assets": {"dbt"}, "orchestration": ENGINES}  # the others none of them


def imported(path: Path) -> set[str]:
    """The top-level names a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py")), ids=str)
def test_imports_point_one_way(path: Path) -> None:
    """Orchestration → assets → sinks → models, assets → warehouse → models; Dagster above assets, dbt not below."""
    package = path.relative_to(ROOT).parts[0]
    names = imported(path)
    assert names & PACKAGES - {package} <= MAY_IMPORT[package]
    assert names & ENGINES <= MAY_IMPORT_ENGINES.get(package, set())
