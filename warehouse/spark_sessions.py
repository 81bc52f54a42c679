"""Which sessions of the server are of runs of this home: one that a killed run left goes on with what it was writing.

A lock file each says whose process lives. Who begins a session ends those of the others first, so that nothing is
written beside it.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession

from warehouse.lock import hold, is_held
from warehouse.spark_session import channel

STEM = "session_"
ENDING_SECONDS = 2.0  # what a job that is ended may still do to its table's folder


def begun(session: SparkSession, url: str, locks: Path, kept: ExitStack) -> None:
    """End those of killed runs, then hold this one's lock file until `kept` is closed. It has not written yet.

    Raises as `channel` does.
    """
    _end_killed(url, locks)
    name = session.session_id
    kept.enter_context(hold(new := locks / f"new_{name}.lock", what=f"the Spark session {name}"))
    new.rename(_lock(locks, name))  # so that nobody finds one that is not held yet


def ended(session: SparkSession, locks: Path) -> None:
    """End it. Where the server cannot be told, its lock file stays for whoever begins the next."""
    with contextlib.suppress(PySparkException, grpc.RpcError):
        session.client.release_session()
        _lock(locks, session.session_id).unlink(missing_ok=True)
    session.release_session_on_close = False  # which would tell nobody that it could not
    session.stop()


def _end_killed(url: str, locks: Path) -> None:
    killed = [path for path in locks.glob(f"{STEM}*.lock") if not is_held(path)]
    for path in killed:
        ended(SparkSession(channel(url, path.stem.removeprefix(STEM))), locks)
    if killed:
        time.sleep(ENDING_SECONDS)


def _lock(locks: Path, session: str) -> Path:
    return locks / f"{STEM}{session}.lock"
