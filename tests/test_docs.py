"""What the documentation says is there, is there; what is there, is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from assets import stages, store
from assets.publish import KEPT
from models.settings import Settings
from warehouse.lint import lint_sql

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
COMMAND = re.compile(r"tailrace ([a-z][a-z-]*)\b")
QUERY = re.compile(r'tailrace sql "([^"]+)"')
PRINTED = [*PAGES, ROOT / "orchestration" / "demo_report.py"]  # what the demo says to type next


def commands() -> set[str]:
    import typer  # noqa: PLC0415 - only here

    from orchestration.cli import app  # noqa: PLC0415

    return set(typer.main.get_command(app).commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file of the repository."""
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    """A page names no command that the command line does not have."""
    blocks = re.findall(r"```sh\n(.*?)```|`(tailrace [^`]+)`", page.read_text(), re.DOTALL)
    named = {name for block in blocks for text in block for name in COMMAND.findall(text)}
    assert named <= commands()


@pytest.mark.parametrize("page", PRINTED, ids=lambda page: str(page.relative_to(ROOT)))
def test_queries_are_of_every_engine(page: Path) -> None:
    """What a page gives `tailrace sql` is a query that PostgreSQL reads, too."""
    for query in QUERY.findall(page.read_text()):
        assert query.startswith("select "), query
        assert lint_sql(query, page.name) == []


def test_reference_is_what_the_code_says() -> None:
    """`make docs` would change nothing: every command, sink, model and table is documented as it is."""
    checked = subprocess.run(
        [sys.executable, "docs/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_published_table_of_ours_is_described_column_by_column(tmp_path: Path) -> None:
    """What Python keeps and publishes has exactly the columns that the dbt sources describe, in that order."""
    sources = [
        source
        for path in (ROOT / "dbt_project" / "models").rglob("_sources.yml")
        for source in yaml.safe_load(path.read_text())["sources"]
    ]
    described = {
        table["name"]: {column["name"]: column["description"] for column in table["columns"]}
        for source in sources
        for table in source["tables"]
    }
    settings = Settings(project=ROOT, home=tmp_path)
    with store.locked(settings), stages.opened(settings) as warehouse:
        kept = {name: list(warehouse.columns(f"tailrace.{name}")) for name in KEPT}
    assert {name: list(columns) for name, columns in described.items()} == kept
    assert all(text for columns in described.values() for text in columns.values())


def test_every_setting_is_documented() -> None:
    """Each environment variable that is read, secrets too, is in the quick start."""
    places = (ROOT / "orchestration" / "environment.py", ROOT / "sinks" / "destinations.py")  # secrets are read there
    read = {name for place in places for name in re.findall(r"TAILRACE_[A-Z_]+", place.read_text())}
    written = set(re.findall(r"`(TAILRACE_[A-Z_]+)`", (ROOT / "docs" / "quick-start.md").read_text()))
    assert read == written


def test_make_targets_of_the_readme_exist() -> None:
    """The README and the guides name no target that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"\bmake ([a-z]+)\b", " ".join(code(page)))}
    assert named <= targets


def code(page: Path) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL) + re.findall(r"`([^`\n]+)`", page.read_text())
