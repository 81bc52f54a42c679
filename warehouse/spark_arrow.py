"""Types: Spark's names, the port's words, Arrow's; and the shaping of rows from one to the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from warehouse import arrow_types
from warehouse.arrow_types import fitted

CHUNK = 32 << 20  # bytes of rows that are sent at a time, in one message of which a server takes 128 MB

_ARROW = {**arrow_types.ARROW, "tinyint": pa.int8()}
_WORDS = {
    "string": "varchar",
    "void": "varchar",
    "int": "integer",
    "timestamp": "timestamp with time zone",
    "timestamp_ntz": "timestamp",
    "binary": "blob",
}
_ARRAY = re.compile(r"array<(.+)>")


def kind_of(name: str) -> str:
    """The port's word for a type as Spark's `simpleString` names it."""
    if found := _ARRAY.fullmatch(name):
        return kind_of(found[1]) + "[]"
    return _WORDS.get(name, name)


def arrow_type(kind: str) -> pa.DataType:
    """What a column of this type (the port's word) is sent as."""
    return arrow_types.arrow_type(kind, _ARROW, "Spark")


def plain(kind: pa.DataType) -> pa.DataType:
    """The type that Arrow rows of another are lent as."""
    return arrow_types.plain(kind, arrow_types.PLAIN)


def shaped(data: pa.Table | pa.RecordBatchReader, wanted: pa.Schema, table: str) -> Iterator[pa.Table]:
    """Rows in the types that are sent, in parts of some size; at least one. Raises UserError that names the column."""
    reader = data.to_reader() if isinstance(data, pa.Table) else data
    waiting: list[pa.RecordBatch] = []
    size, is_first = 0, True
    for batch in reader:
        each = max(batch.num_rows * CHUNK // max(batch.nbytes, 1), 1)  # rows: who gives them may give all at once
        for first in range(0, batch.num_rows, each):
            waiting.append(_cast_all(batch.slice(first, each), wanted, table))
            size += waiting[-1].nbytes
            if size >= CHUNK:
                yield pa.Table.from_batches(waiting, wanted)
                waiting, size, is_first = [], 0, False
    if waiting or is_first:
        yield pa.Table.from_batches(waiting, wanted)


def _cast_all(batch: pa.RecordBatch, wanted: pa.Schema, table: str) -> pa.RecordBatch:
    columns = [fitted(column, field, table) for field, column in zip(wanted, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Python values as DuckDB gives them: a sum of whole numbers is whole."""
    columns = [_values(table.column(place)) for place in range(table.num_columns)]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    found = list(column.to_pylist())
    if pa.types.is_decimal(column.type) and column.type.scale == 0:
        return [None if value is None else int(value) for value in found]
    if pa.types.is_list(column.type):
        return [None if value is None else list(value) for value in found]
    return [_plain_value(value) for value in found]


def _plain_value(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
