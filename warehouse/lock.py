"""Locks between processes: an OS lock on a file, gone with its process.

One for the warehouse's writer, one for each sync's runner.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import StorageFull, UserError, WarehouseHeld


@contextmanager
def hold(path: Path, *, wait_seconds: float = 0.0, what: str = "the warehouse") -> Iterator[None]:
    """Hold the lock file at `path` for the block.

    Waits up to `wait_seconds` of real time. Raises WarehouseHeld naming the holder's pid, UserError for a folder that
    cannot be written.
    """
    descriptor = _open(path)
    try:
        _acquire(descriptor, wait_seconds, what)
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, only its holder has no name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file at `path` now."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            message = f"{path.parent}: no space left on the device; free some and run the command again"
            raise StorageFull(message) from error
        message = f"{path.parent}: cannot be written: {error.strerror}; is TAILRACE_HOME right?"
        raise UserError(message) from error


def _acquire(descriptor: int, wait_seconds: float, what: str) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode() or "unknown"
                message = f"{what} is held by process {holder}; wait for it, or end it if it hangs"
                raise WarehouseHeld(message) from error
            time.sleep(0.05)
        else:
            return
