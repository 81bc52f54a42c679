"""One runner a sync: an OS lock on this machine, and a lease where several machines share the journal."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from models.errors import WarehouseHeld
from models.settings import Settings
from sinks import leases
from sinks.leases import Lease
from warehouse.lock import hold, is_held

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def running(settings: Settings, sync: str, *, wait_seconds: float = 0.0) -> Iterator[Lease | None]:
    """Be the runner of the sync for the block; its lease, where there has to be one.

    Waits up to `wait_seconds` of real time for each. Raises WarehouseHeld naming who runs it.
    """
    lock = lock_file(settings, sync)
    with (
        hold(lock, wait_seconds=wait_seconds, what=f"the sync {sync}"),
        leases.taken(settings.journal, sync, _machine(lock), wait_seconds=wait_seconds) as lease,
    ):
        yield lease


@contextmanager
def free(settings: Settings, sync: str) -> Iterator[bool]:
    """Be the sync's runner for the block if it has none; whether it had none."""
    with ExitStack() as held:
        try:
            held.enter_context(running(settings, sync))
        except WarehouseHeld:
            yield False
            return
        yield True


def is_running(settings: Settings, sync: str) -> bool:
    """Whether somebody runs it now, on whatever machine."""
    return is_held(lock_file(settings, sync)) or sync in leases.holders(settings.journal)


def lock_file(settings: Settings, sync: str) -> Path:
    return settings.locks / f"{sync.replace('/', '__')}.lock"


def _machine(lock: Path) -> str:
    """This lock file, on this machine since it was started: of all who have the same one can hold the lock."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else uuid4().hex
    found = lock.stat()
    return f"{socket.gethostname()}/{boot}/{found.st_dev}:{found.st_ino}"
