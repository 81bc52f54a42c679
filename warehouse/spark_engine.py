"""The warehouse as databases of one Spark catalogue: several targets may share it; one home writes to a target.

Whoever of this home reads a generation holds a lock file. The one before the newest stays as well, for readers whom no
lock tells of.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from models.errors import TailraceError, UserError
from models.settings import Settings
from warehouse import spark_home
from warehouse.base import Warehouse
from warehouse.engine import Aside, How
from warehouse.generations import PUBLICATION, Generations, schemas
from warehouse.lock import hold, is_held
from warehouse.spark import LOCKS, Spark
from warehouse.spark_dbt import dbt_session
from warehouse.spark_errors import shown

RECENT = 20  # generations of which it is kept what they showed: who looks for the newest reads all
LOCK = "spark_warehouse.lock"  # a file of DuckDB's may be beside it, and a move holds both
_URL = re.compile(r"(?P<server>sc://[^/;?]+)(?:/(?P<name>[a-z][a-z0-9_]{0,40}))?/?(?P<options>;.*)?")
_OF_OTHERS = re.compile(r"(?P<other>.+)_(?P<part>raw|models|published(_[0-9]+)?|(preview|scratch)_.*)")


class SparkEngine(Generations):
    name = "spark"
    adapter = "dbt-spark"
    catalog = ""  # dbt names none

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for what is no URL of a server and, where several share its catalogue, a name."""
        assert settings.warehouse_url
        found = _URL.fullmatch(settings.warehouse_url)
        if not found:
            message = f"{shown(settings.warehouse_url)}: no address of a warehouse; write sc://host:15002 or …/name"
            raise UserError(message)
        self.settings, self.url = settings, f"{found['server']}/{found['options'] or ''}"
        name = found["name"] or "tailrace"
        prefix = name if settings.target == "prod" else f"{name}_{settings.target}"
        if taken := _OF_OTHERS.fullmatch(prefix):
            message = f"{name}: a database of {taken['other']} may be called so; take a name without _{taken['part']}"
            raise UserError(message)
        self.schemas = schemas(prefix)

    def remarks(self) -> list[str]:
        return []

    def open(self) -> Spark:
        return Spark(self.url, home=self.settings.root, schemas=self.schemas)

    @contextmanager
    def locked(self, wait_seconds: float, how: How = "alone") -> Iterator[None]:
        """A lock of this home, for one writer: Spark has none. Raises NeedsPerson where another home writes."""
        del how
        with hold(self.settings.root / LOCK, wait_seconds=wait_seconds):
            with self.open() as asking:
                spark_home.check(asking, self.schemas["tailrace"], self._locks)
            yield

    def take_over(self, wait_seconds: float) -> str | None:
        with hold(self.settings.root / LOCK, wait_seconds=wait_seconds), self.open() as opened:
            return spark_home.take_over(opened, self.schemas["tailrace"], self._locks)

    def turn(self, what: str, *, shared: bool = False) -> AbstractContextManager[None]:
        del what, shared
        return contextlib.nullcontext()

    def published(self) -> Warehouse:
        """As the port says. Raises UserError where nothing is published."""
        while True:
            schema = self._required()
            kept = ExitStack()
            kept.enter_context(self._kept(schema))
            copy = Spark(
                self.url, home=self.settings.root, schemas={**self.schemas, "main": schema}, read_only=True, kept=kept
            )
            if copy.has(schema):
                copy.use(schema)
                return copy
            copy.close()  # there is a newer one meanwhile

    def _show(self, warehouse: Warehouse, generation: int, digests: Mapping[str, str]) -> None:
        warehouse.remove(PUBLICATION, "generation", [str(generation)])  # what a server that was killed left of it
        super()._show(warehouse, generation, digests)

    def _forget(self, warehouse: Warehouse, newest: int) -> None:
        kept = {newest, newest - 1}
        for row in warehouse.rows(f"show schemas like '{self._stem}*'"):
            name = str(row["namespace"])
            number = name.removeprefix(self._stem)
            if number.isdigit() and int(number) not in kept:
                if self._is_read(name):
                    kept.add(int(number))
                else:
                    warehouse.execute(f"drop schema if exists {name} cascade")
        self._drop_stored(warehouse, kept)
        shown = warehouse.rows(f"select generation from {PUBLICATION} where generation < {newest - RECENT}")
        warehouse.remove(PUBLICATION, "generation", {str(row["generation"]) for row in shown} - set(map(str, kept)))

    @contextmanager
    def preview(self) -> Iterator[Aside]:
        """Everything is created in databases of its own; the next preview drops what a killed one left."""
        name = f"{self._previews}{uuid4().hex[:12]}"
        own = {each: f"{name}_{each}" for each in self.schemas}
        with ExitStack() as kept:
            generation = self._required()
            kept.enter_context(self._kept(generation))
            kept.enter_context(self._hold(name))
            warehouse = kept.enter_context(Spark(self.url, home=self.settings.root, schemas=own, own=own.values()))
            self._forget_previews(warehouse)
            try:
                for each in ("main", "tailrace"):
                    warehouse.execute(f"create schema {each}")
                warehouse.prepare_functions()
                yield Aside(warehouse, "main", generation)
            finally:
                with contextlib.suppress(TailraceError):  # the server is gone: left to the next
                    for each in own:
                        warehouse.empty(each)

    @property
    def _previews(self) -> str:
        """How the names of the databases of this home's previews begin."""
        return f"{self.schemas['tailrace']}_preview_{self.settings.fingerprint}_"

    def _forget_previews(self, warehouse: Spark) -> None:
        """Drop the databases of previews whose process is gone."""
        for row in warehouse.rows(f"show schemas like '{self._previews}*'"):
            name = str(row["namespace"])
            if not is_held(self._lock(name[: len(self._previews) + 12])):
                warehouse.execute(f"drop schema if exists {name} cascade")

    def profile(self, *, reads_published: bool = False) -> dict[str, Any]:  # noqa: ARG002 - compiling writes nothing
        return {"type": "spark", "method": "session", "host": "by SPARK_REMOTE", "schema": self.schemas["main"]}

    def environment(self) -> dict[str, str]:
        return {"SPARK_REMOTE": self.url}

    def running_dbt(self) -> AbstractContextManager[None]:
        return dbt_session(self.url, self._locks)

    @property
    def _locks(self) -> Path:
        return self.settings.root / LOCKS

    def _reader(self) -> Spark:
        return Spark(self.url, home=self.settings.root, schemas=self.schemas, read_only=True)

    def _lock(self, name: str) -> Path:
        return self._locks / f"{name}.lock"

    @contextmanager
    def _hold(self, name: str) -> Iterator[None]:
        with hold(self._lock(name), what=name):
            yield
        self._lock(name).unlink(missing_ok=True)

    def _kept(self, schema: str) -> AbstractContextManager[None]:
        """While somebody reads a generation, it has a lock of theirs."""
        return self._hold(f"{schema}.{uuid4().hex[:12]}")

    def _is_read(self, schema: str) -> bool:
        return any(map(is_held, self._locks.glob(f"{schema}.*.lock")))
