"""Spark's errors as ours: what a person can act on, with the place in the statement where there is one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
from pyspark.errors import PySparkException

from models.errors import NeedsPerson, StorageFull, TailraceError, UserError, WarehouseHeld
from warehouse.names import Written

_POSITION = re.compile(r"\(line (\d+), pos(?:ition)? (\d+)\)")
_CONDITION = re.compile(r"^\[[A-Z_.0-9]+\] ")

# The client prints what the server said as well as raising it
logging.getLogger("SQLQueryContextLogger").disabled = True


class Absent(UserError):
    """A relation, or a folder, that is not there."""


_ABSENT = ("TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "VIEW_NOT_FOUND", "PATH_NOT_FOUND")
# Classes of SQLSTATE that are mistakes of who wrote the statement or the data; what a statement itself raises
_OF_USERS = ("0A", "21", "22", "23", "2B", "42", "54", "P0001", "XXKD")
# Those of data: what is said of it may be personal, but for types, functions, settings and sizes
_MASK = "…"
_OF_DATA = ("22", "23", "P0001")
_TOLD = re.compile(r"\w*(?:[tT]ype|Name|[fF]unc(?:tion)?|[cC]onfig|precision|scale|suggestion|alternative|Mode)")
_CAUSE = re.compile(r"\[([A-Z0-9_.]+)\] [^\n]*? SQLSTATE: (\w{5})")


@contextmanager
def translating(written: Written | None) -> Iterator[None]:
    try:
        yield
    except (PySparkException, grpc.RpcError) as error:
        told = translated(error, written)
        if told is error:
            raise
        raise told from None  # what it was told by may quote rows, and Dagster keeps an error with its cause


def translated(error: Exception, written: Written | None) -> Exception:
    """The server's error as ours where a person can act on it; unchanged where it is a bug of ours.

    What it says of a value that does not fit is masked.
    """
    condition = (error.getCondition() if isinstance(error, PySparkException) else None) or ""
    text = str(error)
    if not condition and (cause := _cause(text)):
        return UserError(f"{cause.replace('_', ' ').lower()}: {_MASK}")
    for signs, (kind, said) in _EXPLAINED.items():
        if any(sign in f"{condition} {text}" for sign in signs):
            return kind(said)
    if condition.startswith(_ABSENT):
        return Absent(_said(text) + _place(error, text, written))
    state = (error.getSqlState() if isinstance(error, PySparkException) else None) or ""
    if isinstance(error, PySparkException) and state.startswith(_OF_USERS):
        told = error.getMessageParameters() or {}
        said = _said(text)
        if state.startswith(_OF_DATA):  # masked before anything is cut off: a value may look like what is
            said = _said(_masked(text, told)) if told else _MASK
        if condition.startswith("UNRESOLVED_COLUMN") and "objectName" in told:
            said = f'column "{told["objectName"].strip("`")}" does not exist'  # as PostgreSQL says it
        elif said.startswith(_MASK):  # it may be all of it
            said = f"{condition.split('.')[0].replace('_', ' ').lower()}: {said}"
        return UserError(said + _place(error, text, written))
    return error


def _cause(text: str) -> str | None:
    """What of the data an error is about that hides it below others, as those of a query within a query are."""
    found = _CAUSE.findall(text)
    return next((condition.partition(".")[0] for condition, state in found if state.startswith(_OF_DATA)), None)


def _said(text: str) -> str:
    """The server's sentence, without its name for it, its code and what follows it, its advice to change the engine."""
    first = re.split(r" SQLSTATE: |\n+== SQL|\n+JVM stacktrace| If necessary set \"", text, maxsplit=1)[0]
    return " ".join(_POSITION.sub("", _CONDITION.sub("", first.strip())).split()).rstrip("; ")


def _masked(text: str, told: Mapping[str, str]) -> str:
    """The text with a sign for all that was put into it and may be of the data."""
    values = {value for name, value in told.items() if not _TOLD.fullmatch(name)}
    for value in sorted(values - {""}, key=len, reverse=True):
        text = text.replace(value, _MASK)
    return text


def _place(error: Exception, text: str, written: Written | None) -> str:
    if written is None:
        return ""
    offset = _offset(error, text, written.sql)
    return "" if offset is None else f"\n\n{written.place(offset + 1)}"


def _offset(error: Exception, text: str, sql: str) -> int | None:
    """Where in what was sent; None where the server does not say."""
    contexts = error.getQueryContext() if isinstance(error, PySparkException) else []
    for context in contexts:
        if context.contextType().name == "SQL" and not context.objectName():
            return max(context.startIndex(), 0)
    if found := _POSITION.search(text):
        line, column = int(found[1]), int(found[2])
        lines = sql.split("\n")
        if line <= len(lines):
            return sum(len(each) + 1 for each in lines[: line - 1]) + column
    return None


def shown(url: str) -> str:
    """Where a server is, without the token that lets us in."""
    return url.partition("/;")[0] if url.startswith("sc://") else "the Spark server"


def unreachable(url: str) -> TailraceError:
    return NeedsPerson(f"{shown(url)}: no Spark Connect server answers there; is it running, and the address right?")


_AGAIN = "run the command again"
# What the server says besides may quote rows
_EXPLAINED: dict[tuple[str, ...], tuple[type[TailraceError], str]] = {
    ("No space left on device",): (StorageFull, f"the Spark cluster has no space left; free some and {_AGAIN}"),
    ("OutOfMemoryError", "UNABLE_TO_ACQUIRE_MEMORY", "Java heap space"): (
        NeedsPerson,
        "the Spark cluster has not enough memory for this",
    ),
    ("CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND",): (
        WarehouseHeld,
        f"rows that Spark kept aside are gone with one of its workers; {_AGAIN}",
    ),
    (
        "INVALID_HANDLE.",
        "RESPONSE_ALREADY_RECEIVED",
        "NO_ACTIVE_SESSION",
        "stopped SparkContext",
        "StatusCode.UNAVAILABLE",
        "failed to connect to all addresses",
        "RETRIES_EXCEEDED",
    ): (NeedsPerson, f"the Spark server ended the session; {_AGAIN} once it is back"),
    ("Application error processing RPC",): (
        NeedsPerson,
        f"the Spark server could not answer; its log says why. Then {_AGAIN}",
    ),
    ("Job aborted", "Exception thrown in awaitResult"): (
        NeedsPerson,
        f"the Spark cluster gave a job up; its log says why. Then {_AGAIN}",
    ),
}
