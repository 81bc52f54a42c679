"""One template as it is written: front matter, then MJML or HTML, then text. Its meaning is made in compiling.py."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from assets.configuration import Document, parsed, shown_path, text_of
from models.errors import ConfigError
from models.template import Template

FOLDER = "templates"
ENDINGS = (".mjml", ".html", ".txt")
MARK, TEXT_MARK = "---", "--- text"
PARTIAL = "_"  # a file that begins with it is a part of others, not a template
LONGEST = 100_000  # characters of a template: of an e-mail's HTML mail programs show no more
_INCLUDE = re.compile(r"""<mj-include\s+path=["']([^"']*)["']\s*(?:/>|>\s*</mj-include>)""")


@dataclass(frozen=True)
class Text:
    """A template with its file, and all that makes this text of it the same: parts it includes are in `text`."""

    name: str
    ending: str
    file: Path
    text: str

    @cached_property
    def document(self) -> Document:
        """The front matter. Raises ConfigError."""
        return parsed(self.file, _front_matter(self.file, self.text))

    @cached_property
    def template(self) -> Template:
        return self.document.read(Template)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.ending}\n{self.text}".encode()).hexdigest()

    @property
    def markup(self) -> str | None:
        """MJML or HTML as it is written; None where it is all text. Empty lines before it keep its lines the file's."""
        lines = self._lines
        end = next((place for place, line in enumerate(lines) if line == TEXT_MARK), None)
        if self.ending == ".txt":
            return None
        if end is None:
            message = f"has no text for who reads without HTML: write a line {TEXT_MARK}, then the text"
            raise ConfigError(message, file=shown_path(self.file), line=len(lines))
        return "\n" * self._begin + "\n".join(lines[self._begin : end])

    @property
    def words(self) -> str:
        """The text part; its lines are the file's, too."""
        lines = self._lines
        begin = self._begin if self.ending == ".txt" else lines.index(TEXT_MARK) + 1
        return "\n" * begin + "\n".join(lines[begin:])

    @cached_property
    def _lines(self) -> list[str]:
        return [line.rstrip("\r") if line.rstrip() not in {MARK, TEXT_MARK} else line.rstrip() for line in self._split]

    @cached_property
    def _split(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _begin(self) -> int:
        """How many lines the front matter has, marks included."""
        return self._lines.index(MARK, 1) + 1


def read(path: Path) -> Text:
    """One template, its parts included. Raises ConfigError."""
    if path.suffix not in ENDINGS:
        message = f"'{path.suffix}' is no ending of a template; allowed: {', '.join(ENDINGS)}"
        raise ConfigError(message, file=shown_path(path))
    if not re.fullmatch("[a-z][a-z0-9_]*", path.stem):
        message = f"'{path.stem}' is no name of a template; allowed: small letters, digits and _, like cart_reminder"
        raise ConfigError(message, file=shown_path(path))
    text = _included(path, text_of(path))
    if len(text) > LONGEST:
        message = f"has {len(text):,} characters, of which mail programs show no more than {LONGEST:,}"
        raise ConfigError(message, file=shown_path(path))
    return written(path.stem, path.suffix, path, text)


def written(name: str, ending: str, file: Path, text: str) -> Text:
    """A template of this text, as a file or as a version that was kept. Raises ConfigError."""
    made = Text(name, ending, file, text)
    assert made.template is not None
    assert made.markup is None or made.words
    return made


def _included(path: Path, text: str) -> str:
    """The text with the parts it includes; those include nothing."""

    def part(found: re.Match[str]) -> str:
        file = path.parent / found[1]
        if file.parent != path.parent or not file.name.startswith(PARTIAL) or not file.is_file():
            there = ", ".join(sorted(each.name for each in path.parent.glob(f"{PARTIAL}*"))) or "none"
            message = f"includes '{found[1]}', which is no part in {FOLDER}/; there are: {there}"
            line = text.count("\n", 0, found.start()) + 1
            raise ConfigError(message, file=shown_path(path), line=line)
        return text_of(file).replace("\n", " ").strip()  # on one line: those after it keep their numbers

    return _INCLUDE.sub(part, text) if path.suffix == ".mjml" else text


def _front_matter(path: Path, text: str) -> str:
    """The first line, which is a mark, and all up to the second: YAML whose lines are the file's."""
    first, *rest = text.split("\n")[:1_000]
    if first.rstrip() != MARK:
        message = f"must begin with a line {MARK}, then keys such as `subject: …`, then a line {MARK}"
        raise ConfigError(message, file=shown_path(path), line=1)
    ends = next((place for place, line in enumerate(rest) if line.rstrip() == MARK), None)
    if ends is None:
        message = f"the keys that begin here have no end: write a line {MARK} after them"
        raise ConfigError(message, file=shown_path(path), line=1)
    return "\n".join([first, *rest[:ends], ""])
