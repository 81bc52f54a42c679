"""Types: PostgreSQL's names, the port's words, Arrow's; and the shaping of rows from one to the other.

What asks a server is in postgres.py; how SQL spells a type is in postgres_dialect.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models.errors import UserError
from warehouse import arrow_types
from warehouse.arrow_types import DECIMAL, cast, fitted
from warehouse.postgres_dialect import NUL, PostgresDialect

_ARROW = {**arrow_types.ARROW, "json": pa.string(), "time": pa.time64("us")}
_PLAIN = {**arrow_types.PLAIN, pa.int8(): pa.int16()}
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


def kind_of(field: pa.Field) -> str:
    """The port's word for the type of a column of a result."""
    about: Mapping[bytes, bytes] = field.metadata or {}
    name = about.get(b"POSTGRESQL:type", b"").decode()
    if name.startswith("_") and pa.types.is_list(field.type):
        return _WORDS.get(name[1:], name[1:]) + "[]"
    size = _size(field) if name == "numeric" else None
    return f"decimal({size[0]},{size[1]})" if size else _WORDS.get(name, name)


def _size(field: pa.Field) -> tuple[int, int] | None:
    """Precision and scale of a numeric; None where it has neither."""
    modifier = int((field.metadata or {}).get(b"POSTGRESQL:typmod", -1)) - 4
    return (modifier >> 16 & 65535, modifier & 65535) if modifier >= 0 else None


def arrow_type(kind: str) -> pa.DataType:
    """What a column of this type (the port's word) is sent as."""
    return arrow_types.arrow_type(kind, _ARROW, "PostgreSQL")


def plain(kind: pa.DataType) -> pa.DataType:
    """The type that Arrow rows of another are sent as to a table made for them."""
    return arrow_types.plain(kind, _PLAIN)


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
                sent = fitted(column, field, table)
            except UserError as error:
                mistakes.append(error)
                raise
            texts = sent.flatten() if pa.types.is_list(field.type) else sent
            if pa.types.is_string(texts.type) and pc.any(pc.match_substring(texts, NUL)).as_py():
                message = f"{table}.{field.name}: a text holds the character U+0000, which PostgreSQL cannot keep"
                mistakes.append(UserError(message))
                raise mistakes[-1]
            columns.append(sent)
        yield pa.RecordBatch.from_arrays(columns, schema=wanted)


def streamed_type(field: pa.Field) -> pa.DataType:
    """What a column of a result is read as. Raises UserError for a numeric without precision."""
    kind = kind_of(field)
    if kind.removesuffix("[]") == "decimal":
        message = f"{field.name}: a number without a precision; cast it, as decimal(18, 2) or bigint"
        raise UserError(message)
    if found := DECIMAL.fullmatch(kind):
        return pa.decimal128(int(found[1]), int(found[2]))
    return getattr(field.type, "storage_type", field.type)


def decoded(column: pa.Array, kind: pa.DataType) -> pa.Array:
    stored = column.storage if isinstance(column, pa.ExtensionArray) else column
    return cast(stored, kind)


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
