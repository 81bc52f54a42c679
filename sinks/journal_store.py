"""Opens the journal, wherever it is; both stores are asked by one text of SQL, with `?` in place of values.

What only one of them can is in its own module, journal_file.py or journal_server.py; nothing else opens the journal.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Protocol, Self

from models.journal_place import JournalServer, Place

VERSION = 3  # of the schema, in both
BUSY_SECONDS = 30.0  # another process's commit takes milliseconds; a lock held longer is worth a message
MOST_VALUES = 30_000  # in one statement: SQLite takes 32,766
KEYS_AT_ONCE = 10_000  # in one statement


class Answer(Protocol):
    """What a statement answered: its rows, and how many it wrote."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection to a journal. Raises StorageFull or NeedsPerson where only a person can help."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Answer:
        """Outside a transaction, what only reads or may be done twice."""

    def transaction(self) -> AbstractContextManager[Self]:
        """One durable commit, after all before it and before all after it; nothing of the block stays when it raises.

        Whoever else writes waits.
        """

    def clock(self) -> float:
        """Seconds by the clock that all who share the journal have."""

    def here(self, moment: float) -> float:
        """When that moment of `clock` is by the monotonic clock of this machine."""

    def close(self) -> None: ...


def connect(place: Place) -> Connection:
    """Open the journal, creating it (with a random id) where it is missing. Raises StorageFull or NeedsPerson."""
    if isinstance(place, JournalServer):
        from sinks.journal_server import ServerConnection  # noqa: PLC0415 - an extra, imported where it is used

        return ServerConnection(place)
    from sinks.journal_file import FileConnection  # noqa: PLC0415 - nor is this, elsewhere

    return FileConnection(place)


def connect_to_read(place: Place) -> Connection:
    """Open a journal that is there, to write nothing and hold up nobody. Raises NeedsPerson where there is none."""
    if isinstance(place, JournalServer):
        from sinks.journal_server import ServerConnection  # noqa: PLC0415

        return ServerConnection(place, read_only=True)
    from sinks.journal_file import FileConnection  # noqa: PLC0415

    return FileConnection(place, read_only=True)


def exists(place: Place) -> bool:
    """Whether there is a journal yet. Raises NeedsPerson where its server does not answer."""
    if isinstance(place, JournalServer):
        from sinks.journal_server import is_there  # noqa: PLC0415

        return is_there(place)
    return place.exists()


def insert(connection: Connection, into: str, rows: Sequence[tuple[Any, ...]], then: str = "") -> int:
    """Insert rows of one width in as few statements as possible (`into`: up to `values`); how many came to be.

    A statement a row would hand the interpreter's lock back and forth each time, or go over the network.
    """
    if not rows:
        return 0
    width = f"({marks(rows[0])})"
    some, rest, inserted = MOST_VALUES // len(rows[0]), iter(rows), 0
    while part := [*islice(rest, some)]:
        listed = ", ".join([width] * len(part))
        inserted += connection.execute(f"{into} values {listed} {then}", [*chain.from_iterable(part)]).rowcount
    return inserted


def parts(keys: Iterable[str]) -> Iterator[list[str]]:
    """Keys in lists that one statement takes."""
    rest = iter(keys)
    while some := [*islice(rest, KEYS_AT_ONCE)]:
        yield some


def marks(values: Sequence[object]) -> str:
    """A `?` for each."""
    return ", ".join("?" * len(values))


@lru_cache(maxsize=64)
def utc_text(moment: datetime) -> str:
    """How the journal writes a moment: ISO in UTC, so that text sorts by time."""
    return moment.astimezone(UTC).isoformat()


def new_id() -> str:
    """Random: two journals never share one."""
    return uuid.uuid4().hex
