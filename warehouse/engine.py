"""Which engine holds a target's warehouse, and what only an engine can do with one that nobody has open.

What is done over an open connection is in base.py. Nothing outside this package knows which engine runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from models.settings import Settings
from warehouse.base import Warehouse

How = Literal["alone", "building", "beside"]
"""How a target is written: `alone`, nobody else writes; `building`, one at a time makes what others read; `beside`,
batches of one's own are appended to what there is, by any number. The last two go on at once where an engine has
several writers; on all others each is alone."""


@dataclass(frozen=True)
class Aside:
    """A connection that writes nowhere: all that is created in it is gone when it is closed or killed."""

    warehouse: Warehouse
    schema: str  # where relations are created: the `main` of this connection
    published: str  # the schema in which it reads the published copy


class Engine(Protocol):
    """The warehouse of one target: where it is, who may write to it, and the copy of it that everybody reads."""

    name: str  # as people call it
    adapter: str  # the package of dbt's adapter
    catalog: str  # what dbt puts before the schema of every relation
    schemas: Mapping[str, str]  # what our SQL calls a schema → what it is called in the database, where that differs

    def exists(self) -> bool:
        """Whether there is anything yet."""

    def remarks(self) -> list[str]:
        """What about the place makes results differ from those on another engine; one sentence each."""

    def open(self) -> Warehouse:
        """To write. Raises as the engine's own class does."""

    def locked(self, wait_seconds: float, how: How = "alone") -> AbstractContextManager[None]:
        """The target is this caller's to write, in this way. Raises WarehouseHeld after waiting so long (real time)."""

    def take_over(self, wait_seconds: float) -> str | None:
        """Let this home write where another did, whose place it answers; None where none did, or any home may.

        What ran in the other has ended. Raises as `locked` does.
        """

    def turn(self, what: str, *, shared: bool = False) -> AbstractContextManager[None]:
        """Of those who write at once, who does this for the block, or any number whose turn is `shared`. It waits.

        The lock of the target is held. Raises WarehouseHeld where somebody takes far too long.
        """

    def is_published(self) -> bool:
        """Whether there is a published copy."""

    def published(self) -> Warehouse:
        """The published copy, read-only; its names need no schema, and are in `main`."""

    def publish(self, warehouse: Warehouse, changed: Mapping[str, str], digests: Mapping[str, str]) -> None:
        """Give the copy what changed (name → relation to copy), all at once; readers keep what they have open.

        `digests`: all that is published afterwards, as `published_digests` answers it; what else was is gone. Raises
        StorageFull with the old copy still in its place.
        """

    def tidy(self, warehouse: Warehouse) -> None:
        """Take away what was published before and nobody reads any more."""

    def published_digests(self) -> dict[str, str]:
        """Name → digest of what the copy holds; nothing where it cannot be read: it is only a copy."""

    def preview(self) -> AbstractContextManager[Aside]:
        """A connection that reads the published copy, the same from beginning to end, and writes nowhere."""

    def profile(self, *, reads_published: bool = False) -> dict[str, Any]:
        """The output of dbt's profile, without a secret; one that `reads_published` can only compile."""

    def environment(self) -> dict[str, str]:
        """Variables with which dbt runs: the secrets of its profile, and what that has no option for."""

    def running_dbt(self) -> AbstractContextManager[None]:
        """What dbt's adapter needs in this process while dbt runs in it."""


def engine(settings: Settings) -> Engine:
    """The engine that TAILRACE_WAREHOUSE names; a DuckDB file of the target where it is not set."""
    if settings.warehouse_url and settings.warehouse_url.startswith("postgresql://"):
        from warehouse.postgres_engine import PostgresEngine  # noqa: PLC0415 - an extra, imported where it is used

        return PostgresEngine(settings)
    if settings.warehouse_url and settings.warehouse_url.startswith("sc://"):
        from warehouse.spark_engine import SparkEngine  # noqa: PLC0415 - as above

        return SparkEngine(settings)
    from warehouse.duckdb_engine import DuckDBEngine  # noqa: PLC0415 - nor is this, elsewhere

    return DuckDBEngine(settings)
