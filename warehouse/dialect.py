"""The few things engines spell differently, and the quoting of names and values.

Everything in assets/sql is Jinja with one Dialect's functions in scope; what is not here is in the portable subset.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol


class Dialect(Protocol):
    """Each function takes and gives SQL text; column names given to it are already quoted."""

    name: str
    text: str  # the type of any text
    longest: int  # bytes that the name of a relation may have
    numbered: str  # numbers rows from 1, in no order

    def quote(self, name: str) -> str: ...
    def unique(self) -> str: ...
    def partitioned(self, column: str) -> str: ...
    def kind(self, kind: str) -> str: ...
    def sent(self, kind: str) -> str: ...
    def stored(self, kind: str, *, is_key: bool) -> str: ...
    def literal(self, value: object) -> str: ...
    def try_cast(self, expression: str, kind: str) -> str: ...
    def json_text(self, column: str, path: str) -> str: ...
    def json_value(self, column: str, key: str) -> str: ...
    def json_valid(self, expression: str) -> str: ...
    def json_object(self, columns: Mapping[str, str]) -> str: ...
    def json_keys(self, column: str) -> str: ...
    def starts_with(self, expression: str, text: str) -> str: ...
    def before(self, expression: str, text: str) -> str: ...
    def json_text_at(self, column: str, key: str) -> str: ...
    def trimmed(self, expression: str) -> str: ...
    def normalized(self, expression: str) -> str: ...
    def sha256(self, expression: str) -> str: ...
    def hashable(self, column: str, kind: str) -> str: ...
    def row_hash(self, columns: Iterable[str]) -> str: ...
    def digest(self, hashed: str) -> str: ...
    def text_list(self, values: Iterable[str]) -> str: ...
    def unnest(self, column: str) -> str: ...
    def plus_seconds(self, moment: str, seconds: str) -> str: ...
    def seconds_between(self, earlier: str, later: str) -> str: ...
    def window_end(self, moment: str, seconds: int) -> str: ...
    def moment_text(self, moment: str) -> str: ...
    def local_time(self, moment: str, zone: str) -> str: ...
    def utc_time(self, local: str, zone: str) -> str: ...
    def weekday(self, local: str) -> str: ...


class DuckDBDialect:
    name = "duckdb"
    text = "varchar"
    longest = 1_000  # nobody says
    numbered = "row_number() over ()"

    def quote(self, name: str) -> str:
        """`a"b` → `"a""b"`: any name is safe."""
        return '"' + name.replace('"', '""') + '"'

    def kind(self, kind: str) -> str:
        """A type that is named by DuckDB's word for it, as the port's `columns` names types, in the engine's words."""
        return kind

    def sent(self, kind: str) -> str:
        """The type in which a column of a sync is kept and sent: enumerations are text, sums of integers 64 bits."""
        if kind.startswith("enum"):
            return "varchar"
        return "bigint" if kind in {"hugeint", "uhugeint", "ubigint"} else kind

    def unique(self) -> str:
        """What the definition of a column ends with whose values may not come twice, where that is cheap."""
        return ""

    def partitioned(self, column: str) -> str:  # noqa: ARG002 - a table is one thing here
        """What `create table` ends with where all rows of one value of the column come and go together."""
        return ""

    def stored(self, kind: str, *, is_key: bool) -> str:
        """A column's type with how to compress it: told, inserts are twice as fast as where every way is tried.

        `is_key`: nearly all values differ; else they are few words.
        """
        return f"{kind} using compression {'fsst' if is_key else 'dictionary'}" if kind == self.text else kind

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
        """A value of another type as one of this; null where it is none, or where the engine has no way to try."""
        return f"try_cast({expression} as {kind})"

    def json_text(self, column: str, path: str) -> str:
        return f"json_extract_string({column}, {self.literal(path)})"

    def json_value(self, column: str, key: str) -> str:
        """The value under a key of a JSON object, as JSON; null where it has no such key."""
        pointer = "/" + key.replace("~", "~0").replace("/", "~1")
        return f"json_extract({column}, {self.literal(pointer)})"

    def json_valid(self, expression: str) -> str:
        return f"json_valid({expression})"

    def json_object(self, columns: Mapping[str, str]) -> str:
        """A JSON object, as text, from key → expression."""
        pairs = ", ".join(f"{self.literal(key)}, {expression}" for key, expression in columns.items())
        return f"cast(json_object({pairs}) as varchar)"

    def json_keys(self, column: str) -> str:
        """One row a key of a JSON object."""
        return f"unnest(json_keys({column}))"

    def before(self, expression: str, text: str) -> str:
        """What stands before the first `text` in it; all of it where there is none."""
        return f"split_part({expression}, {self.literal(text)}, 1)"

    def json_text_at(self, column: str, key: str) -> str:
        """The text under the key that an expression gives; keys of letters, digits and _."""
        return f"json_extract_string({column}, concat('$.', {key}))"

    def starts_with(self, expression: str, text: str) -> str:
        return f"starts_with({expression}, {self.literal(text)})"

    def trimmed(self, expression: str) -> str:
        """A text without spaces of any kind at its ends (models/contacts.py)."""
        return f"trim({expression})"

    def normalized(self, expression: str) -> str:
        """A contact point as equal ones are equal (models/contacts.py)."""
        return f"lower({self.trimmed(expression)})"

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

    def plus_seconds(self, moment: str, seconds: str) -> str:
        return f"({moment} + to_seconds({seconds}))"

    def seconds_between(self, earlier: str, later: str) -> str:
        """Whole and part seconds from one moment to another."""
        return f"((epoch_us({later}) - epoch_us({earlier})) / 1000000.0)"

    def window_end(self, moment: str, seconds: int) -> str:
        """The end of the window of this length, counted from 1970, that holds the moment."""
        return (
            f"(timestamptz '1970-01-01 00:00:00+00' + to_seconds((epoch_us({moment}) // {seconds * 1_000_000} + 1) "
            f"* {seconds}))"
        )

    def moment_text(self, moment: str) -> str:
        """A moment in UTC as `2026-11-24 09:30`."""
        return f"strftime(timezone('UTC', {moment}), '%Y-%m-%d %H:%M')"

    def local_time(self, moment: str, zone: str) -> str:
        """What clocks in the zone (an IANA name) show at the moment, as a timestamp without a zone."""
        return f"timezone({zone}, {moment})"

    def utc_time(self, local: str, zone: str) -> str:
        """The moment at which clocks in the zone show a local time.

        Of a time that there is twice it is the later; one that there is not is as much later as the clock jumped.
        """
        return f"timezone({zone}, {local})"

    def weekday(self, local: str) -> str:
        """0 Monday … 6 Sunday."""
        return f"(isodow({local}) - 1)"


def removal(dialect: Dialect, table: str, column: str, values: Collection[str]) -> str:
    """The statement for Warehouse.remove, where the engine has one."""
    listed = ", ".join(map(dialect.literal, values)) or "null"
    return f"delete from {table} where {dialect.quote(column)} in ({listed})"
