"""A gateway in a process of its own, to be killed; forked from one that has imported most of it, to start soon."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from gateway.connections import Line
from gateway.gate import Bounds, Gate
from gateway.landing import Landing, Pace
from gateway.serve import serve
from tests.gateway.house import House
from tests.recorders import FORKING


@dataclass
class Child:
    """Where it listens, and its process."""

    url: str
    process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self.process.pid
        return self.process.pid

    def wait(self) -> int | None:
        """How it ended: negative by a signal."""
        self.process.join(30)
        return self.process.exitcode


@contextmanager
def serving(house: House, seconds: float = 60, most: int = 0, line: Line | None = None) -> Iterator[Child]:
    """A gateway on a free port; killed at the end. `most`: bytes any file may hold, as on a full device."""
    listening, told = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=_run, args=(house, seconds, most, line, told), daemon=True)
    process.start()
    told.close()
    try:
        yield Child(f"http://127.0.0.1:{listening.recv()}", process)
    finally:
        process.kill()
        process.join()


def _run(house: House, seconds: float, most: int, line: Line | None, told: Connection) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if most:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    house.limits = Bounds(burst=100_000)

    def gate() -> Gate:
        landing = Landing(house.folder, house.journal, _now, Pace(seconds=seconds))
        return house.gate(clock=_now, landing=landing)

    serve(gate, port=0, ready=told.send, line=line)


def _now() -> datetime:
    return datetime.now(UTC)
