"""What the command line prints fits the screen and is what the rows say."""

import io

from rich.console import Console

from orchestration import console

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
