"""Opening the target's warehouse: to write (the lock, the live file) or to read (the published copy only)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import UserError
from models.settings import Settings
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.duckdb import DuckDB
from warehouse.lock import hold

LOCK = "warehouse.lock"


@contextmanager
def writing(settings: Settings, wait_seconds: float = 60) -> Iterator[Warehouse]:
    """The live warehouse with the writer's lock held, the batch table in place.

    Waits for another writer up to `wait_seconds` of real time, then raises WarehouseHeld. dbt opens the file by
    itself: hold the lock with `locked` around it instead.
    """
    with locked(settings, wait_seconds), DuckDB(settings.warehouse, memory_limit=settings.memory_limit) as warehouse:
        batches.prepare(warehouse)
        yield warehouse


@contextmanager
def locked(settings: Settings, wait_seconds: float = 60) -> Iterator[None]:
    """The writer's lock without a connection."""
    with hold(settings.root / LOCK, wait_seconds=wait_seconds):
        yield


def reading(settings: Settings) -> Warehouse:
    """The published copy, read-only; use it as a context manager. Raises UserError when nothing is published yet."""
    if not settings.published.exists():
        message = f"nothing is published yet for target {settings.target}; run `tailrace refresh`"
        raise UserError(message)
    return DuckDB(settings.published, read_only=True, memory_limit=settings.memory_limit)
