"""A connection to PostgreSQL, and how statements are sent on it: names written, run, described, streamed, copied.

What asks for them is the port, in postgres.py; what types become is in postgres_arrow.py, what errors in
postgres_errors.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from models.errors import TailraceError, UserError, WarehouseVersion
from models.postgres_server import refusal, shown
from warehouse.dialect import Dialect
from warehouse.names import Names, Written
from warehouse.postgres_arrow import decoded, shaped, streamed_type, values
from warehouse.postgres_dialect import PostgresDialect
from warehouse.postgres_errors import cause, translated, translating
from warehouse.server_session import ServerSession

OLDEST = 150000  # as the server counts its versions

_COPY = "adbc.postgresql.use_copy"
_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "client_encoding": "UTF8",
    # so that a machine that lost its power holds no lock for hours, and a statement of who is gone goes on for a second
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "20000",
    "client_connection_check_interval": "1000",
    "jit": "off",  # the statements here are wide: to compile their expressions takes longer than to run them
    # whole tables are joined by hashes here, of which the server guesses that they pair as a product: it sorts both
    "enable_mergejoin": "off",
}
# In kilobytes, at least: `not in` a query whose rows do not fit reads them again for every row of the other side
_ROOM = "cast(greatest(pg_size_bytes(current_setting('work_mem')) / 1024, 65536) as text)"


class Session(ServerSession):
    """One connection to one database. What `schemas` does not name is read where it says."""

    engine, reads = "PostgreSQL", "schemas of its own database"
    dialect: Dialect = PostgresDialect()
    atomic = True

    def __init__(
        self, url: str, *, schemas: Mapping[str, str] | None = None, read_only: bool = False, name: str = "tailrace"
    ) -> None:
        """Connect; the server's own views call the session `name`.

        Raises NeedsPerson, UserError or WarehouseVersion, each saying what to do, none the password.
        """
        self.names = Names(schemas or {})
        self._depth = 0
        try:
            self._connection = adbc.connect(url, autocommit=True)
        except adbc.Error as error:
            raise refusal(str(error), shown(url)) from None  # the driver's own text may quote the URL
        server = self.rows(
            "select current_setting('server_version') as version, "
            f"current_setting('server_version_num') as number, {self._chosen(name, read_only=read_only)}"
        )[0]
        self._version = str(server["version"]).split()[0]
        if int(server["number"]) < OLDEST:
            self.close()
            message = f"{shown(url)}: PostgreSQL {self._version}; Tailrace needs 15 or newer"
            raise WarehouseVersion(message)

    def _chosen(self, name: str, *, read_only: bool) -> str:
        """What sets the session's settings, as columns of a query."""
        settings = {
            **_SETTINGS,
            "application_name": name,
            "search_path": f"{self.dialect.quote(self._real('main'))}, public",
            "default_transaction_read_only": "on" if read_only else "off",
        }
        literal = self.dialect.literal
        chosen = ", ".join(f"set_config({literal(setting)}, {literal(to)}, false)" for setting, to in settings.items())
        return f"{chosen}, set_config('work_mem', {_ROOM}, false)"

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

    def close(self) -> None:
        self._connection.close()

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
                raise (mistakes[0] if mistakes else translated(error, None)) from cause(error)

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
    def _together(self, how: str = "") -> Iterator[None]:
        """One transaction: all of the block, or nothing. Within another it is part of that."""
        if self._depth == 0:
            self._run(f"begin {how}")
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._run("select 1")  # where a mistake was caught inside, `commit` would roll back and say nothing
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                with contextlib.suppress(adbc.Error, TailraceError):  # the connection may be gone
                    self._run("rollback")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._run("commit")


def lock_number(name: str) -> str:
    """The number of the advisory lock of that name, as SQL."""
    return f"hashtextextended({PostgresDialect().literal(name)}, 0)"
