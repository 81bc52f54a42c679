"""The shipped recorder in processes of their own, forked from one that has imported it: a start takes milliseconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sinks.recorder_server import serve

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["sinks.recorder_server"])


@dataclass(frozen=True)
class Running:
    """Where it listens, and its process."""

    url: str
    pid: int

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections and answers nothing before the end of the block."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@contextmanager
def running(db: Path) -> Iterator[Running]:
    """A recorder on a free port that keeps what it hears in `db`; killed at the end."""
    db.parent.mkdir(parents=True, exist_ok=True)
    listening, told = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=serve, args=(0, db), kwargs={"ready": told.send}, daemon=True)
    process.start()
    told.close()
    assert process.pid
    try:
        yield Running(f"http://127.0.0.1:{listening.recv()}", process.pid)
    finally:
        process.kill()
        process.join()
