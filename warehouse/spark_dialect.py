"""Spark's spelling of what engines spell differently.

The functions in `tailrace` that this calls are in spark_functions/. Sessions take a name in double quotes for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

from models.contacts import SPACES
from models.errors import UserError
from warehouse.dialect import DuckDBDialect
from warehouse.json_paths import steps

TEXT = r"'(?:[^'\\]|\\.)*'"  # a text in SQL
_SIZED = re.compile(r"(?:decimal|numeric)\((\d+),\s*(\d+)\)")
_PLAIN_STEP = re.compile(r"[^.\[\]*'?\\]+")
_PLACE, _FROM_THE_END = re.compile(r"\[\d+\]"), re.compile(r"\[-\d+\]")

# DuckDB's word → Spark's
_KINDS = {
    "varchar": "string",
    "text": "string",
    "json": "string",
    "timestamp": "timestamp_ntz",
    "timestamptz": "timestamp",
    "timestamp with time zone": "timestamp",
    "hugeint": "decimal(38, 0)",
    "uhugeint": "decimal(38, 0)",
    "ubigint": "decimal(20, 0)",
    "uinteger": "bigint",
    "usmallint": "integer",
    "utinyint": "smallint",
    "blob": "binary",
    "bool": "boolean",
    "real": "float",
}
_NESTED = ("array<", "map<", "struct<")
_WHOLE = {"tinyint", "smallint", "integer", "int", "bigint"}
_TRIED = {"boolean", "date", "timestamp_ntz", "timestamp", "double", "float"}  # by functions of their own


class SparkDialect(DuckDBDialect):
    """Names are quoted as in standard SQL; in texts a backslash is a sign of its own, and is doubled."""

    name = "spark"
    text = "string"
    longest = 128  # the catalogue's, Hive's
    numbered = "row_number() over (order by 1)"  # without an order it is refused

    def kind(self, kind: str) -> str:
        if kind.endswith("[]"):
            return f"array<{self.kind(kind.removesuffix('[]'))}>"
        return _KINDS.get(kind, kind)

    def partitioned(self, column: str) -> str:
        return f" using parquet partitioned by ({self.quote(column)})"

    def stored(self, kind: str, *, is_key: bool) -> str:  # noqa: ARG002 - nothing to choose here
        return self.kind(kind)

    def literal(self, value: object) -> str:
        if isinstance(value, datetime):
            return super().literal(value).removesuffix("timestamptz)") + "timestamp)"
        if value is None or isinstance(value, bool | int | float | Decimal | date):
            return super().literal(value)
        inner = super().literal(value)[1:-1].replace("''", "'")
        return "'" + inner.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def try_cast(self, expression: str, kind: str) -> str:
        said = f"cast({expression} as string)"
        if kind.lower() == "json":
            return f"case when tailrace.json_valid({said}) then {said} end"
        kind = self.kind(kind.lower())
        if kind in _WHOLE:  # a half is rounded away from zero
            return f"try_cast(try_cast(tailrace.number_of({said}) as decimal(38, 0)) as {kind})"
        if _SIZED.fullmatch(kind):
            return f"try_cast(tailrace.number_of({said}) as {kind})"
        if kind in _TRIED:
            return f"tailrace.try_{kind}({said})"
        if kind.startswith(_NESTED):  # no text is cast to one
            return f"cast(null as {kind})"
        return f"try_cast({said} as {kind})"

    def json_text(self, column: str, path: str) -> str:
        """The text at a path of names and list places; `$` is all of it. Raises UserError for other paths."""
        found = f"get_json_object({column}, {self.literal('$' + ''.join(map(_step, steps(path))))})"
        return f"nullif({found}, 'null')" if path == "$" else found

    def json_value(self, column: str, key: str) -> str:
        return f"tailrace.json_at({column}, {self.literal('$' + _step(key))})"

    def json_valid(self, expression: str) -> str:
        return f"tailrace.json_valid({expression})"

    def json_object(self, columns: Mapping[str, str]) -> str:
        pairs = [
            f"tailrace.json_quoted({self.literal(key)}) || ':' || "
            f"tailrace.json_of(typeof({said}), cast({said} as string), to_json(array({said})))"
            for key, said in columns.items()
        ]
        listed = " || ',' || ".join(pairs)
        return f"('{{' || {listed} || '}}')" if pairs else "'{}'"

    def json_keys(self, column: str) -> str:
        return f"explode(json_object_keys({column}))"

    def json_text_at(self, column: str, key: str) -> str:
        return f"get_json_object({column}, concat('$.', {key}))"

    def before(self, expression: str, text: str) -> str:
        return f"substring_index({expression}, {self.literal(text)}, 1)"

    def starts_with(self, expression: str, text: str) -> str:
        return f"startswith({expression}, {self.literal(text)})"

    def trimmed(self, expression: str) -> str:
        return f"trim(both '{SPACES}' from {expression})"

    def normalized(self, expression: str) -> str:
        """Java would look at the neighbours of one letter, and write another as two."""
        return f"lower(translate({self.trimmed(expression)}, 'Σİ', 'σi'))"  # noqa: RUF001

    def sha256(self, expression: str) -> str:
        return f"sha2({expression}, 256)"

    def hashable(self, column: str, kind: str) -> str:
        return f"to_json({column})" if kind.endswith("]") or kind.startswith(("struct", "map")) else column

    def row_hash(self, columns: Iterable[str]) -> str:
        """A null leaves the hash as it was: whether it is one is hashed as well."""
        return f"xxhash64({', '.join(f'{column}, isnull({column})' for column in columns)})"

    def digest(self, hashed: str) -> str:
        return f"cast(sum(cast({hashed} as decimal(38, 0))) as string)"

    def text_list(self, values: Iterable[str]) -> str:
        return f"cast(array({', '.join(self.literal(value) for value in values)}) as array<string>)"

    def unnest(self, column: str) -> str:
        return f"explode({column})"

    def plus_seconds(self, moment: str, seconds: str) -> str:
        return f"({moment} + make_dt_interval(0, 0, 0, {seconds}))"

    def seconds_between(self, earlier: str, later: str) -> str:
        micros = [f"unix_micros(cast({moment} as timestamp))" for moment in (later, earlier)]
        return f"(cast({' - '.join(micros)} as double) / 1000000)"

    def window_end(self, moment: str, seconds: int) -> str:
        return f"timestamp_seconds((unix_micros({moment}) div {seconds * 1_000_000} + 1) * {seconds})"

    def moment_text(self, moment: str) -> str:
        return f"date_format({moment}, 'yyyy-MM-dd HH:mm')"

    def local_time(self, moment: str, zone: str) -> str:
        return f"convert_timezone('UTC', {zone}, cast({moment} as timestamp_ntz))"

    def utc_time(self, local: str, zone: str) -> str:
        return f"tailrace.utc_time({local}, {zone})"

    def weekday(self, local: str) -> str:
        return f"cast(weekday({local}) as bigint)"


def _step(step: str) -> str:
    """One step of a path as Spark writes it. Raises UserError for what it has no way to write."""
    if _PLACE.fullmatch(step):
        return step
    if _PLAIN_STEP.fullmatch(step):
        return f".{step}"
    if not re.search(r"['?\\]", step) and not _FROM_THE_END.fullmatch(step):
        return f"['{step}']"
    message = f"no path of names and places in lists that Spark has: {step!r}"
    raise UserError(message)
