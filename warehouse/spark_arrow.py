"""Types: Spark's names, the port's words, Arrow's; and the shaping of rows from one to the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from models.errors import UserError

CHUNK = (
    48 << 20
)  # bytes of Arrow rows that are sent at a time; the server keeps one that is larger than 64 MB in a file

_ARROW: dict[str, pa.DataType] = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "tinyint": pa.int8(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "blob": pa.binary(),
}
_WORDS = {
    "string": "varchar",
    "void": "varchar",
    "int": "integer",
    "timestamp": "timestamp with time zone",
    "timestamp_ntz": "timestamp",
    "binary": "blob",
}
_PLAIN = {  # where Spark has no such type
    **dict.fromkeys((pa.null(), pa.large_string(), pa.string_view()), pa.string()),
    pa.large_binary(): pa.binary(),
    pa.date64(): pa.date32(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_ARRAY = re.compile(r"array<(.+)>")


def kind_of(name: str) -> str:
    """The port's word for a type as Spark's `simpleString` names it."""
    if found := _ARRAY.fullmatch(name):
        return kind_of(found[1]) + "[]"
    return _WORDS.get(name, name)


def arrow_type(kind: str) -> pa.DataType:
    """What a column of this type (the port's word) is sent as."""
    if kind.endswith("[]"):
        return pa.list_(arrow_type(kind.removesuffix("[]")))
    if found := _DECIMAL.fullmatch(kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    if kind not in _ARROW:
        message = f"rows of type {kind} cannot be loaded into Spark; keep them as varchar"
        raise UserError(message)
    return _ARROW[kind]


def plain(kind: pa.DataType) -> pa.DataType:
    """The type that Arrow rows of another are lent as."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    return _PLAIN.get(kind, kind)


def shaped(data: pa.Table | pa.RecordBatchReader, wanted: pa.Schema, table: str) -> Iterator[pa.Table]:
    """Rows in the types that are sent, in parts of some size; at least one. Raises UserError that names the column."""
    reader = data.to_reader() if isinstance(data, pa.Table) else data
    waiting: list[pa.RecordBatch] = []
    size, is_first = 0, True
    for batch in reader:
        waiting.append(_cast_all(batch, wanted, table))
        size += waiting[-1].nbytes
        if size >= CHUNK:
            yield pa.Table.from_batches(waiting, wanted)
            waiting, size, is_first = [], 0, False
    if waiting or is_first:
        yield pa.Table.from_batches(waiting, wanted)


def _cast_all(batch: pa.RecordBatch, wanted: pa.Schema, table: str) -> pa.RecordBatch:
    columns = []
    for field, column in zip(wanted, batch.columns, strict=True):
        try:
            columns.append(_cast(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            message = f"{table}.{field.name}: {column.type} is no {field.type}: {error}"
            raise UserError(message) from error
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_decimal128(kind):  # Arrow asks for room for any value of the old type
        column = column.cast(pa.decimal128(38, kind.scale))
    return column.cast(kind)


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
