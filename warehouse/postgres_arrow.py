"""Types: PostgreSQL's names, the port's words, Arrow's; and the shaping of rows from one to the other.

What asks a server is in postgres.py; how SQL spells a type is in postgres_dialect.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models.errors import UserError
from warehouse.postgres_dialect import NUL, PostgresDialect

_ARROW: dict[str, pa.DataType] = {
    "varchar": pa.string(),
    "json": pa.string(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "double": pa.float64(),
    "float": pa.float32(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "blob": pa.binary(),
}
_PLAIN = {  # where PostgreSQL has no such type, or COPY no way to send it
    **dict.fromkeys((pa.null(), pa.large_string(), pa.string_view()), pa.string()),
    pa.large_binary(): pa.binary(),
    pa.date64(): pa.date32(),
    pa.int8(): pa.int16(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}
_WORDS = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "char", "unknown"), "varchar"),
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "float",
    "float8": "double",
    "bool": "boolean",
    "timestamptz": "timestamp with time zone",
    "bytea": "blob",
    "jsonb": "json",
    "numeric": "decimal",
}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


def kind_of(field: pa.Field) -> str:
    """The port's word for the type of a column of a result."""
    about: Mapping[bytes, bytes] = field.metadata or {}
    name = about.get(b"POSTGRESQL:type", b"").decode()
    if name.startswith("_"):
        return _WORDS.get(name[1:], name[1:]) + "[]"
    size = _size(field) if name == "numeric" else None
    return f"decimal({size[0]},{size[1]})" if size else _WORDS.get(name, name)


def _size(field: pa.Field) -> tuple[int, int] | None:
    """Precision and scale of a numeric; None where it has neither."""
    modifier = int((field.metadata or {}).get(b"POSTGRESQL:typmod", -1)) - 4
    return (modifier >> 16 & 65535, modifier & 65535) if modifier >= 0 else None


def arrow_type(kind: str) -> pa.DataType:
    """What a column of this type (the port's word) is sent as."""
    if kind.endswith("[]"):
        return pa.list_(arrow_type(kind.removesuffix("[]")))
    if found := _DECIMAL.fullmatch(kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    if kind not in _ARROW:
        message = f"rows of type {kind} cannot be loaded into PostgreSQL; keep them as varchar"
        raise UserError(message)
    return _ARROW[kind]


def plain(kind: pa.DataType) -> pa.DataType:
    """The type that Arrow rows of another are sent as to a table made for them."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    return _PLAIN.get(kind, kind)


def sql_type(field: pa.Field) -> str:
    """How a table made for such rows spells it. Raises UserError where PostgreSQL has no such type."""
    kind, suffix = (field.type.value_type, "[]") if pa.types.is_list(field.type) else (field.type, "")
    if pa.types.is_decimal128(kind):
        return f"numeric({kind.precision}, {kind.scale}){suffix}"
    for word, arrow in _ARROW.items():
        if arrow == kind:
            return PostgresDialect().kind(word) + suffix
    message = f"{field.name}: rows of type {field.type} cannot be lent to PostgreSQL"
    raise UserError(message)


def shaped(
    reader: pa.RecordBatchReader, wanted: pa.Schema, table: str, mistakes: list[UserError]
) -> Iterator[pa.RecordBatch]:
    """The reader's batches in the types that the table is sent. Notes a UserError that names the column."""
    for batch in reader:
        columns = []
        for field, column in zip(wanted, batch.columns, strict=True):
            try:
                sent = _cast(column, field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                mistakes.append(UserError(f"{table}.{field.name}: {column.type} is no {field.type}: {error}"))
                raise mistakes[-1] from error
            texts = sent.flatten() if pa.types.is_list(field.type) else sent
            if pa.types.is_string(texts.type) and pc.any(pc.match_substring(texts, NUL)).as_py():
                message = f"{table}.{field.name}: a text holds the character U+0000, which PostgreSQL cannot keep"
                mistakes.append(UserError(message))
                raise mistakes[-1]
            columns.append(sent)
        yield pa.RecordBatch.from_arrays(columns, schema=wanted)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_decimal128(kind):  # Arrow asks for room for any value of the old type
        column = column.cast(pa.decimal128(38, kind.scale))
    return column.cast(kind)


def streamed_type(field: pa.Field) -> pa.DataType:
    """What a column of a result is read as. Raises UserError for a numeric without precision."""
    kind = kind_of(field)
    if kind.removesuffix("[]") == "decimal":
        message = f"{field.name}: a number without a precision; cast it, as decimal(18, 2) or bigint"
        raise UserError(message)
    if found := _DECIMAL.fullmatch(kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    return getattr(field.type, "storage_type", field.type)


def decoded(column: pa.Array, kind: pa.DataType) -> pa.Array:
    stored = column.storage if isinstance(column, pa.ExtensionArray) else column
    return _cast(stored, kind)


def values(field: pa.Field, column: pa.ChunkedArray) -> list[Any]:
    """Python values as DuckDB gives them."""
    kind, found = kind_of(field), list(column.to_pylist())
    if not kind.startswith("decimal"):
        return found
    if kind.endswith("[]"):
        return [value and [_number(each) for each in value] for value in found]
    return [_number(value) for value in found]


def _number(text: str | None) -> int | Decimal | None:
    """A sum of whole numbers is whole; what has digits after the point keeps all of them."""
    if text is None:
        return None
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)
