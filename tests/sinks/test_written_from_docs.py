"""A sink is one module: the page's two examples, put into a copy of the project and nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-sink.md").read_text()
KEPT = ("models", "sinks", "assets", "warehouse", "gateway", "orchestration", "tests", "docs", "dbt_project")
FILES = ("pyproject.toml", "sources.yml", "sinks.yml", "policy.yml", "workspace.yaml")

pytestmark = pytest.mark.slow


def modules() -> dict[str, str]:
    """The page's modules, by the names it gives them."""
    return {
        found[1]: found[2] for found in re.finditer(r"<!-- sinks/(\w+)\.py -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    }


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the page's modules in sinks/."""
    root = tmp_path_factory.mktemp("project")
    for name in KEPT:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    for name, text in modules().items():
        (root / "sinks" / f"{name}.py").write_text(text)
    return root


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "TAILRACE_PROJECT": str(root),
        "TAILRACE_HOME": str(root / "home"),
    }
    return subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["example", "pigeon"])
def test_the_contract_runs_over_it(copy: Path, name: str) -> None:
    """Found by its module alone, it does what every sink must do."""
    assert name in modules()
    done = run(
        copy,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "tests/sinks/test_contract.py",
        "-k",
        name,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100%" in done.stdout


def test_it_is_listed_and_has_its_page(copy: Path) -> None:
    """`tailrace sinks` shows it, and the reference writes its page."""
    listed = run(copy, "-m", "orchestration", "sinks", "--json")
    assert {"example", "pigeon"} <= {one["sink"] for one in json.loads(listed.stdout)}
    assert run(copy, "docs/reference.py").returncode == 0
    assert (copy / "docs/channels/pigeon.md").read_text().count("`pigeon`") == 1
