"""What is said of a PostgreSQL server: where it is, without who connects and by which password, and why it refuses."""

from __future__ import annotations

import re

from models.errors import NeedsPerson, TailraceError, UserError

_SHOWN = re.compile(r"postgres(?:ql)?://(?:[^@/?#]*@)?([^@?#]*)(?:\?[^@]*)?")
_BUSY = (
    "starting up",
    "shutting down",
    "terminating connection",
    "in recovery mode",  # a server that crashed
    "not yet accepting",  # … or a copy that is not far enough
    "too many clients",
    "remaining connection",
)
_UNKNOWN = ("authentication", "password", "pg_hba", "role")


def shown(url: str) -> str:
    found = _SHOWN.fullmatch(url)
    return f"postgresql://{found[1]}" if found else "the PostgreSQL server"


def refusal(text: str, where: str) -> TailraceError:
    """Why there is no connection, as the client's library says it: what to do depends on whether a server answered."""
    said = next(iter(text.partition("FATAL:")[2].strip().splitlines()), "")
    if any(sign in said for sign in _BUSY):
        return NeedsPerson(f"{where}: {said}; try again later")
    if any(sign in said for sign in _UNKNOWN):
        return UserError(f"{where}: the server does not let this user in; are user and password right?")
    if said:
        return UserError(f"{where}: {said}")
    if "password" in text:
        return UserError(f"{where}: the server asks for a password, and the URL has none")
    if "connection to server" in text or "could not translate host name" in text:
        return NeedsPerson(f"{where}: no PostgreSQL server answers there; is it running, and the address right?")
    return UserError(f"{where}: no address of a server; write postgresql://user:password@host/database")
