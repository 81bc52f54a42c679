"""The warehouse as databases of one Spark catalogue: several targets may share it; one home writes to a target.

The published copy is a generation: a database of views of tables that are never written again. A reader takes the
newest when it begins and keeps it; the one before the newest stays as well, for readers whom no lock of this home tells
of.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from models.errors import TailraceError, UserError
from models.settings import Settings
from models.steps import step
from warehouse.base import Warehouse
from warehouse.engine import Aside
from warehouse.lock import hold, is_held
from warehouse.spark import LOCKS, Spark
from warehouse.spark_dbt import dbt_session
from warehouse.spark_errors import shown

LOCK = "warehouse.lock"
_URL = re.compile(r"(?P<server>sc://[^/;?]+)(?:/(?P<name>[a-z][a-z0-9_]{0,40}))?/?(?P<options>;.*)?")


class SparkEngine:
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
        self.schemas: Mapping[str, str] = {
            "tailrace": prefix,
            "raw": f"{prefix}_raw",
            "main": f"{prefix}_models",
            "published": f"{prefix}_published",
        }

    def exists(self) -> bool:
        with self._reader() as warehouse:
            return bool(warehouse.columns("tailrace.batch"))

    def remarks(self) -> list[str]:
        return []

    def open(self) -> Warehouse:
        return Spark(self.url, home=self.settings.root, schemas=self.schemas)

    def locked(self, wait_seconds: float, *, beside: bool = False) -> AbstractContextManager[None]:
        """A lock of this home, for one writer: Spark has none."""
        del beside
        return hold(self.settings.root / LOCK, wait_seconds=wait_seconds)

    def turn(self, what: str) -> AbstractContextManager[None]:
        del what
        return contextlib.nullcontext()

    def is_published(self) -> bool:
        return bool(self._newest())

    def published(self) -> Warehouse:
        """As the port says. Raises UserError where nothing is published."""
        while True:
            schema, _ = self._required()
            kept = ExitStack()
            kept.enter_context(self._kept(schema))
            copy = Spark(
                self.url, home=self.settings.root, schemas={**self.schemas, "main": schema}, read_only=True, kept=kept
            )
            if copy.has(schema):
                copy.use(schema)
                return copy
            copy.close()  # there is a newer one meanwhile

    def publish(self, warehouse: Warehouse, changed: Mapping[str, str], digests: Mapping[str, str]) -> None:
        quote, literal, text = warehouse.dialect.quote, warehouse.dialect.literal, warehouse.dialect.text
        warehouse.execute("create schema if not exists published")
        warehouse.execute(f"create table if not exists tailrace.publication (generation bigint, digests {text})")
        for name, relation in changed.items():
            warehouse.create_table(f"published.{quote(_stored(name, digests[name]))}", f"select * from {relation}")
        found = warehouse.rows("select coalesce(max(generation), 0) + 1 as following from tailrace.publication")
        generation = int(found[0]["following"])
        schema = self._schema(generation)
        warehouse.execute(f"drop schema if exists {schema} cascade")  # of a run that did not come to its end
        warehouse.execute(f"create schema {schema}")
        for name, digest in digests.items():
            source = f"published.{quote(_stored(name, digest))}"
            warehouse.create_view(f"{schema}.{quote(name)}", f"select * from {source}")
        step("staged", file=schema)
        told = literal(json.dumps(dict(digests)))
        warehouse.execute(f"insert into tailrace.publication values ({generation}, {told})")
        step("published", file=schema)
        self._forget(warehouse, generation)

    def _forget(self, warehouse: Warehouse, newest: int) -> None:
        """Drop older generations that nobody of this home reads, and tables that none shows any more."""
        prefix = f"{self.schemas['published']}_"
        kept, shown = {newest, newest - 1}, set[str]()
        for row in warehouse.rows(f"show schemas like '{prefix}*'"):
            name = str(row["namespace"])
            number = name.removeprefix(prefix)
            if number.isdigit() and int(number) not in kept:
                if self._is_read(name):
                    kept.add(int(number))
                else:
                    warehouse.execute(f"drop schema if exists {name} cascade")
        listed = ", ".join(map(str, sorted(kept)))
        for row in warehouse.rows(f"select digests from tailrace.publication where generation in ({listed})"):
            shown |= {_stored(name, digest) for name, digest in json.loads(row["digests"]).items()}
        for name in warehouse.relations("published"):
            if name not in shown:
                warehouse.execute(f"drop table if exists published.{warehouse.dialect.quote(name)}")

    def published_digests(self) -> dict[str, str]:
        newest = self._newest()
        return newest[1] if newest else {}

    @contextmanager
    def preview(self) -> Iterator[Aside]:
        """Everything is created in databases of its own; the next preview drops what a killed one left."""
        name = f"{self._previews}{uuid4().hex[:12]}"
        own = {each: f"{name}_{each}" for each in self.schemas}
        with ExitStack() as kept:
            generation = self._required()[0]
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
        return dbt_session(self.url)

    def _reader(self) -> Spark:
        return Spark(self.url, home=self.settings.root, schemas=self.schemas, read_only=True)

    def _newest(self) -> tuple[str, dict[str, str]] | None:
        """The database of the newest generation, and what each name in it shows; None before the first."""
        with self._reader() as warehouse:
            if not warehouse.columns("tailrace.publication"):
                return None
            rows = warehouse.rows("select * from tailrace.publication order by generation desc limit 1")
        return (self._schema(int(rows[0]["generation"])), json.loads(rows[0]["digests"])) if rows else None

    def _required(self) -> tuple[str, dict[str, str]]:
        newest = self._newest()
        if newest is None:
            raise UserError("nothing is published yet; run `tailrace refresh`")
        return newest

    def _schema(self, generation: int) -> str:
        return f"{self.schemas['published']}_{generation}"

    def _lock(self, name: str) -> Path:
        return self.settings.root / LOCKS / f"{name}.lock"

    @contextmanager
    def _hold(self, name: str) -> Iterator[None]:
        with hold(self._lock(name), what=name):
            yield
        self._lock(name).unlink(missing_ok=True)

    def _kept(self, schema: str) -> AbstractContextManager[None]:
        """While somebody reads a generation, it has a lock of theirs."""
        return self._hold(f"{schema}.{uuid4().hex[:12]}")

    def _is_read(self, schema: str) -> bool:
        return any(map(is_held, (self.settings.root / LOCKS).glob(f"{schema}.*.lock")))


def _stored(name: str, digest: str) -> str:
    """The table that holds what a published name showed when it had this digest; a name that any catalogue takes."""
    return f"{name[:40]}_{sha256(f'{name}/{digest}'.encode()).hexdigest()[:16]}"
