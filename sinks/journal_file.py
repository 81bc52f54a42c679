"""The journal's SQLite file: how it is opened, its schema and version, and its errors as ours.

What is in it and who may change it is sinks/journal.py; what else it may be kept in, sinks/journal_store.py.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from models.errors import NeedsPerson, StorageFull
from sinks.journal_store import BUSY_SECONDS, VERSION, new_id

_SCHEMA = """
create table journal (
    id text not null,
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) strict;

create table delivery (
    number integer primary key,
    run_id text not null unique,
    plan_id text not null,
    sync text not null,
    epoch integer not null,
    row_count integer not null,
    spool text not null,
    as_of text not null,
    opened_at text not null,
    dagster_run_id text not null,
    purpose text,
    suppressed_from integer not null,
    closed_at text,
    scopes text not null default ''
) strict;
create index delivery_by_sync on delivery (sync, epoch);

-- rows: [[first, count], …] of the spool. sink: its name in sinks.yml
create table claim (
    seq integer primary key,
    delivery integer not null references delivery (number),
    op text not null,
    row_ranges text not null,
    attempt integer not null,
    sink text not null default ''
) strict;
create index claim_by_delivery on claim (delivery);

-- outcomes: see sinks/receipts.py
create table receipt (
    position integer primary key,
    claim integer not null unique references claim (seq),
    outcomes text not null,
    recorded_at text not null
) strict;

create table fold (
    number integer primary key,
    first integer not null,
    last integer not null,
    begun_at text not null,
    ended_at text
) strict;

create table pause (
    scope text primary key,
    at text not null
) strict;

-- what was paused and resumed, in order: journeys decide by it
create table pause_change (
    position integer primary key,
    scope text not null,
    change text not null,
    at text not null
) strict;

create table suppression (
    position integer primary key,
    contact text not null,
    purpose text not null,
    suppressed_at text not null,
    unique (contact, purpose, suppressed_at)
) strict;

-- a message is claimed or withdrawn, whichever is first: `claim` is null where it was withdrawn. A claimed one with a
-- `reason` is to be withdrawn if it did not leave
create table send_key (
    send_key text primary key,
    claim integer,
    offset_in_claim integer,
    reason text not null,
    at text not null
) strict, without rowid;
create index send_key_by_claim on send_key (claim) where claim is not null;

-- rows claimed of an account that has a quota. hour: since 1970, UTC
create table quota_use (
    account text not null,
    hour integer not null,
    used integer not null,
    primary key (account, hour)
) strict, without rowid;

-- from when an account may be asked again, and when that was set, by the monotonic clock of the machine
create table pace (
    account text primary key,
    next_at real not null,
    set_at real not null
) strict, without rowid;
"""

# what a journal of an earlier version lacks
_UPGRADES = {
    1: """
alter table delivery add column scopes text not null default '';
create table pause_change (
    position integer primary key,
    scope text not null,
    change text not null,
    at text not null
) strict;
insert into pause_change (scope, change, at) select scope, 'paused', at from pause
""",
    2: """
alter table claim add column sink text not null default '';
create table quota_use (
    account text not null,
    hour integer not null,
    used integer not null,
    primary key (account, hour)
) strict, without rowid;
create table pace (
    account text primary key,
    next_at real not null,
    set_at real not null
) strict, without rowid
""",
}


class FileConnection:
    """Every commit is synced to the disk before it counts."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create. Raises StorageFull, or NeedsPerson where the file is not a journal or a newer one's."""
        self.path = path
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._raw = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=64,
            )
        except sqlite3.Error as error:
            raise _translated(error, path) from error
        if not read_only:
            try:
                self.execute("pragma synchronous = full")
                self.execute("pragma journal_mode = wal")
                self.execute("pragma foreign_keys = off")  # claims and receipts come in by thousands a second
                self._migrate()
            except BaseException:
                self.close()
                raise

    def execute(self, sql: str, params: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._raw.execute(sql, params)
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        self.execute("begin immediate")
        try:
            yield self
            self.execute("commit")
        except BaseException:
            if self._raw.in_transaction:
                self._raw.execute("rollback")
            raise

    def clock(self) -> float:
        """The same for all processes of a machine; it begins anew with the machine."""
        return time.monotonic()

    def here(self, moment: float) -> float:
        return moment

    def close(self) -> None:
        self._raw.close()

    def _migrate(self) -> None:
        if self._version() == VERSION:
            return
        with self.transaction():
            version = self._version()
            for statement in _statements(_SCHEMA if version == 0 else _upgrade(version)):
                self.execute(statement)
            if version == 0:
                self.execute("insert into journal (id) values (?)", [new_id()])
            self.execute(f"pragma user_version = {VERSION}")

    def _version(self) -> int:
        version = int(self.execute("pragma user_version").fetchone()[0])
        if version > VERSION:
            message = (
                f"{self.path}: written by a newer version of Tailrace (journal {version}, this one reads {VERSION})"
            )
            raise NeedsPerson(message)
        return version


def _translated(error: sqlite3.Error, path: Path) -> Exception:
    """SQLite's errors that a person can act on, as ours; a bug of ours stays what it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        message = (
            f"{path}: the journal cannot be written ({error}); "
            "free space on its device and run the command again, nothing is lost"
        )
        return StorageFull(message)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return NeedsPerson(
            f"{path}: another process has held the journal for {BUSY_SECONDS:.0f} s; wait for it, or end it"
        )
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        return NeedsPerson(
            f"{path}: the journal cannot be opened and written ({error}); may you write it, and beside it?"
        )
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        message = (
            f"{path}: damaged, or no journal ({error}); move it away and run the command again: "
            "what was under way is then listed in `unknowns`"
        )
        return NeedsPerson(message)
    return error


def _upgrade(version: int) -> str:
    """Nothing where another process was faster."""
    return ";".join(_UPGRADES[step] for step in range(version, VERSION))


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit between statements; the schema appears whole or not at all."""
    return (statement for statement in script.split(";") if statement.strip())
