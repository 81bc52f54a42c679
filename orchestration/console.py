"""How the command line speaks: tables and JSON on stdout, progress and errors on stderr. No command's own words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Protocol

from pydantic import BaseModel
from rich.console import Console
from rich.table import Column, Table

PIPE_WIDTH = 240  # columns where there is no terminal: nothing is cut that a pipe could use
PLAIN: dict[str, Any] = {"title_justify": "left", "title_style": "bold", "box": None, "pad_edge": False}  # of a table
UNBOUNDED = 1_000_000  # columns: to ask how wide something would be


def out() -> Console:
    """What a person asked for."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def err() -> Console:
    """What is said about it: progress and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """One JSON text on stdout, at once: numbers as numbers, moments as ISO text in UTC."""
    print(json.dumps(plain(value), ensure_ascii=False), flush=True)  # noqa: T201 - rich would wrap it


def plain(value: Any) -> Any:  # noqa: PLR0911 - one answer a type
    """The same value in JSON's own types. A decimal becomes a number, a number that JSON lacks becomes null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case BaseModel():
            return plain(value.model_dump())
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return plain(asdict(value))
        case _:
            return str(value)


def table(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> Table:
    """Rows as a table; the columns are those of the first row, numbers stand to the right."""
    shown = Table(title=title, header_style="bold", **PLAIN)
    for name in rows[0] if rows else ():
        values = [row.get(name) for row in rows]
        number = any(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values)
        shown.add_column(cell(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(cell(row.get(name)) for name in rows[0]))
    return shown


def fitting(rows: Sequence[Mapping[str, Any]], screen: Console) -> Iterator[Table]:
    """The rows as one table; where that is wider than the screen, each row as a table of its own, a column a line."""
    whole = table(rows)
    if screen.measure(whole, options=screen.options.update_width(UNBOUNDED)).maximum <= screen.width:
        yield whole
        return
    for number, row in enumerate(rows, 1):
        shown = Table("", Column(overflow="fold"), title=f"row {number:,} of {len(rows):,}", show_header=False, **PLAIN)
        for name, value in row.items():
            shown.add_row(cell(name), cell(value))
        yield shown


def cell(value: object) -> str:  # noqa: PLR0911 - one answer a type
    """A value as a person reads it in a table."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
        case Mapping():
            return ", ".join(f"{key} {cell(item)}" for key, item in value.items())
        case list() | tuple():
            return ", ".join(map(cell, value)) or "-"
        case _:
            return str(value).replace("[", r"\[")


class Tell(Protocol):
    """Says what is being done now, and how far it is when that is known."""

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None: ...


@contextmanager
def progress(*, quiet: bool) -> Iterator[Tell]:
    """A line on stderr that says what is being done; nothing at all when `quiet` or when stderr is no terminal."""
    console = err()
    if quiet or not console.is_terminal:
        yield silent
        return
    with console.status("") as status:

        def tell(what: str, done: int | None = None, total: int | None = None) -> None:
            share = f" {100 * done / total:.0f} %" if done is not None and total else ""
            status.update(f"{what}{share}")

        yield tell


def silent(what: str, done: int | None = None, total: int | None = None) -> None:
    """Nobody looks."""
