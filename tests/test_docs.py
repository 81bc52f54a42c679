"""What the documentation says is there, is there; what is there, is documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
COMMAND = re.compile(r"tailrace ([a-z]+)\b")


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


def test_reference_is_what_the_code_says() -> None:
    """`make docs` would change nothing: every command, sink and model is documented as it is."""
    checked = subprocess.run(
        [sys.executable, "docs/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_setting_is_documented() -> None:
    """Each environment variable that orchestration/environment.py reads is in the quick start."""
    read = set(re.findall(r"TAILRACE_[A-Z_]+", (ROOT / "orchestration" / "environment.py").read_text()))
    written = set(re.findall(r"`(TAILRACE_[A-Z_]+)`", (ROOT / "docs" / "quick-start.md").read_text()))
    assert read == written


def test_make_targets_of_the_readme_exist() -> None:
    """The README and the guides name no target that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"\bmake ([a-z]+)\b", " ".join(code(page)))}
    assert named <= targets


def code(page: Path) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL) + re.findall(r"`([^`\n]+)`", page.read_text())
