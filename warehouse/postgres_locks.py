"""Who may write to a target on PostgreSQL: advisory locks, each of a session of its own, gone when that ends.

A process that is killed leaves its lock at once, but a statement of its may still run: whoever has a lock next ends the
sessions that wrote under one that is gone, before anything else.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from uuid import uuid4

from models.errors import NeedsPerson, UserError, WarehouseHeld
from warehouse.base import Warehouse
from warehouse.engine import How
from warehouse.postgres import Postgres
from warehouse.postgres_session import lock_number

LOOKS_UP = 1.0  # seconds after which a wait for a lock hears whether it is still wanted
TURN_SECONDS = 1800.0  # the longest turn is that of models which syncs read
ENDING_SECONDS = 30.0  # for the server to end a session
HOLDS, WRITES = "tailrace holds", "tailrace writes"
_ORPHANS = f"""
select pid from pg_stat_activity as working
where
    datname = current_database() and application_name like '{WRITES} %' and not exists (
        select 1 from pg_stat_activity as holding
        where
            holding.datname = working.datname
            and holding.application_name = replace(working.application_name, '{WRITES}', '{HOLDS}')
    )
"""
_held: Counter[str] = Counter()  # of this process: by how many locks it may write


@contextmanager
def held(url: str, target: str, wait_seconds: float, how: How) -> Iterator[None]:
    """The lock of a target. Raises WarehouseHeld after waiting so long."""
    deadline = time.monotonic() + wait_seconds
    with _session(url) as session:
        if how != "beside":  # before the others are kept waiting: who builds takes long
            _take(session, f"{target}/building", deadline)
        _enter(session, target, deadline, shared=how != "alone")
        _end_orphans(session)
        _held[target] += 1
        try:
            yield
        finally:
            _held[target] -= 1


@contextmanager
def turn(url: str, target: str, what: str, *, shared: bool) -> Iterator[None]:
    """What is done by one at a time of those who write at once, or in a `shared` turn by many. Raises WarehouseHeld."""
    with _session(url) as session:
        _enter(session, f"{target}/{what}", time.monotonic() + TURN_SECONDS, shared=shared)
        _end_orphans(session)
        yield


def _enter(session: Postgres, name: str, deadline: float, *, shared: bool) -> None:
    """Take a lock that some share: whoever comes takes its door first.

    Who would be alone keeps that while those within leave, so that no others pass.
    """
    door = f"{name}/door"
    _take(session, door, deadline)
    try:
        _take(session, name, deadline, shared=shared)
    finally:
        session.rows(f"select pg_advisory_unlock({lock_number(door)})")


def writer(url: str, target: str, schemas: Mapping[str, str]) -> Postgres:
    """A connection to write by. Raises NeedsPerson where this process had a lock of the target and has it no more."""
    opened = Postgres(url, schemas=schemas, name=f"{WRITES} {_process(os.getpid())}")
    own = opened.dialect.literal(f"{HOLDS} {_process(os.getpid())}")
    sessions = "select 1 as found from pg_stat_activity where datname = current_database()"
    if _held[target] and not opened.rows(f"{sessions} and application_name = {own} limit 1"):
        opened.close()
        message = (
            "the lock of the warehouse was lost with its connection; run the command again, it goes on where it was"
        )
        raise NeedsPerson(message)
    return opened


def _session(url: str) -> Postgres:
    return Postgres(url, name=f"{HOLDS} {_process(os.getpid())}")


@cache
def _process(number: int) -> str:
    """This process, on whatever machine."""
    return f"{number}-{uuid4().hex[:12]}"


def _take(session: Postgres, name: str, deadline: float, *, shared: bool = False) -> None:
    """Get a lock, or raise WarehouseHeld then. It waits in the server, in pieces: what waits there hears no Ctrl-C."""
    while True:
        left = min(max(deadline - time.monotonic(), 0), LOOKS_UP)
        session.execute(f"set lock_timeout = {max(int(left * 1000), 1)}")
        try:
            session.rows(f"select pg_advisory_lock{'_shared' if shared else ''}({lock_number(name)})")
        except WarehouseHeld:
            if time.monotonic() >= deadline:
                raise WarehouseHeld(_holder(session, name)) from None
        else:
            return


def _end_orphans(session: Warehouse) -> None:
    deadline = time.monotonic() + ENDING_SECONDS
    while found := [int(row["pid"]) for row in session.rows(_ORPHANS)]:
        if time.monotonic() >= deadline:
            message = f"server process {found[0]} still runs a statement of a run that is gone; end it, or wait for it"
            raise WarehouseHeld(message)
        for pid in found:
            with suppress(UserError):  # the server's refusal: it is somebody else's, who is to end it
                session.rows(f"select pg_terminate_backend({pid}, 1000)")
                continue
            time.sleep(LOOKS_UP)


def _holder(session: Warehouse, name: str) -> str:
    found = session.rows(
        "select pid, coalesce(', from ' || host(client_addr), '') as address from pg_stat_activity "
        "where pid in (select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1 "
        f"and ((cast(classid as bigint) << 32) | cast(objid as bigint)) = {lock_number(name)}) "
        "and datname = current_database() limit 1"
    )
    who = f"server process {found[0]['pid']}{found[0]['address']}" if found else "another process"
    return f"the warehouse is held by {who}; wait for it, or end it if it hangs"
