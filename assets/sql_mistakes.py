"""The engine's refusal of a model as a sentence: file, line and column as a person wrote them, and what was meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from assets.dbt_errors import readable
from assets.diff import mask
from assets.mistakes import suggestion
from models.errors import ConfigError

_EXCERPT = re.compile(r"^LINE (?P<line>\d+): (?P<text>.*)\n(?P<before>[ \t]*)\^", re.MULTILINE)
_UNKNOWN_COLUMN = re.compile(r'Referenced column "(?P<a>[^"]+)" not found|does not have a column named "(?P<b>[^"]+)"')
_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r"'(.*?)'(?=\s|$)")
_OF_VALUES = re.compile(r"^(Conversion|Invalid Input|Out of Range) Error: ")
_KIND = re.compile(r"^(Binder|Parser|Catalog|Conversion|Invalid Input|Out of Range) Error: ")


def mistake(said: str, file: Path, shown: str, columns: Sequence[str]) -> ConfigError:
    """What the engine said of the model in `file`, which people call `shown`; `columns` are those it could read."""
    sentence = said.split("\nLINE ", maxsplit=1)[0].strip()
    unknown = _UNKNOWN_COLUMN.search(said)
    name = (unknown["a"] or unknown["b"]) if unknown else None
    if name:
        message = f"there is no column '{name}'{suggestion(name, columns, 'columns')}"
    elif _OF_VALUES.match(said):
        # it quotes the value, which may be personal data
        message = _QUOTED.sub(lambda value: f"'{mask(value[1])}'", _KIND.sub("", sentence))
    else:
        message = _KIND.sub("", readable(sentence))
    line, column = _place(said, file, name)
    return ConfigError(message, file=shown, line=line, column=column)


def _place(said: str, file: Path, name: str | None) -> tuple[int | None, int | None]:
    """Line and column in the file. The engine knows only the compiled text: its excerpt is looked for in the file."""
    found = _EXCERPT.search(said)
    if not found:
        return None, None
    lines = file.read_text().splitlines()
    compiled_line = int(found["line"]) - 1  # the statement's own first line is before it
    excerpt = found["text"].strip().strip(".").strip()
    at_caret = _WORD.match(found["text"], len(found["before"]) - len(f"LINE {found['line']}: "))
    word = name or (at_caret[0] if at_caret else excerpt)
    for text in (excerpt, word):
        holding = [number for number, line in enumerate(lines, 1) if text and text in line]
        if holding:
            line = min(holding, key=lambda number: abs(number - compiled_line))
            return line, _column(lines[line - 1], word)
    return None, None


def _column(line: str, word: str) -> int | None:
    at = re.search(rf"(?<!\w){re.escape(word)}", line)
    return at.start() + 1 if at else None
