"""What the ports of servers have in common: names written as they are there, streams, what is refused in words.

How a statement is sent is in postgres_session.py and spark_session.py.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import pyarrow as pa

from models.errors import Refused, UserError
from warehouse.dialect import Dialect
from warehouse.names import Names, Written


class ServerSession(ABC):
    """A connection to one server. `own`: the real schemas that nobody but this connection has anything in."""

    engine: str  # as people call it
    reads: str  # where all that it can read is
    dialect: Dialect
    names: Names
    own: frozenset[str] = frozenset()

    @abstractmethod
    def execute(self, sql: str, params: Sequence[Any] = ()) -> None: ...

    @abstractmethod
    def columns(self, relation: str) -> dict[str, str]: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _streamed(self, written: Written, batch_rows: int) -> Iterator[Any]:
        """The schema, then batches of it."""

    def stream(self, sql: str, batch_rows: int = 65_536) -> pa.RecordBatchReader:
        """As the port says. Raises UserError for a type that Arrow has no name for."""
        batches = self._streamed(self._written(sql), batch_rows)
        schema = next(batches)
        return pa.RecordBatchReader.from_batches(schema, batches)

    def empty(self, schema: str) -> None:
        real = self._real(schema)
        if real not in self.own:
            message = f"the schema {real} is not dropped: it is not this connection's own"
            raise Refused(message)
        self.execute(f"drop schema if exists {self.dialect.quote(real)} cascade")

    def attach(self, alias: str, path: Path) -> NoReturn:
        message = (
            f"{path}: {self.engine} cannot read this database file as {alias}; it reads {self.reads}: load the tables "
            "into one, and name it in sources.yml"
        )
        raise UserError(message)

    def detach(self, alias: str) -> None:  # noqa: B027 - nothing is ever attached
        """As the port says."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _real(self, schema: str) -> str:
        """What a logical schema is called there; any other is itself."""
        return self.names.schemas.get(schema, schema)

    def _written(self, sql: str, params: Sequence[Any] = ()) -> Written:
        return self.names.write(sql, [self.dialect.literal(value) for value in params] if params else None)

    def _known(self, table: str, given: Collection[str]) -> Mapping[str, str]:
        """The columns of a table that is to take these. Raises UserError where it, or one of them, is not there."""
        kinds = self.columns(table)
        if not kinds:
            message = f"there is no table {table}"
            raise UserError(message)
        unknown = [name for name in given if name not in kinds]
        if unknown:
            message = f"{table} has no column {', '.join(unknown)}; there are: {', '.join(kinds)}"
            raise UserError(message)
        return kinds


def functions(folder: Path) -> tuple[str, list[str]]:
    """What makes the functions that the dialect calls and the engine lacks: a digest of all, and the statements."""
    files = [path.read_text() for path in sorted(folder.glob("*.sql"))]
    made = [part for text in files for part in re.split(r"\n\n(?=create or replace )", text)[1:]]
    return sha256("".join(files).encode()).hexdigest()[:16], [part.rstrip().removesuffix(";") for part in made]
