"""Apache Spark 4.1 or newer behind the port, by Spark Connect: one session, ANSI SQL, UTC; tables are Parquet files.

Spark has no transactions, no rows that are deleted and no temporary tables, and two plain inserts into one table at
once lose rows without an error. So writers of one home take turns by a lock file, rows go by whole partitions, and a
session has a database of its own for what is temporary. How a statement is sent is in spark_session.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyspark.sql.connect.dataframe import DataFrame

from models.errors import TailraceError, UserError
from warehouse.lock import hold, is_held
from warehouse.names import parts
from warehouse.server_session import functions
from warehouse.spark_arrow import arrow_type, plain
from warehouse.spark_errors import Absent
from warehouse.spark_session import Session

FUNCTIONS = Path(__file__).with_name("spark_functions")
LOCKS = "spark"  # the folder of a home with the locks of its sessions
WAIT_SECONDS = 3600.0  # for the statement of another process of this home
_QUERIES = ("select", "with", "values", "describe", "show", "explain", "table", "from", "(")


class Spark(Session):
    """The port on a session of one server."""

    def __init__(
        self,
        url: str,
        *,
        home: Path,
        schemas: Mapping[str, str] | None = None,
        read_only: bool = False,
        own: Collection[str] = (),
        kept: ExitStack | None = None,
    ) -> None:
        """Connect, as a session does. `home`: the folder of its locks; `own`: real schemas that nobody else uses.

        `kept`: what is left when this is closed.
        """
        super().__init__(url, schemas=schemas)
        self.read_only, self.own = read_only, frozenset(own)
        self.home, self._locks, self._depth, self._kept = home, home / LOCKS, 0, kept or ExitStack()
        self._scratch = ""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._write(sql, params)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        self._refuse_writing(sql)
        return super().rows(sql, params)

    def load(self, table: str, data: pa.Table | pa.RecordBatchReader) -> int:
        kinds = self._known(table, data.schema.names)
        wanted = pa.schema([pa.field(name, arrow_type(kinds[name])) for name in data.schema.names])
        with self._viewed("incoming", data, wanted, table) as view:
            return self._inserted(table, kinds, data.schema.names, f"select * from {view}")

    def insert(self, table: str, query: str) -> int:
        given = list(self._described(self._written(query)))
        kinds = self._known(table, given)
        return self._inserted(table, kinds, given, query)

    def remove(self, table: str, column: str, values: Collection[str]) -> None:
        """As the port says. Of a table that is not partitioned by the column all rows are read and written again."""
        if not values:
            return
        quote, literal = self.dialect.quote, self.dialect.literal
        with self.alone():
            if self._partition(table) == column:
                named = [f"partition ({quote(column)} = {literal(value)})" for value in values]
                # first known, then dropped: so goes what a killed run wrote and could not make known any more
                self._write(f"alter table {table} add if not exists {' '.join(named)}")
                self._write(f"alter table {table} drop if exists {', '.join(named)}")
                return
            listed = ", ".join(map(literal, values))
            kept = f"select * from {table} where {quote(column)} is null or {quote(column)} not in ({listed})"
            with self._asked(self._written(kept)) as frame:
                rows = frame.toArrow()
            if len(rows) < self.rows(f"select count(*) as n from {table}")[0]["n"]:
                with self._viewed("remaining", rows, rows.schema, table) as view:
                    self._write(f"insert overwrite {table} select * from {view}")

    @contextmanager
    def lend(self, name: str, data: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        wanted = pa.schema([pa.field(field.name, plain(field.type)) for field in data.schema])
        self._lent(self.dialect.quote(name), data, wanted, name)
        try:
            yield
        finally:
            self._spark.catalog.dropTempView(name)

    def columns(self, relation: str) -> dict[str, str]:
        try:
            return self._described(self._written(f"select * from {relation} as described"))
        except Absent:
            return {}

    def relations(self, schema: str) -> list[str]:
        try:
            found = self.rows(f"show tables in {self.dialect.quote(self._real(schema))}")
        except Absent:
            return []
        return sorted(str(row["tableName"]) for row in found if not row["isTemporary"])

    def create_view(self, name: str, query: str, *, temporary: bool = False) -> None:
        if temporary:
            self._run(f"create or replace temporary view {name} as {query}")
        else:
            self._write(f"create or replace view {name} as {query}")

    def create_table(self, name: str, made: str | Mapping[str, str]) -> None:
        """As the port says. Between two instants there is none: who reads it then is told so."""
        self._replace(name, made)

    def create_temporary(self, name: str, query: str) -> None:
        """A table in the session's own database; readers of the published copy see it through a view."""
        schema = self.scratch()
        self._run(f"drop view if exists {name}") if self.read_only else None
        self._replace(f"{schema}.{name}", query)
        if self.read_only:
            self._run(f"create or replace temporary view {name} as select * from {schema}.{name}")

    def drop_temporary(self, name: str, *, is_view: bool = False) -> None:
        if is_view:
            self._spark.catalog.dropTempView(name)
        else:
            self._run(f"drop table if exists {self.scratch()}.{name}")

    def replace_temporary(self, name: str, by: str) -> None:
        schema = self.scratch()
        self._run(f"drop table {schema}.{name}")
        self._run(f"alter table {schema}.{by} rename to {schema}.{name}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As the port says, of the processes of this home. What the block did until it failed stays."""
        if self._depth:
            yield
            return
        with hold(self._locks / "alone.lock", wait_seconds=WAIT_SECONDS, what="writing to the warehouse"):
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def prepare_functions(self) -> None:
        digest, statements = functions(FUNCTIONS)
        made = f"made_by_{digest}"
        if self.rows(f"show user functions in {self.dialect.quote(self._real('tailrace'))} like '{made}'"):
            return
        with self.alone():
            for statement in statements:
                self._write(statement)
            self._write(f"create or replace function tailrace.{made}() returns boolean return true")

    def has(self, schema: str) -> bool:
        """Whether there is a database of this real name."""
        return bool(self.rows(f"show schemas like '{schema}'"))

    def use(self, schema: str) -> None:
        """Names without a schema are in this database."""
        self._run(f"use {schema}")

    def scratch(self) -> str:
        """A database; the next session of this home drops what a killed one left."""
        if not self._scratch:
            name = f"{self._scratches}{uuid4().hex[:12]}"
            self._forget_scratches()
            self._kept.enter_context(hold(self._locks / f"{name}.lock", what=name))
            self._run(f"create schema {name}")
            self._scratch = name
            if not self.read_only:
                self._run(f"use {name}")
        return self._scratch

    @property
    def _scratches(self) -> str:
        """How the names of this home's databases for what is temporary begin."""
        of_home = sha256(str(self._locks.resolve()).encode()).hexdigest()[:8]
        return f"{self._real('tailrace')}_scratch_{of_home}_"

    def _forget_scratches(self) -> None:
        """Drop the databases of sessions whose process is gone."""
        for row in self.rows(f"show schemas like '{self._scratches}*'"):
            name = str(row["namespace"])
            if not is_held(lock := self._locks / f"{name}.lock"):
                self._run(f"drop schema if exists {name} cascade")
                lock.unlink(missing_ok=True)

    def close(self) -> None:
        if self._scratch:
            try:
                self._run(f"drop schema if exists {self._scratch} cascade")
                (self._locks / f"{self._scratch}.lock").unlink(missing_ok=True)
            except TailraceError:
                pass  # the server is gone: left to the next session
            self._scratch = ""
        self._kept.close()
        super().close()

    def _write(self, sql: str, params: Sequence[Any] = ()) -> DataFrame:
        self._refuse_writing(sql)
        with self.alone():
            return self._run(sql, params)

    def _refuse_writing(self, sql: str) -> None:
        if self.read_only and not sql.lstrip().lower().startswith(_QUERIES):
            raise UserError("this connection is read-only: it reads the published copy")

    @contextmanager
    def _viewed(self, name: str, data: pa.Table | pa.RecordBatchReader, wanted: pa.Schema, table: str) -> Iterator[str]:
        view = f"{name}_{uuid4().hex[:12]}"
        self._lent(view, data, wanted, table)
        try:
            yield view
        finally:
            self._spark.catalog.dropTempView(view)

    def _inserted(self, table: str, kinds: Mapping[str, str], given: Collection[str], query: str) -> int:
        """Rows by name, in the table's order and types, a file a value of the column it is partitioned by."""
        quote, kind = self.dialect.quote, self.dialect.kind
        cast = ", ".join(
            f"cast({f'inserted.{quote(name)}' if name in given else 'null'} as {kind(each)}) as {quote(name)}"
            for name, each in kinds.items()
        )
        column = self._partition(table)
        hint = f"/*+ rebalance({quote(column)}) */ " if column else ""
        self._refuse_writing("insert")
        with self.alone():
            return self._appended(table, self._written(f"select {hint}{cast} from ({query}\n) as inserted"))

    def _partition(self, table: str) -> str | None:
        """The column that a table is partitioned by."""
        described = self.rows(f"describe table {table}")
        names = [str(row["col_name"]) for row in described]
        return names[names.index("# col_name") + 1] if "# col_name" in names else None

    def _replace(self, name: str, made: str | Mapping[str, str]) -> None:
        *schema, last = parts(name)
        quote = self.dialect.quote
        fresh = ".".join([*schema, quote(last + "__fresh")])
        if isinstance(made, str):
            body = f"using parquet as {made}"
        else:
            columns = ", ".join(f"{quote(column)} {self.dialect.kind(each)}" for column, each in made.items())
            body = f"({columns}) using parquet"
        with self.alone():
            self._run(f"drop table if exists {fresh}")
            self._run(f"create table {fresh} {body}")
            self._run(f"drop table if exists {name}")
            self._run(f"alter table {fresh} rename to {name}")
