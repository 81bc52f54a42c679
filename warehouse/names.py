"""The names that all SQL here is written in, and the schemas of a target that stand for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import UserError

# What is not looked into: texts, quoted names, comments. A doubled quote is two texts side by side.
_TEXT = r"'[^']*'"
_LEFT_ALONE = r"|\"[^\"]*\"|--[^\n]*|/\*.*?\*/"
_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


@dataclass(frozen=True)
class Written:
    """A statement as the server is sent it, and where its parts stood before: it tells places in what it was sent."""

    sql: str
    original: str
    moved: tuple[tuple[int, int], ...]  # offset in `sql` → in `original`, where one began to differ

    def place(self, position: int) -> str:
        """The line of the original at a position in what was sent (from 1), as DuckDB draws it: text and caret."""
        offset = position - 1
        sent, before = max((pair for pair in self.moved if pair[0] <= offset), default=(0, 0))
        offset = min(before + offset - sent, len(self.original))
        start = self.original.rfind("\n", 0, offset) + 1
        line = self.original[start:].split("\n", maxsplit=1)[0]
        label = f"LINE {self.original.count(chr(10), 0, offset) + 1}: "
        return f"{label}{line}\n{' ' * (len(label) + offset - start)}^"


class Names:
    """Puts real schemas in the place of the logical ones that all SQL is written in."""

    def __init__(self, schemas: Mapping[str, str], text: str = _TEXT) -> None:
        """`text`: the pattern of a text in the engine's SQL."""
        self.schemas = dict(schemas)
        names = "|".join(map(re.escape, schemas)) or "(?!)"
        is_schema = r"(?:(?<=schema )|(?<=schema if exists )|(?<=schema if not exists ))"
        prefix = rf"(?<![\w.$])(?:{names})(?=\.)|{is_schema}(?:{names})\b"
        self._pattern = re.compile(rf"{text}{_LEFT_ALONE}|({prefix})|\?", re.DOTALL)

    def write(self, sql: str, params: Sequence[str] | None = None) -> Written:
        """The statement with real schemas, and with `params` (literals) for each `?`. Raises UserError for too few."""
        parts, moved, given, sent, done = [], [], iter(params or ()), 0, 0
        for match in self._pattern.finditer(sql):
            if match[1]:
                put = self.schemas[match[1]]
            elif match[0] == "?" and params is not None:
                put = next(given, "")
            else:
                continue
            if not put:
                raise UserError("the statement has more `?` than values")
            parts += [sql[done : match.start()], put]
            sent += match.start() - done + len(put)
            done = match.end()
            moved += [(sent - len(put), match.start()), (sent, done)]
        if next(given, None) is not None:
            raise UserError("the statement has fewer `?` than values")
        return Written("".join((*parts, sql[done:])), sql, tuple(moved))


def parts(name: str) -> list[str]:
    """`schema."ta""ble"` → the schema as written, and the table's own name."""
    *schema, last = _PART.finditer(name)
    return [*(part[0] for part in schema), last[2] or last[1].replace('""', '"')]
