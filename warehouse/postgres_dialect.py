"""PostgreSQL's spelling of what engines spell differently.

The functions in `tailrace` that this calls are in postgres_functions/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from models.contacts import SPACES
from models.errors import UserError
from warehouse.dialect import DuckDBDialect
from warehouse.json_paths import steps

NUL = "\0"
_DECIMAL = re.compile(r"(?:decimal|numeric)\((\d+),\s*(\d+)\)")

# DuckDB's word → PostgreSQL's, where that has no such type
_KINDS = {
    "double": "double precision",
    "float": "real",
    "hugeint": "numeric(38, 0)",
    "uhugeint": "numeric(38, 0)",
    "ubigint": "numeric(20, 0)",
    "uinteger": "bigint",
    "usmallint": "integer",
    "utinyint": "smallint",
    "tinyint": "smallint",
    "blob": "bytea",
}
_SENT = {  # words of the port in which a column is sent as it is
    *("varchar", "boolean", "smallint", "integer", "bigint", "float", "double", "blob"),
    *("date", "time", "timestamp", "timestamp with time zone"),
}
_TEXTS = ("varchar", "text", "char")  # of any value there is one
_WHOLE = {"smallint": 16, "integer": 32, "int": 32, "bigint": 64}  # in bits
_TRIED = {  # by functions of their own
    "double precision": "double",
    "float4": "float",
    "real": "float",
    "boolean": "boolean",
    "bool": "boolean",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
}


class PostgresDialect(DuckDBDialect):
    """Quoting and plain values are DuckDB's: strings conform to the standard on both."""

    name = "postgres"
    longest = 63

    def kind(self, kind: str) -> str:
        base = kind.removesuffix("[]")
        return _KINDS.get(base, base) + kind[len(base) :]

    def sent(self, kind: str) -> str:
        """As DuckDB's; as text, too, what the port has no word for, and JSON, which cannot be compared."""
        base = kind.removesuffix("[]")
        return kind if base in _SENT or base.split("(")[0] == "decimal" else "varchar" + kind[len(base) :]

    def unique(self) -> str:
        return " primary key"

    def stored(self, kind: str, *, is_key: bool) -> str:  # noqa: ARG002 - nothing to choose here
        return self.kind(kind)

    def literal(self, value: object) -> str:
        """A value as SQL text. Raises UserError for a text with U+0000, which would end the statement there."""
        literal = super().literal(value)
        if NUL in literal:
            raise UserError("PostgreSQL cannot hold a text with the character U+0000; take it out")
        return literal

    def try_cast(self, expression: str, kind: str) -> str:
        said, kind = f"cast({expression} as text)", self.kind(kind.lower())
        if kind in _WHOLE:
            end = 2 ** (_WHOLE[kind] - 1)
            return f"cast(tailrace.try_whole({said}, {-end}, {end - 1}) as {kind})"
        if kind in _TRIED:
            return f"tailrace.try_{_TRIED[kind]}({said})"
        if found := _DECIMAL.fullmatch(kind):
            return f"cast(tailrace.try_decimal({said}, {found[1]}, {found[2]}) as {kind})"
        if kind.startswith(_TEXTS) and not kind.endswith("[]"):
            return f"cast({expression} as {kind})"
        return f"tailrace.try_any({said}, cast(null as {kind}))"

    def json_text(self, column: str, path: str) -> str:
        """The text at a path of names and list places; `$` is all of it. Raises UserError for other paths."""
        found = list(steps(path))
        if len(found) == 1 and not found[0].startswith("["):
            return self.json_text_at(column, self.literal(found[0]))
        listed = ", ".join(self.literal(step) for step in found)
        return f"tailrace.json_text({column}, variadic cast(array[{listed}] as text[]))"

    def json_value(self, column: str, key: str) -> str:
        return f"tailrace.json_at({column}, {self.literal(key)})"

    def json_valid(self, expression: str) -> str:
        return f"tailrace.json_valid({expression})"

    def json_object(self, columns: Mapping[str, str]) -> str:
        keys = [json.dumps(key, ensure_ascii=False) + ":" for key in columns]
        signs = ["{", *[","] * (len(keys) - 1)] if keys else []
        pairs = [
            f"{self.literal(sign + key)} || tailrace.json_of({expression})"
            for sign, key, expression in zip(signs, keys, columns.values(), strict=True)
        ]
        return f"({' || '.join(pairs)} || '}}')" if pairs else "'{}'"

    def json_keys(self, column: str) -> str:
        return f"tailrace.json_keys({column})"

    def json_text_at(self, column: str, key: str) -> str:
        return f"tailrace.json_text({column}, {key})"

    def trimmed(self, expression: str) -> str:
        return f"btrim({expression}, '{SPACES}')"

    def sha256(self, expression: str) -> str:
        return f"encode(sha256(convert_to({expression}, 'UTF8')), 'hex')"

    def hashable(self, column: str, kind: str) -> str:
        """Lists are told apart as they are; JSON has no hash."""
        return f"cast({column} as text)" if kind == "json" else column

    def row_hash(self, columns: Iterable[str]) -> str:
        """The seed is not 0, by which zeros would hash like nulls."""
        return f"hash_record_extended(row({', '.join(columns)}), 17)"

    def digest(self, hashed: str) -> str:
        return f"cast(sum({hashed}) as varchar)"

    def text_list(self, values: Iterable[str]) -> str:
        return f"cast(array[{', '.join(self.literal(value) for value in values)}] as varchar[])"

    def plus_seconds(self, moment: str, seconds: str) -> str:
        return f"({moment} + make_interval(secs => {seconds}))"

    def seconds_between(self, earlier: str, later: str) -> str:
        return f"cast(extract(epoch from ({later}) - ({earlier})) as double precision)"

    def window_end(self, moment: str, seconds: int) -> str:
        return (
            f"(timestamptz '1970-01-01 00:00:00+00' "
            f"+ make_interval(secs => (div(extract(epoch from {moment}), {seconds}) + 1) * {seconds}))"
        )

    def moment_text(self, moment: str) -> str:
        return f"to_char(timezone('UTC', {moment}), 'YYYY-MM-DD HH24:MI')"

    def weekday(self, local: str) -> str:
        return f"(cast(extract(isodow from {local}) as bigint) - 1)"
