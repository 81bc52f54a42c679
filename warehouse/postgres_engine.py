"""The warehouse as schemas of one PostgreSQL database: several targets may share it, many may write at once.

The published copy is a generation: a schema of views of tables that are never written again. A reader takes the newest
when it begins and keeps it; what no generation shows any more is dropped when nobody reads it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from itertools import groupby
from typing import Any
from uuid import uuid4

from models.errors import TailraceError, UserError
from models.settings import Settings
from models.steps import step
from warehouse import postgres_locks
from warehouse.base import Warehouse
from warehouse.engine import Aside
from warehouse.postgres import Postgres
from warehouse.postgres_session import lock_number
from warehouse.postgres_url import parsed, variables, with_host

PATIENCE = "300ms"  # how long a schema that somebody reads is waited for before it is left for the next time
PASSWORD = "DBT_ENV_SECRET_WAREHOUSE_PASSWORD"  # noqa: S105 - the variable in which dbt finds it, never a file
BY_BYTES = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})


class PostgresEngine:
    name = "postgres"
    adapter = "dbt-postgres"

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for a URL that cannot be used."""
        assert settings.warehouse_url
        self.settings, self.url = settings, with_host(settings.warehouse_url, settings.environ)
        self.parts = parsed(self.url, settings.environ)
        self.catalog = self.parts["dbname"]
        prefix = "tailrace" if settings.target == "prod" else f"tailrace_{settings.target}"
        self.schemas: Mapping[str, str] = {
            "tailrace": prefix,
            "raw": f"{prefix}_raw",
            "main": f"{prefix}_models",
            "published": f"{prefix}_published",
        }

    def exists(self) -> bool:
        with Postgres(self.url, schemas=self.schemas, read_only=True) as warehouse:
            return bool(warehouse.columns("tailrace.batch"))

    def remarks(self) -> list[str]:
        with Postgres(self.url, read_only=True) as session:
            found = session.rows(
                "select case when datlocprovider = 'c' then datcollate else 'a locale of ICU' end as collation "
                "from pg_database where datname = current_database()"
            )
        name = str(found[0]["collation"])
        if name in BY_BYTES:
            return []
        return [f"the database {self.catalog} orders texts by {name}; every other engine orders them by their bytes"]

    def open(self) -> Warehouse:
        return postgres_locks.writer(self.url, self.schemas["tailrace"], dict(self.schemas))

    def locked(self, wait_seconds: float, *, beside: bool = False) -> AbstractContextManager[None]:
        """Of the server: it holds on every machine."""
        return postgres_locks.held(self.url, self.schemas["tailrace"], wait_seconds, beside=beside)

    def turn(self, what: str) -> AbstractContextManager[None]:
        return postgres_locks.turn(self.url, self.schemas["tailrace"], what)

    def is_published(self) -> bool:
        return bool(self._newest())

    def published(self) -> Warehouse:
        """As the port says. Raises UserError where nothing is published."""
        while True:
            schema, _ = self._required()
            copy = Postgres(self.url, schemas={**self.schemas, "main": schema}, read_only=True)
            if _keep(copy, schema):
                return copy
            copy.close()  # there is a newer one meanwhile

    def publish(self, warehouse: Warehouse, changed: Mapping[str, str], digests: Mapping[str, str]) -> None:
        quote, literal = warehouse.dialect.quote, warehouse.dialect.literal
        warehouse.execute("create schema if not exists published")
        warehouse.execute("create table if not exists tailrace.publication (generation bigint, digests varchar)")
        stored = {*warehouse.relations("published")}  # of before: readers may have them still
        for name, relation in changed.items():
            if (place := _stored(name, digests[name])) not in stored:
                warehouse.create_table(f"published.{quote(place)}", f"select * from {relation}")
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
        self._forget(warehouse, schema, {_stored(name, digest) for name, digest in digests.items()})

    def _forget(self, warehouse: Warehouse, newest: str, shown: Collection[str]) -> None:
        """Drop the generations that nobody reads now, and tables that none shows any more."""
        pattern = warehouse.dialect.literal(f"^{self.schemas['published']}_[0-9]+$")
        older = warehouse.rows(
            f"select nspname as name from pg_namespace where nspname ~ {pattern} and nspname <> ?", [newest]
        )
        warehouse.execute(f"set lock_timeout = '{PATIENCE}'")
        for row in older:
            _drop_unused(warehouse, str(row["name"]), [str(row["name"])])
        for name in warehouse.relations("published"):
            if name not in shown:
                with contextlib.suppress(TailraceError):  # an older one shows it: the next publication tries again
                    warehouse.execute(f"drop table published.{warehouse.dialect.quote(name)}")
        warehouse.execute("set lock_timeout = 0")

    def published_digests(self) -> dict[str, str]:
        newest = self._newest()
        return newest[1] if newest else {}

    @contextmanager
    def preview(self) -> Iterator[Aside]:
        """Everything is created in schemas of its own; the next preview drops what a killed one left."""
        name = f"{self._previews}{uuid4().hex[:12]}"
        own = {each: f"{name}_{each}" for each in self.schemas}
        with Postgres(self.url, schemas=own, own=own.values()) as warehouse:
            self._forget_previews(warehouse)
            while not _keep(warehouse, generation := self._required()[0]):
                pass  # there is a newer one meanwhile
            warehouse.rows(f"select pg_advisory_lock({lock_number(name)})")  # before there is anything to be dropped
            try:
                for each in ("main", "tailrace"):
                    warehouse.execute(f"create schema {each}")
                warehouse.prepare_functions()
                yield Aside(warehouse, "main", generation)
            finally:
                with contextlib.suppress(TailraceError):  # the connection is gone: left to the next
                    for each in own:
                        warehouse.empty(each)

    @property
    def _previews(self) -> str:
        """How the names of the schemas of previews begin."""
        return f"{self.schemas['tailrace']}_preview_"

    def _forget_previews(self, warehouse: Warehouse) -> None:
        """Drop the schemas of previews whose connection is gone."""
        pattern = warehouse.dialect.literal(f"^({self._previews}[0-9a-f]{{12}})_({'|'.join(self.schemas)})$")
        found = warehouse.rows(f"select nspname as name from pg_namespace where nspname ~ {pattern} order by nspname")
        names = [str(row["name"]) for row in found]
        for preview, schemas in groupby(names, key=lambda name: name[: len(self._previews) + 12]):
            _drop_unused(warehouse, preview, [*schemas])

    def profile(self, *, reads_published: bool = False) -> dict[str, Any]:  # noqa: ARG002 - compiling writes nothing
        return {
            "type": "postgres",
            "host": self.parts["host"],
            "port": int(self.parts["port"] or 5432),
            "user": self.parts["user"],
            "password": f"{{{{ env_var('{PASSWORD}', '') }}}}",
            "dbname": self.catalog,
            "schema": self.schemas["main"],
        }

    def environment(self) -> dict[str, str]:
        # as the port's own sessions
        options = f"{self.parts.get('options', '')} -c jit=off".strip()
        own = {PASSWORD: self.parts.get("password", ""), "PGTZ": "UTC", "PGOPTIONS": options}
        return {**variables(self.parts), **own}

    def running_dbt(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _newest(self) -> tuple[str, dict[str, str]] | None:
        """The schema of the newest generation, and what each name in it shows; None before the first."""
        with Postgres(self.url, schemas=self.schemas, read_only=True) as warehouse:
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


def _keep(warehouse: Warehouse, schema: str) -> bool:
    """Have a generation stay as long as this connection; whether it was still there."""
    warehouse.rows(f"select pg_advisory_lock_shared({lock_number(schema)})")
    return bool(warehouse.rows("select 1 as found from pg_namespace where nspname = ?", [schema]))


def _drop_unused(warehouse: Warehouse, lock: str, schemas: Sequence[str]) -> None:
    """Drop these schemas unless some connection holds that lock; what cannot be dropped is left for the next time."""
    number = lock_number(lock)
    if not warehouse.rows(f"select pg_try_advisory_lock({number}) as got")[0]["got"]:
        return
    with contextlib.suppress(TailraceError):
        for schema in schemas:
            warehouse.execute(f"drop schema if exists {warehouse.dialect.quote(schema)} cascade")
    warehouse.rows(f"select pg_advisory_unlock({number})")


def _stored(name: str, digest: str) -> str:
    """The table that holds what a published name showed when it had this digest; a name of 63 bytes at most."""
    return f"{name[:40]}_{sha256(f'{name}/{digest}'.encode()).hexdigest()[:16]}"
