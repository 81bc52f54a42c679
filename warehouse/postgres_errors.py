"""PostgreSQL's errors as ours, in words that say what to do, without who connected and by which password.

Add a sign here when a server says something that a person can act on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import adbc_driver_postgresql.dbapi as adbc

from models.errors import NeedsPerson, StorageFull, TailraceError, UserError, WarehouseHeld
from warehouse.names import Written


class Absent(UserError):
    """A relation that is not there."""


class OtherColumns(UserError):
    """A view that is there with other columns."""


_MISTAKES: dict[str, type[UserError]] = {"42P01": Absent, "3F000": Absent, "42P16": OtherColumns}
_OF_VALUES, _QUOTED = ("22", "23"), re.compile(r'"[^"]*"')  # classes of SQLSTATE, and how their values are told
# Those that are mistakes of who wrote the statement or the data; a write to what is only read
_OF_USERS = ("0A", "21", "22", "2B", "3F", "42", "25006")


@contextmanager
def translating(written: Written) -> Iterator[None]:
    try:
        yield
    except (adbc.Error, OSError) as error:  # in the midst of a stream the driver has no more than the system's error
        raise translated(error, written) from cause(error)


def cause(error: Exception) -> Exception | None:
    """What is kept with ours: not an error about a value, which has that in it, and Dagster would keep it."""
    return None if _state(error).startswith(_OF_VALUES) else error


def translated(error: Exception, written: Written | None) -> Exception:
    """The server's error as ours where a person can act on it; unchanged where it is a bug of ours."""
    state = _state(error)
    details = {str(name, "ascii"): value.decode() for name, value in getattr(error, "details", ())}
    text = details.get("PG_DIAG_MESSAGE_PRIMARY") or _said(str(error))
    for signs, explained in _EXPLAINED.items():
        if any(sign in f"{state} {text}" for sign in signs):
            return explained(text)
    if state.startswith(_OF_USERS) or isinstance(error, OSError):
        position = details.get("PG_DIAG_STATEMENT_POSITION")
        place = f"\n\n{written.place(int(position))}" if written and position else ""
        told = _QUOTED.sub('"…"', text) if state.startswith(_OF_VALUES) else text
        return _MISTAKES.get(state, UserError)(told + place)
    return error


def _state(error: Exception) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _said(text: str) -> str:
    """The server's sentence in what the driver says around it."""
    found = re.search(r"(?:ERROR|FATAL):\s+(.*?)(?:\n|$)", text)
    return found[1] if found else text.split("\n\nQuery was:", maxsplit=1)[0]


def _full(text: str) -> TailraceError:
    return StorageFull(f"the PostgreSQL server has no space left; free some and run the command again. {text}")


def _memory(text: str) -> TailraceError:
    return NeedsPerson(f"the PostgreSQL server has not enough memory for this. {text}")


def _used(text: str) -> TailraceError:
    return WarehouseHeld(f"somebody else uses this in the PostgreSQL server; run the command again. {text}")


def _gone(text: str) -> TailraceError:
    return NeedsPerson(f"the PostgreSQL server ended the connection; run the command again once it is back. {text}")


_EXPLAINED: dict[tuple[str, ...], Callable[[str], TailraceError]] = {
    ("53100 ", "No space left"): _full,
    ("53200 ", "out of memory"): _memory,
    ("55P03 ", "40P01 ", "23505 "): _used,
    ("57P01 ", "57P02 ", "57P03 ", "08006 ", "terminating connection", "server closed the", "no connection to"): _gone,
}
