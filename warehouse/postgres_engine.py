"""The warehouse as schemas of one PostgreSQL database: several targets may share it, many may write at once.

The published copy is a generation: a schema of views of tables that are never written again. A reader takes the newest
when it begins and keeps it; what no generation shows any more is dropped when nobody reads it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import groupby
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from models.errors import TailraceError, UserError, WarehouseHeld
from models.settings import Settings
from models.steps import step
from warehouse.base import Warehouse
from warehouse.engine import Aside
from warehouse.postgres import Postgres

PATIENCE = "300ms"  # how long a schema that somebody reads is waited for before it is left for the next time
PASSWORD = "DBT_ENV_SECRET_WAREHOUSE_PASSWORD"  # noqa: S105 - the variable in which dbt finds it, never a file
SECONDS_BETWEEN = 0.05


class PostgresEngine:
    adapter = "dbt-postgres"

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for a URL without a database."""
        assert settings.warehouse_url
        self.settings, self.url = settings, settings.warehouse_url
        self.parts = urlsplit(self.url)
        self.catalog = unquote(self.parts.path.removeprefix("/"))
        if not self.catalog:
            message = "TAILRACE_WAREHOUSE names no database; write postgresql://user@host/database"
            raise UserError(message)
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

    def open(self) -> Warehouse:
        return Postgres(self.url, schemas=self.schemas)

    @contextmanager
    def locked(self, wait_seconds: float) -> Iterator[None]:
        """An advisory lock: it dies with its connection, and holds on every machine."""
        name = _number(self.schemas["tailrace"])
        deadline = time.monotonic() + wait_seconds
        with Postgres(self.url) as session:
            while not session.rows(f"select pg_try_advisory_lock({name}) as got")[0]["got"]:
                if time.monotonic() >= deadline:
                    raise WarehouseHeld(self._holder(session))
                time.sleep(SECONDS_BETWEEN)
            yield

    def _holder(self, session: Warehouse) -> str:
        found = session.rows(
            "select pid, client_addr::text as address from pg_stat_activity "
            "where pid in (select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1 "
            f"and ((cast(classid as bigint) << 32) | cast(objid as bigint)) = {_number(self.schemas['tailrace'])}) "
            f"and datname = {session.dialect.literal(self.catalog)} limit 1"
        )
        who = f"server process {found[0]['pid']}, from {found[0]['address']}" if found else "another process"
        return f"the warehouse is held by {who}; wait for it, or end it if it hangs"

    def is_published(self) -> bool:
        with Postgres(self.url, schemas=self.schemas, read_only=True) as warehouse:
            return self._generation(warehouse) is not None

    def published(self) -> Warehouse:
        with Postgres(self.url, schemas=self.schemas, read_only=True) as warehouse:
            generation = self._generation(warehouse)
        shown = self.schemas["published"] if generation is None else self._schema(generation)
        copy = Postgres(self.url, schemas={**self.schemas, "main": shown}, read_only=True)
        if generation is None or self._keep(copy, shown):
            return copy
        copy.close()
        return self.published()  # there is a newer one meanwhile

    def publish(self, warehouse: Warehouse, changed: Mapping[str, str], digests: Mapping[str, str]) -> None:
        quote, literal = warehouse.dialect.quote, warehouse.dialect.literal
        warehouse.execute("create schema if not exists published")
        columns = "generation bigint, digests varchar, published_at timestamptz"
        warehouse.execute(f"create table if not exists tailrace.publication ({columns})")
        for name, relation in changed.items():
            warehouse.create_table(f"published.{quote(_stored(name, digests[name]))}", f"select * from {relation}")
        generation = (self._generation(warehouse) or 0) + 1
        schema = self._schema(generation)
        warehouse.execute(f"drop schema if exists {schema} cascade")  # of a run that did not come to its end
        warehouse.execute(f"create schema {schema}")
        for name, digest in digests.items():
            source = f"published.{quote(_stored(name, digest))}"
            warehouse.create_view(f"{schema}.{quote(name)}", f"select * from {source}")
        step("staged", file=schema)
        told = literal(json.dumps(dict(digests)))
        warehouse.execute(f"insert into tailrace.publication values ({generation}, {told}, current_timestamp)")
        step("published", file=schema)
        self._forget(warehouse, generation, digests)

    def _forget(self, warehouse: Warehouse, newest: int, digests: Mapping[str, str]) -> None:
        """Drop what only older generations show, where nobody reads it now."""
        literal = warehouse.dialect.literal
        known = {_stored(name, digest) for name, digest in digests.items()}
        pattern = self.schemas["published"] + "_"
        schemas = warehouse.rows(
            f"select nspname as name from pg_namespace where starts_with(nspname, {literal(pattern)}) "
            f"and substring(nspname, {len(pattern) + 1}) ~ '^[0-9]+$' and nspname <> {literal(self._schema(newest))}"
        )
        tables = warehouse.rows(
            "select relname as name from pg_class inner join pg_namespace on pg_namespace.oid = relnamespace "
            f"where nspname = {literal(self.schemas['published'])} and relkind = 'r'"
        )
        quote = warehouse.dialect.quote
        unused = [f"drop table published.{quote(row['name'])}" for row in tables if row["name"] not in known]
        warehouse.execute(f"set lock_timeout = '{PATIENCE}'")
        for row in schemas:
            _drop_unused(warehouse, str(row["name"]), [str(row["name"])])
        for statement in unused:
            with contextlib.suppress(TailraceError):  # an older generation shows it: the next publication tries again
                warehouse.execute(statement)
        warehouse.execute("set lock_timeout = 0")

    def published_digests(self) -> dict[str, str]:
        with Postgres(self.url, schemas=self.schemas, read_only=True) as warehouse:
            if self._generation(warehouse) is None:
                return {}
            found = warehouse.rows("select digests from tailrace.publication order by generation desc limit 1")
            return {str(name): str(digest) for name, digest in json.loads(found[0]["digests"]).items()}

    @contextmanager
    def preview(self) -> Iterator[Aside]:
        """Everything is created in schemas of its own; the next preview drops what a killed one left."""
        name = f"{self._previews}{uuid4().hex[:12]}"
        own = {each: f"{name}_{each}" for each in self.schemas}
        with Postgres(self.url, schemas=own, own=own.values()) as warehouse:
            self._forget_previews(warehouse)
            generation = self._kept_generation(warehouse)
            warehouse.rows(f"select pg_advisory_lock({_number(name)})")  # before there is anything to be dropped
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

    def _kept_generation(self, warehouse: Warehouse) -> str:
        """The schema of the newest generation, which stays as long as this connection. Raises UserError for none."""
        while True:
            with Postgres(self.url, schemas=self.schemas, read_only=True) as other:
                generation = self._generation(other)
            if generation is None:
                raise UserError("nothing is published yet; run `tailrace refresh`")
            schema = self._schema(generation)
            if self._keep(warehouse, schema):
                return schema

    def _keep(self, warehouse: Warehouse, schema: str) -> bool:
        """Have a generation stay as long as this connection; whether it was still there."""
        number = _number(schema)
        warehouse.rows(f"select pg_advisory_lock_shared({number})")
        return bool(warehouse.rows("select 1 as found from pg_namespace where nspname = ?", [schema]))

    def profile(self, *, reads_published: bool = False) -> dict[str, Any]:  # noqa: ARG002 - compiling writes nothing
        return {
            "type": "postgres",
            "host": self.parts.hostname or "localhost",
            "port": self.parts.port or 5432,
            "user": unquote(self.parts.username or getpass.getuser()),  # as the client library has it
            "password": f"{{{{ env_var('{PASSWORD}', '') }}}}",
            "dbname": self.catalog,
            "schema": self.schemas["main"],
        }

    def environment(self) -> dict[str, str]:
        # as the port's own sessions
        return {PASSWORD: unquote(self.parts.password or ""), "PGTZ": "UTC", "PGOPTIONS": "-c jit=off"}

    def _generation(self, warehouse: Warehouse) -> int | None:
        if not warehouse.columns("tailrace.publication"):
            return None
        newest = warehouse.rows("select max(generation) as newest from tailrace.publication")[0]["newest"]
        return None if newest is None else int(newest)

    def _schema(self, generation: int) -> str:
        return f"{self.schemas['published']}_{generation}"


def _number(name: str) -> str:
    """The number of the advisory lock of that name, as SQL."""
    return f"hashtextextended('{name}', 0)"


def _drop_unused(warehouse: Warehouse, lock: str, schemas: Sequence[str]) -> None:
    """Drop these schemas unless some connection holds that lock; what cannot be dropped is left for the next time."""
    number = _number(lock)
    if not warehouse.rows(f"select pg_try_advisory_lock({number}) as got")[0]["got"]:
        return
    with contextlib.suppress(TailraceError):
        for schema in schemas:
            warehouse.execute(f"drop schema if exists {warehouse.dialect.quote(schema)} cascade")
    warehouse.rows(f"select pg_advisory_unlock({number})")


def _stored(name: str, digest: str) -> str:
    """The table that holds what a published name showed when it had this digest; a name of 63 bytes at most."""
    return f"{name[:40]}_{sha256(f'{name}/{digest}'.encode()).hexdigest()[:16]}"
