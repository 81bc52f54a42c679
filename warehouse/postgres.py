"""PostgreSQL 15 or newer behind the port, by ADBC: one connection, autocommit, UTC; many may write at once.

All SQL is written with logical schemas (`tailrace`, `raw`, …); `schemas` says which real ones a target has for them.
How a statement is sent is in postgres_session.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from warehouse.dialect import removal
from warehouse.names import parts
from warehouse.postgres_arrow import arrow_type, kind_of, plain, sql_type
from warehouse.postgres_errors import Absent, OtherColumns
from warehouse.postgres_session import Session, lock_number
from warehouse.server_session import functions

ANALYZED = 1_000  # rows from which the planner's guesses about a new table cost more than to look at it
FUNCTIONS = Path(__file__).with_name("postgres_functions")


class Postgres(Session):
    """The port on a session of one database."""

    def __init__(
        self,
        url: str,
        *,
        schemas: Mapping[str, str] | None = None,
        read_only: bool = False,
        own: Collection[str] = (),
        name: str = "tailrace",
    ) -> None:
        """Connect, as a session does. `own`: the real schemas that nobody but this connection has anything in."""
        super().__init__(url, schemas=schemas, read_only=read_only, name=name)
        self.own = frozenset(own)

    def load(self, table: str, data: pa.Table | pa.RecordBatchReader) -> int:
        kinds = self._known(table, data.schema.names)
        wanted = pa.schema([pa.field(name, arrow_type(kinds[name])) for name in data.schema.names])
        place = self.rows(
            "select nspname as schema, relname as name from pg_catalog.pg_class "
            "inner join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace "
            f"where pg_class.oid = cast({self.dialect.literal(self._written(table).sql)} as regclass)"
        )[0]
        return self._copied(place["schema"], place["name"], data, wanted)

    def insert(self, table: str, query: str) -> int:
        given = self._described(self._written(query)).names
        kinds = self._known(table, given)
        quote = self.dialect.quote
        listed = ", ".join(map(quote, given))
        cast = ", ".join(f"cast(inserted.{quote(name)} as {self.dialect.kind(kinds[name])})" for name in given)
        return self._run(f"insert into {table} ({listed}) select {cast} from ({query}\n) as inserted")

    def remove(self, table: str, column: str, values: Collection[str]) -> None:
        self._run(removal(self.dialect, table, column, values))

    @contextmanager
    def lend(self, name: str, data: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        quoted = self.dialect.quote(name)
        wanted = pa.schema([pa.field(field.name, plain(field.type)) for field in data.schema])
        columns = ", ".join(f"{self.dialect.quote(field.name)} {sql_type(field)}" for field in wanted)
        self._run(f"drop table if exists pg_temp.{quoted}")
        self._run(f"create temporary table {quoted} ({columns})")
        try:
            place = self.rows("select nspname as schema from pg_namespace where oid = pg_my_temp_schema()")[0]["schema"]
            self._analyze(quoted, self._copied(place, name, data, wanted))
            yield
        finally:
            with contextlib.suppress(adbc.Error):  # a transaction that failed takes it along, and has its own error
                self._run(f"drop table if exists pg_temp.{quoted} cascade")

    def columns(self, relation: str) -> dict[str, str]:
        try:
            with self._attempted():
                described = self._described(self._written(f"select * from {relation} as described"))
        except Absent:
            return {}
        return {field.name: kind_of(field) for field in described}

    def relations(self, schema: str) -> list[str]:
        found = self.rows(
            "select relname as name from pg_class inner join pg_namespace on pg_namespace.oid = relnamespace "
            "where nspname = ? and relkind in ('r', 'v') order by relname",
            [self._real(schema)],
        )
        return [str(row["name"]) for row in found]

    def create_view(self, name: str, query: str, *, temporary: bool = False) -> None:
        """As the port says. What reads a view whose columns change goes with it."""
        kind = "temporary view" if temporary else "view"
        with self._together():
            try:
                with self._attempted():
                    self._run(f"create or replace {kind} {name} as {query}")
            except OtherColumns:
                self._run(f"drop view {name} cascade")
                self._run(f"create {kind} {name} as {query}")

    def create_table(self, name: str, made: str | Mapping[str, str]) -> None:
        """As the port says. Views that read a table that is replaced go with it."""
        self._replace("table", name, made)

    def gather(self, table: str) -> None:
        """Nothing: a row has no file of its own."""

    def create_temporary(self, name: str, query: str, parts: Mapping[str, str] | None = None) -> None:
        """As the port says. Views that read a table that is replaced go with it.

        A part is a table, for the statement: what the server guesses of a common table expression that joins two others
        by a hash is their product.
        """
        for part, made in (parts or {}).items():
            self._replace("temporary table", part, made)
        self._replace("temporary table", name, query)
        for part in parts or ():
            self.drop_temporary(part)

    def drop_temporary(self, name: str, *, is_view: bool = False) -> None:
        self._run(f"drop {'view' if is_view else 'table'} if exists pg_temp.{name} cascade")

    def replace_temporary(self, name: str, by: str) -> None:
        self._run(f"drop table pg_temp.{name} cascade")
        self._run(f"alter table pg_temp.{by} rename to {name}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As the port says; all that the block does is one transaction."""
        with self._together():
            self._run(f"select pg_advisory_xact_lock({lock_number(self._real('tailrace') + '/alone')})")
            yield

    def steady(self) -> AbstractContextManager[None]:
        """As the port says: one transaction. Tables that others put in the place of old ones meanwhile have no rows."""
        return self._together("isolation level repeatable read")

    def prepare_functions(self) -> None:
        digest, statements = functions(FUNCTIONS)
        noted = (
            "select prosrc from pg_proc inner join pg_namespace on pg_namespace.oid = pronamespace "
            f"where nspname = {self.dialect.literal(self._real('tailrace'))} and proname = 'functions_made_by'"
        )
        if digest in str(self.rows(noted)):
            return
        with self.alone():
            for statement in statements:
                self._run(statement)
            self._run(
                "create or replace function tailrace.functions_made_by() returns text language sql immutable "
                f"as $$ select '{digest}' $$"
            )

    def scratch(self) -> str:
        """The schema of temporary tables: the server forgets it with the connection, however that ends."""
        return "pg_temp"

    def _replace(self, kind: str, name: str, made: str | Mapping[str, str]) -> None:
        *schema, last = parts(name)
        quote = self.dialect.quote
        fresh = ".".join([*schema, quote(last + "__fresh")])
        if isinstance(made, str):
            body = f"as {made}"
        else:
            body = "(" + ", ".join(f"{quote(column)} {self.dialect.kind(each)}" for column, each in made.items()) + ")"
        with self._together():
            rows = self._run(f"create {kind} {fresh} {body}")
            self._run(f"drop table if exists {'pg_temp.' if kind != 'table' else ''}{name} cascade")
            self._run(f"alter table {fresh} rename to {quote(last)}")
            self._analyze(name, rows)

    def _analyze(self, relation: str, rows: int) -> None:
        if rows >= ANALYZED:
            self._run(f"analyze {relation}")
