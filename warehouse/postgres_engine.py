"""The warehouse as schemas of one PostgreSQL database: several targets may share it, many may write at once.

Whoever reads a generation holds its advisory lock: what nobody holds any more is dropped. Programs that know nothing of
generations read the schema `…_current`: the same views under a name that stays, put in the place of the old ones in the
transaction that publishes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import groupby
from typing import Any
from uuid import uuid4

from models.errors import TailraceError, UserError
from models.settings import Settings
from warehouse import postgres_locks
from warehouse.base import Warehouse
from warehouse.engine import Aside, How
from warehouse.generations import Generations, make_views, schemas
from warehouse.postgres import Postgres
from warehouse.postgres_session import lock_number
from warehouse.postgres_url import parsed, variables, with_host

PATIENCE = "300ms"  # how long a schema that somebody reads is waited for before it is left for the next time
PASSWORD = "DBT_ENV_SECRET_WAREHOUSE_PASSWORD"  # noqa: S105 - the variable in which dbt finds it, never a file
OURS = "what Tailrace published last"  # of a schema that may be put in the place of another
_SCHEMA = "select obj_description(oid, 'pg_namespace') as told from pg_namespace where nspname = ?"
_READERS = """
select case given.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(given.grantee)) end as reader
from pg_namespace cross join lateral aclexplode(nspacl) as given
where nspname = ? and given.privilege_type = 'USAGE' and given.grantee <> nspowner
"""
_LOCALE = """
select
    case datlocprovider when 'i' then 'a locale of ICU' else datcollate end as collation,
    'B' < 'a' and 'z' < 'é' as is_by_bytes,
    lower('ÄİÉ') = 'äié' as is_lower
from pg_database
where datname = current_database()
"""


class PostgresEngine(Generations):
    name = "postgres"
    adapter = "dbt-postgres"

    def __init__(self, settings: Settings) -> None:
        """Raises UserError for a URL that cannot be used."""
        assert settings.warehouse_url
        self.settings, self.url = settings, with_host(settings.warehouse_url, settings.environ)
        self.parts = parsed(self.url, settings.environ)
        self.catalog = self.parts["dbname"]
        self.schemas = schemas("tailrace" if settings.target == "prod" else f"tailrace_{settings.target}")

    def remarks(self) -> list[str]:
        with Postgres(self.url, read_only=True) as session:
            (found,) = session.rows(_LOCALE)
        said = []
        if not found["is_by_bytes"]:
            said.append(f"orders texts by {found['collation']}; every other engine orders them by their bytes")
        if not found["is_lower"]:
            said.append("does not write every letter small as other engines do: who is who would differ")
        return [f"the database {self.catalog} {each}" for each in said]

    def open(self) -> Warehouse:
        return postgres_locks.writer(self.url, self.schemas["tailrace"], self.schemas)

    def locked(self, wait_seconds: float, how: How = "alone") -> AbstractContextManager[None]:
        """Of the server: it holds on every machine."""
        return postgres_locks.held(self.url, self.schemas["tailrace"], wait_seconds, how)

    def take_over(self, wait_seconds: float) -> str | None:
        del wait_seconds
        return None

    def turn(self, what: str, *, shared: bool = False) -> AbstractContextManager[None]:
        return postgres_locks.turn(self.url, self.schemas["tailrace"], what, shared=shared)

    def published(self) -> Warehouse:
        """As the port says. Raises UserError where nothing is published."""
        while True:
            schema = self._required()
            copy = Postgres(self.url, schemas={**self.schemas, "main": schema}, read_only=True)
            if _keep(copy, schema):
                return copy
            copy.close()  # there is a newer one meanwhile

    def _show(self, warehouse: Warehouse, generation: int, digests: Mapping[str, str]) -> None:
        """As everywhere; who may use the old views may use the new ones. Raises UserError where the name is taken."""
        current = f"{self.schemas['tailrace']}_current"
        fresh, old = f"{current}_{generation}", f"{current}_{generation - 1}"
        make_views(warehouse, fresh, digests)
        warehouse.execute(f"comment on schema {fresh} is {warehouse.dialect.literal(OURS)}")
        with warehouse.steady():
            super()._show(warehouse, generation, digests)
            if found := warehouse.rows(_SCHEMA, [current]):
                if found[0]["told"] != OURS:
                    message = f"the schema {current} is somebody else's; what is published is shown there: rename it"
                    raise UserError(message)
                for row in warehouse.rows(_READERS, [current]):
                    warehouse.execute(f"grant usage on schema {fresh} to {row['reader']}")
                    warehouse.execute(f"grant select on all tables in schema {fresh} to {row['reader']}")
                warehouse.execute(f"alter schema {current} rename to {old}")
            warehouse.execute(f"alter schema {fresh} rename to {current}")

    def _forget(self, warehouse: Warehouse, newest: int) -> None:
        warehouse.execute(f"set lock_timeout = '{PATIENCE}'")
        for schema in self._there(warehouse):
            if schema != self._schema(newest):
                _drop_unused(warehouse, schema, [schema])
        kept = {int(schema.rpartition("_")[2]) for schema in self._there(warehouse)}
        self._drop_stored(warehouse, kept)
        listed = ", ".join(map(str, sorted(kept)))
        warehouse.execute(f"delete from tailrace.publication where generation not in ({listed})")
        warehouse.execute("set lock_timeout = 0")

    def _there(self, warehouse: Warehouse) -> list[str]:
        """The schemas of generations, and of what was current before."""
        pattern = warehouse.dialect.literal(f"^({self._stem}|{self.schemas['tailrace']}_current_)[0-9]+$")
        found = warehouse.rows(f"select nspname as name from pg_namespace where nspname ~ {pattern}")
        return [str(row["name"]) for row in found]

    @contextmanager
    def preview(self) -> Iterator[Aside]:
        """Everything is created in schemas of its own; the next preview drops what a killed one left."""
        name = f"{self._previews}{uuid4().hex[:12]}"
        own = {each: f"{name}_{each}" for each in self.schemas}
        with Postgres(self.url, schemas=own, own=own.values()) as warehouse:
            self._forget_previews(warehouse)
            while not _keep(warehouse, generation := self._required()):
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
        for preview, own in groupby(names, key=lambda name: name[: len(self._previews) + 12]):
            _drop_unused(warehouse, preview, [*own])

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

    def _reader(self) -> Warehouse:
        return Postgres(self.url, schemas=self.schemas, read_only=True)


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
