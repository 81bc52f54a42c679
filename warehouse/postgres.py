"""PostgreSQL 15 or newer behind the port, by ADBC: one connection, autocommit, UTC; many may write at once.

All SQL is written with logical schemas (`tailrace`, `raw`, …); `schemas` says which real ones a target has for them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from models.errors import Refused, TailraceError, UserError, WarehouseVersion
from warehouse.dialect import Dialect
from warehouse.postgres_arrow import arrow_type, decoded, kind_of, plain, shaped, sql_type, streamed_type, values
from warehouse.postgres_dialect import Names, PostgresDialect, Written
from warehouse.postgres_errors import Absent, OtherColumns, refused, shown, translated, translating

OLDEST = 150000  # as the server counts its versions
LOCK = 7_245_903_117_208_421  # the advisory lock of `alone`, with the schema's own number
ANALYZED = 1_000  # rows from which the planner's guesses about a new table cost more than to look at it
FUNCTIONS = Path(__file__).with_name("postgres_functions.sql")

_COPY = "adbc.postgresql.use_copy"
_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "client_encoding": "UTF8",
    "jit": "off",  # the statements here are wide: to compile their expressions takes longer than to run them
}
# In kilobytes, at least: `not in` a query whose rows do not fit reads them again for every row of the other side
_ROOM = "cast(greatest(pg_size_bytes(current_setting('work_mem')) / 1024, 65536) as text)"


class Postgres:
    """A connection to one database. What `schemas` does not name is read where it says."""

    dialect: Dialect = PostgresDialect()

    def __init__(
        self,
        url: str,
        *,
        schemas: Mapping[str, str] | None = None,
        read_only: bool = False,
        own: Collection[str] = (),
    ) -> None:
        """Connect. Raises NeedsPerson, UserError or WarehouseVersion, each saying what to do, none the password.

        `own`: the real schemas that nobody but this connection has anything in.
        """
        self.names, self.own = Names(schemas or {}), frozenset(own)
        self._depth = 0
        try:
            self._connection = adbc.connect(url, autocommit=True)
        except adbc.Error as error:
            raise refused(str(error), url) from None  # the driver's own text may quote the URL
        settings = {
            **_SETTINGS,
            "search_path": f"{self.dialect.quote(self.names.schemas.get('main', 'main'))}, public",
            "default_transaction_read_only": "on" if read_only else "off",
        }
        literal = self.dialect.literal
        chosen = ", ".join(f"set_config({literal(name)}, {literal(to)}, false)" for name, to in settings.items())
        chosen += f", set_config('work_mem', {_ROOM}, false)"
        server = self.rows(
            "select current_setting('server_version') as version, "
            f"current_setting('server_version_num') as number, {chosen}"
        )[0]
        self._version = str(server["version"]).split()[0]
        if int(server["number"]) < OLDEST:
            self.close()
            message = f"{shown(url)}: PostgreSQL {self._version}; Tailrace needs 15 or newer"
            raise WarehouseVersion(message)

    @property
    def version(self) -> str:
        return f"postgresql {self._version}"

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._run(sql, params)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with self._asked(self._written(sql, params)) as cursor:
            found = cursor.fetch_arrow_table()
        columns = [values(found.field(place), found.column(place)) for place in range(found.num_columns)]
        return [dict(zip(found.column_names, row, strict=True)) for row in zip(*columns, strict=True)]

    def stream(self, sql: str, batch_rows: int = 65_536) -> pa.RecordBatchReader:
        """As the port says. Raises UserError for a numeric without precision, which Arrow has no type for."""
        batches = self._streamed(self._written(sql), batch_rows)
        schema = next(batches)
        return pa.RecordBatchReader.from_batches(schema, batches)

    def load(self, table: str, data: pa.Table | pa.RecordBatchReader) -> int:
        kinds = self.columns(table)
        if not kinds:
            message = f"there is no table {table}"
            raise UserError(message)
        unknown = [name for name in data.schema.names if name not in kinds]
        if unknown:
            message = f"{table} has no column {', '.join(unknown)}; there are: {', '.join(kinds)}"
            raise UserError(message)
        wanted = pa.schema([pa.field(name, arrow_type(kinds[name])) for name in data.schema.names])
        place = self.rows(
            "select nspname as schema, relname as name from pg_catalog.pg_class "
            "inner join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace "
            f"where pg_class.oid = cast({self.dialect.literal(self._written(table).sql)} as regclass)"
        )[0]
        return self._copied(place["schema"], place["name"], data, wanted)

    def insert(self, table: str, query: str) -> int:
        kinds, given = self.columns(table), self._described(self._written(query)).names
        unknown = [name for name in given if name not in kinds]
        if unknown:
            message = f"{table} has no column {', '.join(unknown)}; there are: {', '.join(kinds) or 'none'}"
            raise UserError(message)
        quote = self.dialect.quote
        listed = ", ".join(map(quote, given))
        cast = ", ".join(f"cast(inserted.{quote(name)} as {self.dialect.kind(kinds[name])})" for name in given)
        return self._run(f"insert into {table} ({listed}) select {cast} from ({query}\n) as inserted")

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
            [self.names.schemas.get(schema, schema)],
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

    def create_temporary(self, name: str, query: str) -> None:
        """As the port says. Views that read a table that is replaced go with it."""
        self._replace("temporary table", name, query)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As the port says; all that the block does is one transaction."""
        with self._together():
            number = f"{LOCK} + hashtext({self.dialect.literal(self.names.schemas.get('tailrace', 'tailrace'))})"
            self._run(f"select pg_advisory_xact_lock({number})")
            yield

    def prepare_functions(self) -> None:
        made = FUNCTIONS.read_text()
        schema = self.dialect.literal(self.names.schemas.get("tailrace", "tailrace"))
        digest = sha256(made.encode()).hexdigest()
        noted = (
            "select prosrc from pg_proc inner join pg_namespace on pg_namespace.oid = pronamespace "
            f"where nspname = {schema} and proname = 'functions_made_by'"
        )
        if digest in str(self.rows(noted)):
            return
        with self.alone():
            _, *statements = re.split(r"\n\n(?=create or replace )", made)
            for statement in statements:
                self._run(statement.rstrip().removesuffix(";"))
            self._run(
                "create or replace function tailrace.functions_made_by() returns text language sql immutable "
                f"as $$ select '{digest}' $$"
            )

    def scratch(self) -> str:
        """The schema of temporary tables: the server forgets it with the connection, however that ends."""
        return "pg_temp"

    def empty(self, schema: str) -> None:
        real = self.names.schemas.get(schema, schema)
        if real not in self.own:
            message = f"the schema {real} is not dropped: it is not this connection's own"
            raise Refused(message)
        self._run(f"drop schema if exists {self.dialect.quote(real)} cascade")

    def attach(self, alias: str, path: Path) -> NoReturn:
        message = (
            f"{path}: PostgreSQL cannot read this database file as {alias}; it reads schemas of its own database: "
            "load the tables into one, and name it in sources.yml"
        )
        raise UserError(message)

    def detach(self, alias: str) -> None:
        """Nothing is ever attached."""

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _written(self, sql: str, params: Sequence[Any] = ()) -> Written:
        return self.names.write(sql, [self.dialect.literal(value) for value in params] if params else None)

    def _run(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run a statement; how many rows it wrote."""
        with self._asked(self._written(sql, params)) as cursor:
            return int(cursor.rowcount)

    @contextmanager
    def _asked(self, written: Written, *, in_parts: bool = False) -> Iterator[adbc.Cursor]:
        """A cursor over the statement's result: at once and whole, or `in_parts` as the server makes it."""
        with self._connection.cursor() as cursor, translating(written):
            cursor.adbc_statement.set_options(**{_COPY: "true" if in_parts else "false"})
            cursor.execute(written.sql)
            yield cursor

    def _described(self, written: Written) -> pa.Schema:
        with self._connection.cursor() as cursor, translating(written):
            return cursor.adbc_execute_schema(written.sql)

    def _streamed(self, written: Written, batch_rows: int) -> Generator[Any, None, None]:
        """The schema, then batches of it."""
        with self._asked(written, in_parts=True) as cursor, cursor.fetch_record_batch() as reader:
            schema = pa.schema([pa.field(field.name, streamed_type(field)) for field in reader.schema])
            yield schema
            for batch in reader:
                columns = [decoded(each, kind) for each, kind in zip(batch.columns, schema.types, strict=True)]
                whole = pa.RecordBatch.from_arrays(columns, schema=schema)
                for start in range(0, len(whole), batch_rows):
                    yield whole.slice(start, batch_rows)

    def _copied(self, schema: str, name: str, data: pa.Table | pa.RecordBatchReader, wanted: pa.Schema) -> int:
        reader = data.to_reader() if isinstance(data, pa.Table) else data
        mistakes: list[UserError] = []  # the driver gives back the text of what a batch raised, not the error
        sent = pa.RecordBatchReader.from_batches(wanted, shaped(reader, wanted, name, mistakes))
        with self._connection.cursor() as cursor:
            try:
                return int(cursor.adbc_ingest(name, sent, mode="append", db_schema_name=schema))
            except adbc.Error as error:
                raise (mistakes[0] if mistakes else translated(error, None)) from error

    def _replace(self, kind: str, name: str, made: str | Mapping[str, str]) -> None:
        *schema, last = _parts(name)
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

    @contextmanager
    def _attempted(self) -> Iterator[None]:
        """A mistake in the block does not end the transaction that it may be in."""
        if self._depth == 0:
            yield
            return
        self._run("savepoint attempted")
        try:
            yield
        except UserError:
            self._run("rollback to savepoint attempted")
            raise
        self._run("release savepoint attempted")

    @contextmanager
    def _together(self) -> Iterator[None]:
        """One transaction: all of the block, or nothing. Within another it is part of that."""
        if self._depth == 0:
            self._run("begin")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                with contextlib.suppress(adbc.Error, TailraceError):  # the connection may be gone
                    self._run("rollback")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._run("commit")


def _parts(name: str) -> list[str]:
    """`schema."ta""ble"` → the schema as written, and the table's own name."""
    *schema, last = _PART.finditer(name)
    return [*(part[0] for part in schema), last[2] or last[1].replace('""', '"')]
