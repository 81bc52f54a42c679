"""The few things engines spell differently, and the quoting of names and values.

Everything in assets/sql is Jinja with one Dialect's functions in scope; what is not here is in the portable subset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol


class Dialect(Protocol):
    """Each function takes and gives SQL text; column names given to it are already quoted."""

    name: str
    text: str  # the type of any text

    def quote(self, name: str) -> str: ...
    def literal(self, value: object) -> str: ...
    def try_cast(self, expression: str, kind: str) -> str: ...
    def json_text(self, column: str, path: str) -> str: ...
    def json_valid(self, expression: str) -> str: ...
    def starts_with(self, expression: str, text: str) -> str: ...
    def sha256(self, expression: str) -> str: ...
    def hashable(self, column: str, kind: str) -> str: ...
    def row_hash(self, columns: Iterable[str]) -> str: ...
    def digest(self, hashed: str) -> str: ...
    def text_list(self, values: Iterable[str]) -> str: ...
    def unnest(self, column: str) -> str: ...


class DuckDBDialect:
    name = "duckdb"
    text = "varchar"

    def quote(self, name: str) -> str:
        """`a"b` → `"a""b"`: any name is safe."""
        return '"' + name.replace('"', '""') + '"'

    def literal(self, value: object) -> str:
        """A value as SQL text. Moments must carry a zone."""
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float | Decimal):
            return str(value)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                message = f"a moment without a zone: {value}"
                raise ValueError(message)
            return f"cast('{value.isoformat()}' as timestamptz)"
        if isinstance(value, date):
            return f"cast('{value.isoformat()}' as date)"
        if isinstance(value, dict | list):
            value = json.dumps(value)
        return "'" + str(value).replace("'", "''") + "'"

    def try_cast(self, expression: str, kind: str) -> str:
        return f"try_cast({expression} as {kind})"

    def json_text(self, column: str, path: str) -> str:
        return f"json_extract_string({column}, {self.literal(path)})"

    def json_valid(self, expression: str) -> str:
        return f"json_valid({expression})"

    def starts_with(self, expression: str, text: str) -> str:
        return f"starts_with({expression}, {self.literal(text)})"

    def sha256(self, expression: str) -> str:
        return f"sha256({expression})"

    def hashable(self, column: str, kind: str) -> str:
        """A column as `row_hash` tells its values apart: of nested types no list, an empty one and nulls hash alike."""
        is_nested = kind.endswith("]") or kind.startswith(("struct(", "map(", "union("))
        return f"cast({column} as varchar)" if is_nested else column

    def row_hash(self, columns: Iterable[str]) -> str:
        """A fast 64-bit hash of several columns, nulls told apart. Only ever compared within one statement."""
        return f"hash({', '.join(columns)})"

    def digest(self, hashed: str) -> str:
        """An order-independent digest of many 64-bit hashes, as text."""
        return f"cast(sum(cast({hashed} as hugeint)) as varchar)"

    def text_list(self, values: Iterable[str]) -> str:
        return "[" + ", ".join(self.literal(value) for value in values) + "]::varchar[]"

    def unnest(self, column: str) -> str:
        return f"unnest({column})"
