"""The warehouse as DuckDB files: a live one with one writer at a time, and the published copy beside it.

Each published name is a table in a file of its own, written aside and moved over the old one; open readers keep theirs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import duckdb

from models.errors import NeedsPerson, StorageFull, TailraceError, UserError, WarehouseHeld
from models.settings import Settings
from models.steps import step
from warehouse.base import Warehouse
from warehouse.duckdb import MEMORY, DuckDB
from warehouse.engine import Aside, How
from warehouse.lock import hold

LOCK = "warehouse.lock"
STATE = "published"  # name → digest of what was copied, in the copy itself


class DuckDBEngine:
    name = "duckdb"
    adapter = "dbt-duckdb"
    schemas: Mapping[str, str] = {}

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for a file that dbt could not call by its name."""
        self.settings = settings
        self.catalog = settings.warehouse.stem
        if not re.fullmatch(r"[A-Za-z_]\w*", self.catalog, re.ASCII):
            message = (
                f"{settings.warehouse.name}: call the file of a warehouse by letters, digits and _, as shop_1.duckdb"
            )
            raise UserError(message)

    def exists(self) -> bool:
        return self.settings.warehouse.exists()

    def remarks(self) -> list[str]:
        return []

    def open(self) -> Warehouse:
        return DuckDB(self.settings.warehouse, memory_limit=self.settings.memory_limit)

    def locked(self, wait_seconds: float, how: How = "alone") -> AbstractContextManager[None]:
        """A file has one writer, whatever is asked for."""
        del how
        return hold(self.settings.root / LOCK, wait_seconds=wait_seconds)

    def take_over(self, wait_seconds: float) -> str | None:
        del wait_seconds
        return None

    def turn(self, what: str, *, shared: bool = False) -> AbstractContextManager[None]:
        del what, shared
        return contextlib.nullcontext()

    def is_published(self) -> bool:
        return self.settings.published.exists()

    def published(self) -> Warehouse:
        try:
            return DuckDB(self.settings.published, read_only=True, memory_limit=self.settings.memory_limit)
        except WarehouseHeld:
            raise
        except NeedsPerson as error:  # damaged, or of another engine version
            message = f"{error}\nIt is only a copy: `tailrace refresh` makes it anew"
            raise type(error)(message) from error

    def publish(self, warehouse: Warehouse, changed: Mapping[str, str], digests: Mapping[str, str]) -> None:
        quote, literal = warehouse.dialect.quote, warehouse.dialect.literal
        keeps = len(changed) < len(digests)
        with self._full_disk_named(), self._aside(warehouse, keeps=keeps) as path:
            warehouse.execute(f"attach {literal(str(path))} as aside")
            for name, relation in changed.items():
                warehouse.execute(f"create or replace table aside.main.{quote(name)} as select * from {relation}")
            kept = warehouse.rows(f"select name from aside.main.{STATE}") if keeps else []
            for name in {str(row["name"]) for row in kept} - digests.keys():
                warehouse.execute(f"drop table if exists aside.main.{quote(name)}")
            warehouse.execute(f"create or replace table aside.main.{STATE} (name varchar, digest varchar)")
            values = ", ".join(f"({literal(name)}, {literal(digest)})" for name, digest in digests.items())
            if values:
                warehouse.execute(f"insert into aside.main.{STATE} values {values}")
            warehouse.execute("checkpoint aside")
            warehouse.execute("detach aside")

    def tidy(self, warehouse: Warehouse) -> None:
        """A file that was replaced goes with the last who has it open."""

    def published_digests(self) -> dict[str, str]:
        if not self.is_published():
            return {}
        try:
            with DuckDB(self.settings.published, read_only=True) as copy:
                if not copy.columns(STATE):
                    return {}
                return {row["name"]: row["digest"] for row in copy.rows(f"select name, digest from {STATE}")}
        except WarehouseHeld:
            raise
        except NeedsPerson:  # damaged, or of another engine version
            return {}

    @contextmanager
    def preview(self) -> Iterator[Aside]:
        """Everything is created in memory."""
        with DuckDB(MEMORY, memory_limit=self.settings.memory_limit) as warehouse:
            spill = warehouse.dialect.literal(str(self.settings.root / "preview.tmp"))
            warehouse.execute(f"set temp_directory = {spill}")  # else it is a folder wherever one happens to stand
            warehouse.attach(self.catalog, self.settings.published)
            yield Aside(warehouse, "memory.main", f"{self.catalog}.main")

    def profile(self, *, reads_published: bool = False) -> dict[str, Any]:
        output = {"type": "duckdb", "schema": "main"}
        limit = {"memory_limit": self.settings.memory_limit} if self.settings.memory_limit else {}
        if reads_published:
            attached = {"path": str(self.settings.published), "alias": self.catalog, "read_only": True}
            place = {"path": ":memory:", "database": self.catalog, "attach": [attached]}
            return {**output, **place, "settings": {"TimeZone": "UTC"}}
        retries = {"connect_attempts": 6, "retryable_exceptions": ["IOException"]}
        path = str(self.settings.warehouse)
        return {**output, "path": path, "settings": {"TimeZone": "UTC", **limit}, "retries": retries}

    def environment(self) -> dict[str, str]:
        return {}

    def running_dbt(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def _aside(self, warehouse: Warehouse, *, keeps: bool) -> Iterator[Path]:
        """A file to write to that takes the published one's place at the end; it begins with what that one `keeps`."""
        published = self.settings.published
        path = published.with_suffix(".new")
        _forget(path)
        try:
            if keeps:
                shutil.copyfile(published, path)
            yield path
            _sync(path)
        except BaseException:
            with contextlib.suppress(duckdb.Error, TailraceError):  # after a full disk it may refuse everything
                warehouse.execute("detach database if exists aside")
            _forget(path)
            raise
        step("staged", file=path.name)
        path.replace(published)
        _sync(path.parent)

    @contextmanager
    def _full_disk_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            message = (
                f"{self.settings.published}: no space left to write the published copy; the old one is as it was. "
                "Free some and run the command again"
            )
            raise StorageFull(message) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _forget(path: Path) -> None:
    for leftover in (path, path.with_name(path.name + ".wal")):
        leftover.unlink(missing_ok=True)
