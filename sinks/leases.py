"""Which machine runs a sync, where several share the journal: a lease that ends by the database's clock.

A journal in a file needs none: on one machine the runner holds an OS lock, which ends with its process. Who asks for
lock and lease together is assets/runner.py.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from models.errors import TailraceError, WarehouseHeld
from models.journal_place import JournalServer, Place
from sinks.journal_store import Connection, connect, exists

SECONDS = 90.0  # after which a machine that is lost holds nobody up
BEATS = 6  # renewals in that time
OVER = "the lease of this run is over: another machine may be running the sync"
_LOOK_SECONDS = 0.2  # between two looks at a lease that somebody has

# Of two who find it over the second finds it taken. A holder of before on this very machine holds no lock any more
_TAKE = """
insert into lease (scope, epoch, holder, machine, expires_at)
values (?, 1, ?, ?, clock_timestamp() + ? * interval '1 second')
on conflict (scope) do update set
    epoch = lease.epoch + 1, holder = excluded.holder, machine = excluded.machine, expires_at = excluded.expires_at
where lease.expires_at <= clock_timestamp() or lease.machine = excluded.machine
returning epoch
"""
_HELD = "select 1 from lease where scope = ? and epoch = ? and expires_at > clock_timestamp()"
_END = """
update lease set expires_at = clock_timestamp() + ? * interval '1 second'
where scope = ? and epoch = ? and expires_at > clock_timestamp()
"""
_HOLDERS = """
select scope, holder, to_char(expires_at at time zone 'UTC', 'HH24:MI:SS') from lease
where expires_at > clock_timestamp() order by scope
"""


class Lease:
    """One taking of a sync's lease. `epoch`: the number of the taking; whoever comes later has a higher one."""

    def __init__(self, connection: Connection, scope: str, epoch: int, seconds: float, until: float) -> None:
        self.scope, self.epoch = scope, epoch
        self._connection, self._seconds, self._until = connection, seconds, until
        self._turn, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of {scope}", daemon=True)
        self._thread.start()

    def outlives(self, seconds: float) -> bool:
        """Whether nobody else can have the lease for so long from now on, also if this process sleeps or is cut off."""
        return _awake() + seconds <= self._until

    def is_held(self, connection: Connection) -> bool:
        """Whether it is still ours, within a transaction of the journal: who takes it next waits for its end."""
        return connection.execute(_HELD, [self.scope, self.epoch]).fetchone() is not None

    def reach(self, seconds: float) -> None:
        """Have it last long enough, at all times, for requests that take up to so long."""
        self._seconds = max(self._seconds, 2 * seconds)
        self._renew()

    def end(self) -> None:
        """Others may have it."""
        self._ended.set()
        self._thread.join()
        with suppress(TailraceError):  # the server is gone: the lease ends by itself
            self._set(0)
        self._until = 0.0

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / BEATS):
            with suppress(TailraceError):  # the server may be back before it is over
                self._renew()

    def _renew(self) -> None:
        with self._turn:
            until = _awake() + self._seconds  # from before the question: never later than the server has it
            self._until = until if self._set(self._seconds) else 0.0

    def _set(self, seconds: float) -> bool:
        """Have it last so long from now on; False where it is over."""
        return self._connection.execute(_END, [seconds, self.scope, self.epoch]).rowcount == 1


@contextmanager
def taken(
    place: Place, scope: str, machine: str, *, wait_seconds: float = 0.0, seconds: float = SECONDS
) -> Iterator[Lease | None]:
    """Have the lease for the block, renewed all the while; None where the journal is a machine's own.

    `machine`: by which whoever holds the same lock file on the same machine is known. Raises WarehouseHeld, after
    waiting so long, naming who has it.
    """
    if not isinstance(place, JournalServer):
        yield None
        return
    connection, deadline = connect(place), time.monotonic() + wait_seconds
    try:
        while (lease := _take(connection, scope, machine, seconds)) is None:
            if time.monotonic() >= deadline:
                raise WarehouseHeld(_told(connection, scope))
            time.sleep(_LOOK_SECONDS)
        try:
            yield lease
        finally:
            lease.end()
    finally:
        connection.close()


def holders(place: Place) -> dict[str, str]:
    """Who has which lease now, in words; nobody where the journal is a machine's own, or not there yet."""
    if not isinstance(place, JournalServer) or not exists(place):
        return {}
    connection = connect(place)
    try:
        return _holders(connection)
    finally:
        connection.close()


def _take(connection: Connection, scope: str, machine: str, seconds: float) -> Lease | None:
    holder, until = f"process {os.getpid()} on {socket.gethostname()}", _awake() + seconds
    with connection.transaction():
        epoch = connection.execute(_TAKE, [scope, holder, machine, seconds]).fetchone()
    return Lease(connection, scope, int(epoch[0]), seconds, until) if epoch else None


def _told(connection: Connection, scope: str) -> str:
    who = _holders(connection).get(scope, "another machine")
    return f"the sync {scope} is held by {who}; wait for it, or end it if it hangs"


def _holders(connection: Connection) -> dict[str, str]:
    return {
        scope: f"{holder} (its lease ends at {ends} UTC unless it is renewed)"
        for scope, holder, ends in connection.execute(_HOLDERS)
    }


def _awake() -> float:
    """Seconds that go on while a process, or its machine, sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
