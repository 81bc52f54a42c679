"""Rows on their way to a server: the port's words for types as Arrow's, and columns brought into them.

What an engine has besides, or lacks, is in its own module (postgres_arrow.py, spark_arrow.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from models.errors import UserError

DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
ARROW: Mapping[str, pa.DataType] = {
    "varchar": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "blob": pa.binary(),
}
PLAIN: Mapping[pa.DataType, pa.DataType] = {  # where no server has such a type
    **dict.fromkeys((pa.null(), pa.large_string(), pa.string_view()), pa.string()),
    pa.large_binary(): pa.binary(),
    pa.date64(): pa.date32(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}


def arrow_type(kind: str, words: Mapping[str, pa.DataType], engine: str) -> pa.DataType:
    """What a column of this type (the port's word) is sent as. Raises UserError where the engine cannot be sent it."""
    if kind.endswith("[]"):
        return pa.list_(arrow_type(kind.removesuffix("[]"), words, engine))
    if found := DECIMAL.fullmatch(kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    if kind not in words:
        message = f"rows of type {kind} cannot be loaded into {engine}; keep them as varchar"
        raise UserError(message)
    return words[kind]


def plain(kind: pa.DataType, others: Mapping[pa.DataType, pa.DataType]) -> pa.DataType:
    """The type that rows of another are sent as to a table that is made for them."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type, others)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain(kind.value_type, others))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    return others.get(kind, kind)


def cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_decimal128(kind):  # Arrow asks for room for any value of the old type
        column = column.cast(pa.decimal128(38, kind.scale))
    return column.cast(kind)


def fitted(column: pa.Array, field: pa.Field, table: str) -> pa.Array:
    """The column as the field of the table. Raises UserError that names it."""
    try:
        return cast(column, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # which quote values
        message = f"{table}.{field.name}: not all values of the type {column.type} are {field.type}"
        raise UserError(message) from None
