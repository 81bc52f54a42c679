"""Opening the target's warehouse: to write (the lock, the live file) or to read (the published copy only)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from models.errors import UserError
from models.settings import Settings
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.engine import engine


@contextmanager
def writing(settings: Settings, wait_seconds: float = 60, *, beside: bool = False) -> Iterator[Warehouse]:
    """The live warehouse with the writer's lock held, the batch table in place.

    Waits for another writer up to `wait_seconds` of real time, then raises WarehouseHeld. dbt opens the file by
    itself: hold the lock with `locked` around it instead.
    """
    with locked(settings, wait_seconds, beside=beside), engine(settings).open() as warehouse:
        batches.prepare(warehouse)
        yield warehouse


class Desk:
    """The live warehouse for several uses in a row: opened at the first, kept until `leave`, so that each need not.

    It is for syncs, which write beside each other where the engine lets them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self._kept = settings, ExitStack()
        self._warehouse: Warehouse | None = None

    @contextmanager
    def writing(self, wait_seconds: float = 60) -> Iterator[Warehouse]:
        """As `writing`, but nothing is closed at the end, unless something was raised."""
        if self._warehouse is None:
            self._warehouse = self._kept.enter_context(writing(self.settings, wait_seconds, beside=True))
        try:
            yield self._warehouse
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Others may write."""
        self._warehouse = None
        self._kept.close()


@contextmanager
def locked(settings: Settings, wait_seconds: float = 60, *, beside: bool = False) -> Iterator[None]:
    """The writer's lock without a connection.

    `beside`: with others that say so, where the engine has several writers. Syncs and ticks do: each appends batches
    of its own to what a refresh has made, and what they do for all they do in turn (`engine(settings).turn`). Who
    builds or changes what others read is alone.
    """
    with engine(settings).locked(wait_seconds, beside=beside):
        yield


@contextmanager
def kept_open(settings: Settings) -> Iterator[None]:
    """The writer's lock, and the file open: whoever opens it by and by in this process, dbt too, need not read it anew.

    Opening and closing the file of a project takes a tenth of a second, and a refresh does it twenty times.
    """
    with locked(settings), engine(settings).open():
        yield


@contextmanager
def reading_any(settings: Settings) -> Iterator[Warehouse | None]:
    """As `reading`; None while nothing is published."""
    if not engine(settings).is_published():
        yield None
        return
    with reading(settings) as copy:
        yield copy


def reading(settings: Settings) -> Warehouse:
    """The published copy, read-only; use it as a context manager. Raises UserError when nothing is published yet."""
    if not engine(settings).is_published():
        message = f"nothing is published yet for target {settings.target}; run `tailrace refresh`"
        raise UserError(message)
    return engine(settings).published()
