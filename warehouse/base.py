"""What every engine offers. Implementations: duckdb.py, postgres.py, spark.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa

from warehouse.dialect import Dialect


class Warehouse(Protocol):
    """An open connection. Relations are written `schema.name`, already quoted where they need it."""

    dialect: Dialect
    atomic: bool  # a statement is there as a whole or not at all, whoever dies meanwhile

    @property
    def version(self) -> str:
        """The engine and its version, as `duckdb 1.5.5`."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run one statement for its effect."""

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """A small result, whole, as dictionaries."""

    def stream(self, sql: str, batch_rows: int = 65_536) -> pa.RecordBatchReader:
        """A result of any size in constant memory; nothing else may run on this connection until it is read."""

    def load(self, table: str, data: pa.Table | pa.RecordBatchReader) -> int:
        """Insert Arrow rows into `table` by column name; the number of rows inserted."""

    def insert(self, table: str, query: str) -> int:
        """Insert a query's rows into `table` by column name; the number of rows inserted."""

    def remove(self, table: str, column: str, values: Collection[str]) -> None:
        """Take out of `table` the rows whose `column`, a text, is one of these."""

    def lend(self, name: str, data: pa.Table | pa.RecordBatchReader) -> AbstractContextManager[None]:
        """Make Arrow rows readable as the relation `name` for the block; a reader can be read once."""

    def columns(self, relation: str) -> dict[str, str]:
        """Column → SQL type, in order; empty when the relation is not there."""

    def relations(self, schema: str) -> list[str]:
        """The names of the tables and views of a schema, in order; none where there is no such schema."""

    def create_view(self, name: str, query: str, *, temporary: bool = False) -> None:
        """A view of the query, in the place of one that is there, whatever its columns; no reader finds it gone."""

    def create_table(self, name: str, made: str | Mapping[str, str]) -> None:
        """A table of a query's rows, or an empty one of columns (name → type), in the place of one that is there."""

    def gather(self, table: str) -> None:
        """Write a table that got a file a row as one, where an engine keeps such; nobody else writes meanwhile."""

    def create_temporary(self, name: str, query: str, parts: Mapping[str, str] | None = None) -> None:
        """A table of a query's rows that is this connection's own, in the place of one that is there.

        `parts`: queries by the names under which it reads them, as each does those before it. However often one is
        read, it is worked out once.
        """

    def drop_temporary(self, name: str, *, is_view: bool = False) -> None:
        """Drop a temporary table or view of this connection, and what reads it; nothing where there is none."""

    def replace_temporary(self, name: str, by: str) -> None:
        """Give one temporary table the name of another, which goes."""

    def alone(self) -> AbstractContextManager[None]:
        """For the block nobody else is in one on this warehouse: for what is looked at first and then made."""

    def steady(self) -> AbstractContextManager[None]:
        """For the block what is read is as it was at its beginning, whatever others write; it may be undone whole."""

    def prepare_functions(self) -> None:
        """Make what the dialect calls and the engine does not have, in the schema `tailrace`, which exists."""

    def scratch(self) -> str:
        """A schema to create relations in, at first empty: this connection's own, gone when it is closed or killed."""

    def empty(self, schema: str) -> None:
        """Drop a schema with all in it, where a connection keeps nothing (engine.Aside). Raises Refused elsewhere."""

    def attach(self, alias: str, path: Path) -> None:
        """Make another database file readable as the catalog `alias`, read-only. Raises as opening does."""

    def detach(self, alias: str) -> None:
        """Undo `attach`, whoever did it; nothing where it is undone."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
