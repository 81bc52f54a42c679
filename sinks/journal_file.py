"""The journal's SQLite file: how it is opened, its schema and version, and its errors as ours.

What is in it and who may change it is sinks/journal.py; nothing else opens the file.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from models.errors import NeedsPerson, StorageFull

VERSION = 3
BUSY_SECONDS = 30.0  # another process's commit takes milliseconds; a lock held longer is worth a message

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


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors that a person can act on, as ours; a bug of ours stays what it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            message = (
                f"{path}: the journal cannot be written ({error}); "
                "free space on its device and run the command again, nothing is lost"
            )
            raise StorageFull(message) from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            message = f"{path}: another process has held the journal for {BUSY_SECONDS:.0f} s; wait for it, or end it"
            raise NeedsPerson(message) from error
        if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            message = (
                f"{path}: not a journal that can be opened and written ({error}); if it is damaged, move it away and "
                "run the command again: what was under way is then listed in `unknowns`"
            )
            raise NeedsPerson(message) from error
        raise


def connect(path: Path) -> sqlite3.Connection:
    """Open the journal, creating it (with a random id) where it is missing. Raises StorageFull or NeedsPerson."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.execute("pragma synchronous = full")
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma foreign_keys = off")  # claims and receipts come in by thousands a second
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """One durable commit; nothing of the block stays when it raises."""
    with translated(path):
        connection.execute("begin immediate")
        try:
            yield connection
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise


@lru_cache(maxsize=64)
def utc_text(moment: datetime) -> str:
    """How the journal writes a moment: ISO in UTC, so that text sorts by time."""
    return moment.astimezone(UTC).isoformat()


def new_id() -> str:
    """Random: two journals never share one."""
    return uuid.uuid4().hex


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("pragma user_version").fetchone()[0]
    if version > VERSION:
        message = f"{path}: written by a newer version of Tailrace (journal {version}, this one reads {VERSION})"
        raise NeedsPerson(message)
    if version == VERSION:
        return
    with transaction(connection, path):
        version = connection.execute("pragma user_version").fetchone()[0]
        for statement in _statements(_SCHEMA if version == 0 else _upgrade(version)):
            connection.execute(statement)
        if version == 0:
            connection.execute("insert into journal (id) values (?)", [new_id()])
        connection.execute(f"pragma user_version = {VERSION}")


def _upgrade(version: int) -> str:
    """Nothing where another process was faster."""
    return ";".join(_UPGRADES[step] for step in range(version, VERSION))


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit between statements; the schema appears whole or not at all."""
    return (statement for statement in script.split(";") if statement.strip())
