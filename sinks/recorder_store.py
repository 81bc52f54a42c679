"""What the recorder received, in SQLite: one row a received row, committed in groups before anything is answered."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models.errors import NeedsPerson

Row = tuple[str, str, str, str, str, str, str]  # sync, sink, op, identity, payload, request, as_of

_SCHEMA = """
create table if not exists received (
    ordinal integer primary key,
    sync text not null,
    sink text not null,
    op text not null,
    identity text not null,
    payload text not null,
    request text not null,
    as_of text not null
) strict
"""
_REPORTED = "create table if not exists reported (ordinal integer not null) strict"
_COLUMNS = "sync, op, identity, payload, request, as_of"

# text of sqlite's JSON functions would lose numbers: payloads are put into lines as they are
_AUDIENCE = """
select identity, payload from received
where ordinal in (select max(ordinal) from received where sync = ? and op <> 'send' group by identity)
  and op = 'upsert'
"""


class Store:
    """A writer thread and readers of one file. A killed recorder keeps what it answered for."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises NeedsPerson where the file is something else or cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        try:
            self._connection = self._connect()
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute(_SCHEMA)
            self._connection.execute(_REPORTED)
        except sqlite3.Error as error:
            message = f"{path}: not a recorder's file, or not writable ({error})"
            raise NeedsPerson(message) from error
        self._queue: queue.SimpleQueue[tuple[Sequence[Row], asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="recorder-store", daemon=True)
        self._thread.start()

    def add(self, rows: Sequence[Row]) -> asyncio.Future[None]:
        """Resolved once the rows are committed; sqlite3.Error where they could not be."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((rows, future))
        return future

    def received(self, sync: str | None = None, after: int = 0) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of arrival: ordinal, sync, op, identity, payload, request, as_of, sink."""
        connection = self._connect()
        try:
            yield from connection.execute(
                f"select ordinal, {_COLUMNS}, sink from received where ordinal > ? and (? is null or sync = ?) "
                "order by ordinal",
                [after, sync, sync],
            )
        finally:
            connection.close()

    def audience(self, sync: str) -> Iterator[tuple[str, str]]:
        """Identity and payload of everyone who is in the sync's audience now."""
        connection = self._connect()
        try:
            yield from connection.execute(_AUDIENCE, [sync])
        finally:
            connection.close()

    def last(self) -> int:
        """The ordinal of the last row received."""
        return self._number("select coalesce(max(ordinal), 0) from received")

    def reported(self) -> int:
        """The ordinal up to which outcomes were written."""
        return self._number("select coalesce(max(ordinal), 0) from reported")

    def report(self, ordinal: int) -> None:
        """Outcomes were written up to `ordinal`."""
        connection = self._connect()
        try:
            connection.execute("insert into reported (ordinal) values (?)", [ordinal])
        finally:
            connection.close()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _number(self, sql: str) -> int:
        connection = self._connect()
        try:
            return int(connection.execute(sql).fetchone()[0])
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("pragma synchronous = normal")
        return connection

    def _run(self) -> None:
        closing = False
        while not closing:
            waiting = [self._queue.get()]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            groups = [group for group in waiting if group is not None]
            closing = len(groups) < len(waiting)
            failed = self._write([row for rows, _ in groups for row in rows])
            futures = [future for _, future in groups]
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_resolve, futures, failed)

    def _write(self, rows: Sequence[Row]) -> sqlite3.Error | None:
        try:
            self._connection.execute("begin immediate")
            self._connection.executemany(
                "insert into received (sync, sink, op, identity, payload, request, as_of) values (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._connection.execute("commit")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            return error
        return None


def _resolve(futures: Sequence[asyncio.Future[None]], failed: sqlite3.Error | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failed:
            future.set_exception(failed)
        else:
            future.set_result(None)
