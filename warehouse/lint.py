"""Reads SQL without an engine: what is not in the portable subset, and where a mistake stands.

For dbt models as written, as compiled, and for assets/sql; Jinja is blanked out in place, so positions stay true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlglot import parse, tokenize
from sqlglot.errors import ParseError, TokenError

DIALECT = "duckdb"

# What stands at the start of a match, in order of words → why not, and what instead
NOT_PORTABLE: dict[tuple[str, ...], str] = {
    ("qualify",): "`qualify` is not portable; number the rows in one step and filter in the next",
    ("distinct", "on"): "`distinct on` is not portable; use row_number() and keep the first",
    ("group", "by", "all"): "`group by all` is not portable; name the columns",
    ("order", "by", "all"): "`order by all` is not portable; name the columns",
    ("merge", "into"): "`merge` is not portable, and tables are append-only; write a batch that replaces",
    ("update",): "`update` is not portable, and tables are append-only; write a batch that replaces",
    ("delete", "from"): "`delete` is not portable, and tables are append-only; write a batch that replaces",
    ("->>",): "`->>` is not portable; use the macro json_text",
}
_CLOCK = "the clock is an argument; use the macros as_of() and known_by()"
_CHANCE = "the same events must give the same rows; take a stable share of md5(key)"
NOT_REPEATABLE_WORDS = dict.fromkeys(
    ("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "sysdate"), _CLOCK
)
NOT_REPEATABLE_CALLS = {
    **dict.fromkeys(("now", "today", "getdate", "get_current_time", "transaction_timestamp", "unix_timestamp"), _CLOCK),
    **dict.fromkeys(("random", "rand", "randn", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7"), _CHANCE),
}

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_CONFIG = re.compile(r"\{\{-?\s*config\(")
_QUOTES = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(?P<open>['\"]|/\*)", re.DOTALL)
_LINE = re.compile(r"^LINE (\d+): (.*)\n( *)\^", re.MULTILINE)
_ELLIPSIS = "..."


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, at a line and column (both from 1)."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


def lint_sql(text: str, file: Path | str) -> list[Problem]:
    """What is wrong with a query or model, in the order of the text; empty when nothing is."""
    plain = without_jinja(text)
    where = _Places(str(file), plain)
    try:
        words = _words(plain)
    except TokenError:
        return [_unclosed(where)]
    found = [*_unportable(words, where), *_unrepeatable(words, where)]
    if not found and "{%" not in text:  # branches of a template do not stand together in one statement
        found = list(_syntax(plain, where))
    return sorted(set(found))


def unrepeatable(text: str, file: Path | str) -> list[Problem]:
    """Clocks and chance in a query or model that an engine has read: the same events would not give the same rows."""
    plain = without_jinja(text)
    return list(_unrepeatable(_words(plain), _Places(str(file), plain)))


def without_jinja(text: str) -> str:
    """The text with each expression as one name, each tag and comment as spaces; lines and columns stay."""
    return _JINJA.sub(lambda match: _blank(match.group()), text)


def place(message: str, sql: str) -> tuple[int, int] | None:
    """The line and column an error of the engine points at with `LINE 3: …` and a caret; None when it does not."""
    found = _LINE.search(message)
    if not found:
        return None
    line, shown, caret = int(found[1]), found[2], len(found[3]) - len(f"LINE {found[1]}: ")
    lines = sql.splitlines()
    if shown.startswith(_ELLIPSIS) and line <= len(lines):  # a long line is shown from its middle
        part = shown.removeprefix(_ELLIPSIS).removesuffix(_ELLIPSIS)
        caret += lines[line - 1].find(part) - len(_ELLIPSIS)
    return line, max(caret, 0) + 1


def problem(message: str, sql: str, file: Path | str) -> Problem:
    """An error of the engine about `sql`, with its place where it tells one, and without its drawing of the line."""
    line, column = place(message, sql) or (1, 1)
    said = message.split("\n\nLINE ", maxsplit=1)[0].split("\nLINE ", maxsplit=1)[0]
    return Problem(str(file), line, column, " ".join(said.split()))


@dataclass(frozen=True)
class _Places:
    file: str
    text: str

    def problem(self, offset: int, message: str) -> Problem:
        start = self.text.rfind("\n", 0, offset) + 1
        return Problem(self.file, self.text.count("\n", 0, offset) + 1, offset - start + 1, message)


@dataclass(frozen=True)
class _Word:
    """A word or sign outside strings and quoted names, in lower case."""

    text: str
    offset: int


def _words(plain: str) -> list[_Word]:
    words = []
    for token in tokenize(plain, read=DIALECT):
        if plain[token.start] not in "'\"$":  # a few tokens are several words: `group by`
            found = re.finditer(r"\S+", plain[token.start : token.end + 1].lower())
            words += [_Word(match.group(), token.start + match.start()) for match in found]
    return words


def _blank(jinja: str) -> str:
    """An expression becomes a name at its start, everything else nothing; line ends stay."""
    spaces = re.sub(r"[^\n]", " ", jinja)
    if not jinja.startswith("{{") or _CONFIG.match(jinja):
        return spaces
    first, *others = spaces.split("\n")
    return "\n".join(["j".ljust(len(first), "_"), *others])


def _unportable(words: Sequence[_Word], where: _Places) -> Iterator[Problem]:
    texts = [word.text for word in words]
    for at, word in enumerate(words):
        for wanted, message in NOT_PORTABLE.items():
            if tuple(texts[at : at + len(wanted)]) == wanted and _is_meant(texts, at):
                yield where.problem(word.offset, message)


def _is_meant(texts: Sequence[str], at: int) -> bool:
    """Words that begin a statement are refused where one can begin: a column may have their name."""
    begins = at == 0 or texts[at - 1] in ";()"
    match texts[at]:
        case "delete" | "merge":
            return begins
        case "update":
            return begins and "set" in texts[at + 2 : at + 6]
        case _:
            return True


def _unrepeatable(words: Sequence[_Word], where: _Places) -> Iterator[Problem]:
    for at, word in enumerate(words):
        called = at + 1 < len(words) and words[at + 1].text == "("
        reason = NOT_REPEATABLE_WORDS.get(word.text) or (NOT_REPEATABLE_CALLS.get(word.text) if called else None)
        is_part = at > 0 and words[at - 1].text == "."
        if reason and not is_part:
            yield where.problem(word.offset, f"`{word.text}` is refused: {reason}")


def _syntax(plain: str, where: _Places) -> Iterator[Problem]:
    try:
        parse(plain, read=DIALECT)
    except ParseError as error:
        for found in error.errors[:1]:
            mark = str(found.get("highlight") or "")
            line, end = int(found.get("line") or 1), int(found.get("col") or 1)
            said = _said(str(found.get("description") or ""))
            yield Problem(where.file, line, max(end - len(mark) + 1, 1), f"{said}, near `{mark}`" if mark else said)


def _said(description: str) -> str:
    """The parser's words without its own class names."""
    if description.startswith("Required keyword"):
        return "something is missing"
    return description.removeprefix("Invalid expression / ").rstrip(".") or "not SQL"


def _unclosed(where: _Places) -> Problem:
    for match in _QUOTES.finditer(where.text):
        if match["open"]:
            return where.problem(match.start(), f"the {match['open']} opened here is not closed")
    return where.problem(0, "not SQL: it cannot be read to its end")
