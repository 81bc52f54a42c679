"""The engine's refusal of a model as a sentence: file, line and column as a person wrote them, and what was meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from assets.dbt_errors import readable
from assets.diff import mask, mask_contacts
from assets.mistakes import suggestion
from models.errors import ConfigError

_EXCERPT = re.compile(r"^LINE (?P<line>\d+): (?P<text>.*)\n(?P<before>[ \t]*)\^", re.MULTILINE)
_UNKNOWN_COLUMN = re.compile(
    r'Referenced column "(?P<a>[^"]+)" not found|does not have a column named "(?P<b>[^"]+)"'
    r'|column "?(?:[^" ]+\.)?(?P<c>[^" .]+)"? does not exist'
)
_MEANT = re.compile(r'Perhaps you meant to reference the column "(?:[^"]+\.)?(?P<name>[^".]+)"')
_QUOTED = re.compile(r"(['\"])(.*)\1", re.DOTALL)  # to the last of its kind: what is quoted may hold quotes itself
_OFFERED = re.compile(r"\n\s*Candidate functions:.*", re.DOTALL)  # fifty lines of them
_CONTEXT = re.compile(r"\n(DETAIL|CONTEXT|HINT): .*|\n\n.*", re.DOTALL)
_OF_VALUES = re.compile(r"^(Conversion|Invalid Input|Out of Range) Error: ")
_KIND = re.compile(r"^(Binder|Parser|Catalog|Conversion|Invalid Input|Out of Range) Error: ")


def mistake(said: str, file: Path, shown: str, columns: Sequence[str]) -> ConfigError:
    """What the engine said of the model in `file`, which people call `shown`; `columns` are those it could read."""
    sentence = _OFFERED.sub("", said.split("\nLINE ", maxsplit=1)[0]).strip()
    unknown = _UNKNOWN_COLUMN.search(said)
    name = (unknown["a"] or unknown["b"] or unknown["c"]) if unknown else None
    if name:
        message = f"there is no column '{name}'{_instead(name, said, columns)}"
    elif _OF_VALUES.match(said) or not _EXCERPT.search(said):  # the data's: nothing is wrong with the text
        message = _without_values(_KIND.sub("", sentence))
    else:
        message = _KIND.sub("", readable(sentence))
    line, column = _place(said, file, name)
    return ConfigError(message, file=shown, line=line, column=column)


def _without_values(sentence: str) -> str:
    """The same without what it quotes, which may be personal data, and without what follows: whole rows of it."""
    masked = _QUOTED.sub(lambda found: f"{found[1]}{mask(found[2])}{found[1]}", sentence)
    return mask_contacts(_CONTEXT.sub("", masked))


def _instead(name: str, said: str, columns: Sequence[str]) -> str:
    """What there is, as far as that is known: not every engine lists it."""
    if columns:
        return suggestion(name, columns, "columns")
    meant = _MEANT.search(said)
    return f"; did you mean '{meant['name']}'?" if meant else ""


def _place(said: str, file: Path, name: str | None) -> tuple[int | None, int | None]:
    """Line and column in the file. The engine knows only the compiled text: its excerpt is looked for in the file."""
    found = _EXCERPT.search(said)
    if not found:
        return None, None
    text, compiled_line = found["text"], int(found["line"]) - 1  # the statement's own first line is before it
    excerpt = text.strip().strip(".").strip()
    caret = len(found["before"]) - len(f"LINE {found['line']}: ") - text.index(excerpt)  # in the excerpt
    lines = file.read_text().splitlines()
    if excerpt.rstrip(";") == ")":  # alone on its line: the file's own, or what stands around all of it
        closing = [number for number, line in enumerate(lines, 1) if line.strip() == ")"] or [len(lines)]
        return min(closing, key=lambda number: abs(number - compiled_line)), None
    holding = [number for number, line in enumerate(lines, 1) if excerpt in line]
    if not holding and name:  # part of the line was made by a macro
        excerpt, caret = name, 0
        holding = [number for number, line in enumerate(lines, 1) if name in line]
    if not holding:
        return None, None
    number = min(holding, key=lambda number: abs(number - compiled_line))
    at = lines[number - 1].index(excerpt) + max(caret, 0)
    return number, max(at, lines[number - 1].find(name, at) if name else at) + 1
