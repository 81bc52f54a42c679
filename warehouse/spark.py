"""Apache Spark 4.1 or newer behind the port, by Spark Connect: one session, ANSI SQL, UTC; tables are Parquet files.

Spark has no transactions, no rows that are deleted and no temporary tables, and two plain inserts into one table at
once lose rows without an error. So writers of one home take turns by a lock file, and rows go by whole partitions.
What a session knows of tables and has for itself is in spark_tables.py, how a statement is sent in spark_session.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from models.errors import UserError
from warehouse.lock import hold
from warehouse.names import Written, parts
from warehouse.server_session import functions
from warehouse.spark_arrow import arrow_type, plain
from warehouse.spark_dialect import TEXT
from warehouse.spark_errors import Absent, shown, translating
from warehouse.spark_session import united
from warehouse.spark_tables import Tables

FUNCTIONS = Path(__file__).with_name("spark_functions")
LOCKS = "spark"  # the folder of a home with the locks of its sessions
WAIT_SECONDS = 3600.0  # for the statement of another process of this home
_IF_ABSENT = re.compile(r"create (schema|table) if not exists (\S+)")
_MADE: set[tuple[str, str]] = set()  # what this process saw to be there: to ask again costs a tenth of a second each
_DROPPED = re.compile(r"drop \w+ (?:if exists )?(\S+)")
_ROWS_ONLY = ("insert ", "create or replace temporary view ", "use ")  # these change no table
_QUERIES = ("select", "with", "values", "describe", "show", "explain", "table", "(")
_TEXTS = re.compile(rf"{TEXT}|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)  # texts, quoted names and remarks
_WITH_WRITES = re.compile(r"with\b.*\b(?:insert|update|delete|merge)\b", re.DOTALL)


def _bare(sql: str) -> str:
    """Without the quotes of names."""
    return re.sub(r'["`]', "", sql)


@contextmanager
def _remembering() -> Iterator[None]:
    """Where something is not there that should be, another process dropped it: nothing is taken for granted then."""
    try:
        yield
    except Absent:
        _MADE.clear()
        raise


class Spark(Tables):
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
        super().__init__(url, locks=home / LOCKS, schemas=schemas, kept=kept)
        self.read_only, self.own = read_only, frozenset(own)
        self._depth = 0
        self.server = shown(url)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        asked = _IF_ABSENT.match(sql)
        if not asked:
            self._write(sql, params)
            return
        made = self.server, self._written(sql, params).sql
        if made not in _MADE:
            with self.alone():
                if asked[1] == "table":
                    self._put_in_place(asked[2])
                self._write(sql, params)
            _MADE.add(made)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        self._refuse_writing(sql)
        with _remembering():
            return super().rows(sql, params)

    def stream(self, sql: str, batch_rows: int = 65_536) -> pa.RecordBatchReader:
        self._refuse_writing(sql)
        return super().stream(sql, batch_rows)

    def load(self, table: str, data: pa.Table | pa.RecordBatchReader) -> int:
        """As the port says, in several statements: what one of them inserts the server has in its memory."""
        kinds, given = self._known(table, data.schema.names), data.schema.names
        wanted = pa.schema([pa.field(name, arrow_type(kinds[name])) for name in given])
        parts = self._sent(data, wanted, table)
        return sum(self._inserted(table, kinds, given, part, None) for part in parts)

    def insert(self, table: str, query: str) -> int:
        written = self._written(query)
        given = list(self._described(written))
        return self._inserted(table, self._known(table, given), given, self._frame(written), written)

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
            among = f"{quote(column)} in ({', '.join(map(literal, values))})"
            if self.rows(f"select 1 as found from {table} where {among} limit 1"):
                kept = self._written(f"select * from {table} where {quote(column)} is null or not {among}")
                rest = self._aside(self._frame(kept), kept)  # aside, for it is read from what is written over
                with translating(kept):
                    rest.write.insertInto(self._written(table).sql, overwrite=True)

    @contextmanager
    def lend(self, name: str, data: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        wanted = pa.schema([pa.field(field.name, plain(field.type)) for field in data.schema])
        self._shown(self.dialect.quote(name), united(self._sent(data, wanted, name)))
        try:
            yield
        finally:
            self._unshown(name)

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
        """As the port says. Between two instants there is none: who reads it then is told so.

        Who is killed there leaves the new one; the next that creates the table if it is not there finds it.
        """
        self._replace(name, made)

    def gather(self, table: str) -> None:
        with self.alone():
            self._put_in_place(table)  # what is in its place already may be all that a killed run left of it
            self._replace(table, f"select /*+ coalesce(1) */ * from {table}")

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

    def steady(self) -> AbstractContextManager[None]:
        """Nobody else writes, and nothing is undone."""
        return nullcontext()

    def prepare_functions(self) -> None:
        digest, statements = functions(FUNCTIONS)
        note = "create or replace function tailrace.functions_made_by() returns string return "
        if self._functions_made_by() == digest:
            return
        with self.alone():
            self._write(f"{note}''")
            for statement in statements:
                self._write(statement)
            self._write(f"{note}'{digest}'")

    def _functions_made_by(self) -> str | None:
        """The digest of the functions that are there; nothing while they are being made, or were never."""
        try:
            return str(self.rows("select tailrace.functions_made_by() as digest")[0]["digest"])
        except UserError:
            return None

    def has(self, schema: str) -> bool:
        """Whether there is a database of this real name."""
        return bool(self.rows(f"show schemas like '{schema}'"))

    def use(self, schema: str) -> None:
        """Names without a schema are in this database."""
        self._run(f"use {schema}")

    def _write(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._refuse_writing(sql)
        with self.alone():
            self._run(sql, params)

    def _run(self, sql: str, params: Sequence[Any] = ()) -> None:
        with _remembering():
            super()._run(sql, params)
        if not sql.lstrip().lower().startswith(_ROWS_ONLY):
            self._shapes.clear()
        if dropped := _DROPPED.match(self._written(sql).sql):
            name = _bare(dropped[1])
            _MADE.difference_update([made for made in _MADE if name in _bare(made[1])])

    def _refuse_writing(self, sql: str) -> None:
        if not self.read_only:
            return
        bare = _TEXTS.sub("", sql).lower().strip()
        if not bare.startswith(_QUERIES) or _WITH_WRITES.match(bare):
            raise UserError("this connection is read-only: it reads the published copy")

    def _inserted(
        self, table: str, kinds: Mapping[str, str], given: Collection[str], frame: DataFrame, written: Written | None
    ) -> int:
        """Rows by name, in the table's order and types, a file a value of the column it is partitioned by."""
        quote, kind = self.dialect.quote, self.dialect.kind
        listed = [
            f"cast({quote(name) if name in given else 'null'} as {kind(each)}) as {quote(name)}"
            for name, each in kinds.items()
        ]
        frame = frame.selectExpr(*listed)
        if place := self._temporary.get(table):
            return self._appended(place, frame, written)
        self._refuse_writing("insert")
        if column := self._partition(table):
            frame = frame.hint("rebalance", column)
        with self.alone():
            return self._appended(table, frame, written)

    def _fresh(self, name: str) -> str:
        """What a table is called until it takes the place of `name`."""
        *schema, last = parts(name)
        return ".".join([*schema, self.dialect.quote(last + "__fresh")])

    def _put_in_place(self, name: str) -> None:
        """Where a run or the server was killed between the steps of replacing this table: what was to be done yet.

        A rename moves the folder before the catalogue says so. Then the rows are where the table is to be already.
        """
        if self.columns(name) or not (columns := self.columns(fresh := self._fresh(name))):
            return
        told = {str(row["col_name"]): str(row["data_type"]) for row in self.rows(f"describe table extended {fresh}")}
        if self._is_folder(place := told["Location"]):
            self._run(f"alter table {fresh} rename to {name}")
        else:
            literal = self.dialect.literal(place.removesuffix("__fresh"))
            self._run(f"create table {name} {self._body(columns)} location {literal}")
            self._run(f"drop table {fresh}")

    def _is_folder(self, place: str) -> bool:
        try:
            self.rows(f"select 1 as found from parquet.`{place}` limit 1")
        except Absent:
            return False
        except UserError:  # one without a file
            return True
        return True

    def _replace(self, name: str, made: str | Mapping[str, str]) -> None:
        fresh = self._fresh(name)
        with self.alone():
            self._run(f"drop table if exists {fresh}")
            self._run(f"create table {fresh} {self._body(made)}")
            self._run(f"drop table if exists {name}")
            self._run(f"alter table {fresh} rename to {name}")

    def _body(self, made: str | Mapping[str, str]) -> str:
        if isinstance(made, str):
            return f"using parquet as {made}"
        quote, kind = self.dialect.quote, self.dialect.kind
        return f"({', '.join(f'{quote(column)} {kind(each)}' for column, each in made.items())}) using parquet"
