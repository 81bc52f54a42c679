"""DuckDB behind the port: one file, one writer at a time, UTC."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import duckdb
import pyarrow as pa

from models.errors import NeedsPerson, Refused, StorageFull, TailraceError, UserError, WarehouseHeld, WarehouseVersion
from warehouse.dialect import Dialect, DuckDBDialect, removal

MEMORY = Path(":memory:")
UNBORN = (0, 4096, 8192)  # sizes before all three header blocks of a new file are written


class DuckDB:
    """An open DuckDB file. Writers hold `warehouse.lock` first (warehouse/lock.py); readers open the published copy."""

    dialect: Dialect = DuckDBDialect()
    atomic = True

    def __init__(self, path: Path, *, read_only: bool = False, memory_limit: str | None = None) -> None:
        """Open `path`. Raises WarehouseHeld, WarehouseVersion or StorageFull, each saying what to do."""
        self.path, self._scratch = path, ""
        if not read_only:
            _forget_unborn(path)
        try:
            self._connection = duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            raise translated(error, path) from error
        self._connection.execute("set timezone = 'UTC'")
        if memory_limit:  # not in the connection's configuration: all who open one file must name the same
            self._connection.execute(f"set memory_limit = {self.dialect.literal(memory_limit)}")

    @property
    def version(self) -> str:
        return f"duckdb {duckdb.__version__}"

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._run(sql, params)

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        result = self._run(sql, params)
        names = [column[0] for column in result.description or ()]
        try:
            found = result.fetchall()
        except duckdb.Error as error:
            raise translated(error, self.path) from error
        return [dict(zip(names, row, strict=True)) for row in found]

    def stream(self, sql: str, batch_rows: int = 65_536) -> pa.RecordBatchReader:
        return self._run(sql, ()).to_arrow_reader(batch_rows)

    def load(self, table: str, data: pa.Table | pa.RecordBatchReader) -> int:
        with self.lend("incoming", data):
            return self.insert(table, "select * from incoming")

    def insert(self, table: str, query: str) -> int:
        inserted = self._run(f"insert into {table} by name {query}", ()).fetchone()
        return int(inserted[0]) if inserted else 0

    def remove(self, table: str, column: str, values: Collection[str]) -> None:
        self._run(removal(self.dialect, table, column, values), ())

    @contextmanager
    def lend(self, name: str, data: pa.Table | pa.RecordBatchReader) -> Iterator[None]:
        self._connection.register(name, data)
        try:
            yield
        finally:
            self._connection.unregister(name)

    def columns(self, relation: str) -> dict[str, str]:
        try:
            described = self._connection.execute(f"describe {relation}").fetchall()
        except duckdb.CatalogException:
            return {}
        return {str(row[0]): str(row[1]).lower() for row in described}

    def relations(self, schema: str) -> list[str]:
        found = self.rows(
            "select table_name as name from information_schema.tables "
            "where table_catalog = current_database() and table_schema = ? order by table_name",
            [schema],
        )
        return [str(row["name"]) for row in found]

    def create_view(self, name: str, query: str, *, temporary: bool = False) -> None:
        self._run(f"create or replace {'temporary ' if temporary else ''}view {name} as {query}", ())

    def create_table(self, name: str, made: str | Mapping[str, str]) -> None:
        if isinstance(made, str):
            self._run(f"create or replace table {name} as {made}", ())
        else:
            columns = ", ".join(f"{self.dialect.quote(column)} {kind}" for column, kind in made.items())
            self._run(f"create or replace table {name} ({columns})", ())

    def gather(self, table: str) -> None:
        """Nothing: a row has no file of its own."""

    def create_temporary(self, name: str, query: str, parts: Mapping[str, str] | None = None) -> None:
        """As the port says, in one statement: what is read more than once is kept."""
        if parts:
            listed = ", ".join(f"{part} as (\n{made}\n)" for part, made in parts.items())
            query = f"with {listed} select * from (\n{query}\n) as made"
        self._run(f"create or replace temporary table {name} as {query}", ())

    def drop_temporary(self, name: str, *, is_view: bool = False) -> None:
        self._run(f"drop {'view' if is_view else 'table'} if exists {name} cascade", ())

    def replace_temporary(self, name: str, by: str) -> None:
        self._run(f"drop table {name} cascade", ())
        self._run(f"alter table {by} rename to {name}", ())

    def alone(self) -> AbstractContextManager[None]:
        """Whoever has the file open to write is alone."""
        return nullcontext()

    def steady(self) -> AbstractContextManager[None]:
        """Nobody else writes, and nothing is undone."""
        return nullcontext()

    def prepare_functions(self) -> None:
        """DuckDB has all of them."""

    def scratch(self) -> str:
        """In memory, beside whatever file is open. Others of this process may have that open, too."""
        if not self._scratch:
            self._scratch = f"scratch_{uuid4().hex[:12]}"
            self._run(f"attach ':memory:' as {self._scratch}", ())
        return f"{self._scratch}.main"

    def empty(self, schema: str) -> None:
        if self.path != MEMORY:
            message = f"{self.path}: the schema {schema} is not dropped: the file is kept"
            raise Refused(message)
        self._run(f"drop schema if exists {schema} cascade", ())

    def attach(self, alias: str, path: Path) -> None:
        file = self.dialect.literal(str(path))
        try:
            self._connection.execute(f"attach if not exists {file} as {self.dialect.quote(alias)} (read_only)")
        except duckdb.Error as error:
            raise translated(error, path) from error

    def detach(self, alias: str) -> None:
        self._run(f"detach database if exists {self.dialect.quote(alias)}", ())

    def close(self) -> None:
        if self._scratch:  # the file may stay open in this process: a thread of dbt's has yet to close its connection
            with contextlib.suppress(duckdb.Error):
                self._connection.execute(f"detach database if exists {self._scratch}")
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, sql: str, params: Sequence[Any]) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql, list(params)) if params else self._connection.execute(sql)
        except duckdb.Error as error:
            raise translated(error, self.path) from error


def _forget_unborn(path: Path) -> None:
    """Remove a file whose creation was cut short: it holds nothing, and the engine would refuse it for ever."""
    if path.is_file() and path.stat().st_size in UNBORN:
        path.unlink()


def translated(error: duckdb.Error, path: Path) -> TailraceError | duckdb.Error:
    """The engine's error as ours where a person can act on it; unchanged where it is a bug of ours."""
    text = str(error)
    for signs, explained in _EXPLAINED.items():
        if any(sign in text for sign in signs):
            return explained(path, text)
    if isinstance(error, duckdb.ProgrammingError | duckdb.DataError | duckdb.NotSupportedError):
        return UserError(text)
    return error


def _held(path: Path, text: str) -> TailraceError:
    holder = re.search(r"PID (\d+)", text)
    who = f"process {holder[1]}" if holder else "another process"
    return WarehouseHeld(f"{path}: {who} has it open; wait for it, or end it if it hangs")


def _other_version(path: Path, text: str) -> TailraceError:
    age = "a newer" if "newer version of DuckDB.\n" in text else "a much older"
    return WarehouseVersion(
        f"{path}: written by {age} DuckDB, which {duckdb.__version__} cannot read; use the version that wrote it "
        f"(requirements.lock says which one belongs to a checkout). {text.splitlines()[0]}"
    )


def _full(path: Path, _text: str) -> TailraceError:
    return StorageFull(f"{path}: no space left on the device; free some and run the command again, nothing is lost")


def _damaged(path: Path, text: str) -> TailraceError:
    first = text.splitlines()[0]
    return NeedsPerson(f"{path}: damaged, or no database file; put a good copy in its place. {first}")


def _memory(path: Path, text: str) -> TailraceError:
    first = text.splitlines()[0]
    return NeedsPerson(f"{path}: not enough memory for this; give the machine more or close other work. {first}")


_EXPLAINED: dict[tuple[str, ...], Callable[[Path, str], TailraceError]] = {
    ("Could not set lock", "Conflicting lock"): _held,
    ("database file with version number",): _other_version,
    ("No space left", "out of disk", "max_temp_directory_size"): _full,
    ("Corrupt database file", "not a valid DuckDB database", "Could not read enough bytes", "Is a directory"): _damaged,
    ("Out of Memory",): _memory,
}
