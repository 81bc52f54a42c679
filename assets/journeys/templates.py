"""Reads what the templates of dbt_project/templates say of themselves, each `NAME.*` with front matter.

Their texts are not looked at here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assets.configuration import parsed, shown_path, text_of
from models.errors import ConfigError
from models.settings import Settings
from models.template import Template

FOLDER = "templates"
ENDINGS = (".md", ".html", ".txt", ".mjml", ".liquid")
MARK = "---"


@dataclass(frozen=True)
class Read:
    """A template with its file, and the digest that makes this text of it the same."""

    template: Template
    file: Path
    digest: str


def templates(settings: Settings) -> dict[str, Read]:
    """Every template, by name. Raises ConfigError with file and line of all that are none."""
    if wrong := unreadable(settings):
        raise ConfigError.together(wrong.values())
    return readable(settings)


def readable(settings: Settings) -> dict[str, Read]:
    """Those that can be read: only the messages of the others wait while a file is being written."""
    return {name: each for name, each in _each(settings).items() if isinstance(each, Read)}


def unreadable(settings: Settings) -> dict[str, ConfigError]:
    """The others, by name: what is wrong with each."""
    return {name: each for name, each in _each(settings).items() if isinstance(each, ConfigError)}


def _each(settings: Settings) -> dict[str, Read | ConfigError]:
    found: dict[str, Read | ConfigError] = {}
    files: dict[str, Path] = {}
    for path in _files(settings.dbt_project / FOLDER):
        try:
            found[path.stem] = _only(path, files.setdefault(path.stem, path))
        except ConfigError as error:
            found[path.stem] = error
    return found


def _only(path: Path, first: Path) -> Read:
    if path != first:
        message = f"'{path.stem}' is already {shown_path(first)}; a template is one file"
        raise ConfigError(message, file=shown_path(path))
    return read(path)


def read(path: Path) -> Read:
    """One template. Raises ConfigError."""
    if path.suffix not in ENDINGS:
        message = f"'{path.suffix}' is no ending of a template; allowed: {', '.join(ENDINGS)}"
        raise ConfigError(message, file=shown_path(path))
    if not re.fullmatch("[a-z][a-z0-9_]*", path.stem):
        message = f"'{path.stem}' is no name of a template; allowed: small letters, digits and _, like cart_reminder"
        raise ConfigError(message, file=shown_path(path))
    template = parsed(path, _front_matter(path)).read(Template)
    return Read(template, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path


def _front_matter(path: Path) -> str:
    """The first line, which is a mark, and all up to the second: YAML whose lines are the file's."""
    first, *rest = text_of(path).splitlines()[:1_000] or [""]
    if first.rstrip() != MARK:
        message = f"must begin with a line {MARK}, then keys such as `subject: …`, then a line {MARK}"
        raise ConfigError(message, file=shown_path(path), line=1)
    ends = next((place for place, line in enumerate(rest) if line.rstrip() == MARK), None)
    if ends is None:
        message = f"the keys that begin here have no end: write a line {MARK} after them"
        raise ConfigError(message, file=shown_path(path), line=1)
    return "\n".join([first, *rest[:ends], ""])
