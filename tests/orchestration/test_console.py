"""What the command line prints fits the screen and is what the rows say."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from orchestration import console, demo_report

ROWS = [{"[/]name": "[b]ann", "orders": 1_234, "email": "ann@shop.example", "roles": ["a", "[b]"], "none": None}] * 2


def printed(width: int) -> list[str]:
    screen = Console(file=io.StringIO(), width=width, highlight=False)
    for shown in console.fitting(ROWS, screen):
        screen.print(shown)
    assert isinstance(screen.file, io.StringIO)
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]


def test_rows_that_fit_are_one_table() -> None:
    """Nothing in a name or a value is taken for markup."""
    row = "[b]ann    1,234  ann@shop.example  a, [b]  -"
    assert printed(60) == ["[/]name  orders  email             roles   none", row, row]


def test_rows_that_do_not_fit_are_a_block_each() -> None:
    """A column a line, and nothing is squeezed."""
    block = ["[/]name  [b]ann", "orders   1,234", "email    ann@shop.example", "roles    a, [b]", "none     -"]
    assert printed(30) == ["row 1 of 2", *block, "row 2 of 2", *block]


def test_what_the_demo_says_is_next_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its name where the shell finds it, else by where it is from here."""
    program = Path(sys.executable).with_name("tailrace")
    monkeypatch.chdir(program.parents[1])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "  bin/tailrace status  " in demo_report.following()
    monkeypatch.setenv("PATH", str(program.parent))
    assert "  tailrace status  " in demo_report.following()
