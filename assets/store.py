"""Opening the target's warehouse: to write (the lock, the live file) or to read (the published copy only)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from models.errors import UserError
from models.settings import Settings
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.engine import How, engine

PEOPLE = "people"  # the turn of who decides by what is known of them, and of who learns more
MODELS = "models"  # the turn of who plans by them, and of who makes them


@contextmanager
def writing(settings: Settings, wait_seconds: float = 60, how: How = "alone") -> Iterator[Warehouse]:
    """The live warehouse with the writer's lock held, the batch table in place.

    Waits for another writer up to `wait_seconds` of real time, then raises WarehouseHeld. dbt opens the file by
    itself: hold the lock with `locked` around it instead.
    """
    with locked(settings, wait_seconds, how), engine(settings).open() as warehouse:
        batches.prepare(warehouse)
        yield warehouse


class Desk:
    """The live warehouse for several uses in a row: opened at the first, kept until `leave`, so that each need not.

    It is for syncs, which write beside each other and a refresh where the engine lets them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self._kept = settings, ExitStack()
        self._warehouse: Warehouse | None = None

    @contextmanager
    def writing(self, wait_seconds: float = 60) -> Iterator[Warehouse]:
        """As `writing`, but nothing is closed at the end, unless something was raised."""
        if self._warehouse is None:
            self._warehouse = self._kept.enter_context(writing(self.settings, wait_seconds, "beside"))
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
def locked(settings: Settings, wait_seconds: float = 60, how: How = "alone") -> Iterator[None]:
    """The writer's lock without a connection.

    Where the engine has several writers, syncs and ticks are `beside` each other and a refresh, which is `building`:
    each appends batches of its own, and what they do for all they do in turn (`engine(settings).turn`). Who takes
    away or moves what others read is `alone`.
    """
    with engine(settings).locked(wait_seconds, how):
        yield


def take_over(settings: Settings, wait_seconds: float = 60) -> str | None:
    """Let this home write where only one may and another did, whose place it answers; None where that was none."""
    return engine(settings).take_over(wait_seconds)


def deciding(settings: Settings) -> AbstractContextManager[None]:
    """What is known of people stays as it is for the block: one tick, or one plan until what it plans is opened."""
    return engine(settings).turn(PEOPLE, shared=True)


def reading_models(settings: Settings) -> AbstractContextManager[None]:
    """Models that syncs read stay as they are for the block, and have passed their tests or are known to be broken."""
    return engine(settings).turn(MODELS, shared=True)


def making_models(settings: Settings) -> AbstractContextManager[None]:
    """Models that syncs read become other than they were; nobody plans meanwhile."""
    return engine(settings).turn(MODELS)


def learning(settings: Settings) -> AbstractContextManager[None]:
    """Who is who, who is in what and what is known of them may become other than it was; nobody decides meanwhile."""
    return engine(settings).turn(PEOPLE)


@contextmanager
def kept_open(settings: Settings) -> Iterator[None]:
    """The lock to build, and the file open: whoever opens it by and by in this process, dbt too, need not read it anew.

    Opening and closing the file of a project takes a tenth of a second, and a refresh does it twenty times.
    """
    with locked(settings, how="building"), engine(settings).open():
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
