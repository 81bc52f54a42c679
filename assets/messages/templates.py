"""The templates of dbt_project/templates, each `NAME.*`; what is no template yet stops only its own messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assets.configuration import shown_path
from assets.messages.compiling import compiled
from assets.messages.text import FOLDER, PARTIAL, Text, read
from models.errors import ConfigError
from models.settings import Settings


def templates(settings: Settings) -> dict[str, Text]:
    """Every template, by name. Raises ConfigError with file and line of all that are none."""
    if wrong := unreadable(settings):
        raise ConfigError.together(wrong.values())
    return readable(settings)


def readable(settings: Settings) -> dict[str, Text]:
    """Those that can be read: only the messages of the others wait while a file is being written."""
    return {name: each for name, each in _each(settings).items() if isinstance(each, Text)}


def unreadable(settings: Settings) -> dict[str, ConfigError]:
    """The others, by name: what is wrong with each."""
    return {name: each for name, each in _each(settings).items() if isinstance(each, ConfigError)}


def _each(settings: Settings) -> dict[str, Text | ConfigError]:
    found: dict[str, Text | ConfigError] = {}
    files: dict[str, Path] = {}
    for path in _files(settings.dbt_project / FOLDER):
        try:
            found[path.stem] = _only(path, files.setdefault(path.stem, path))
        except ConfigError as error:
            found[path.stem] = error
    return found


def _only(path: Path, first: Path) -> Text:
    if path != first:
        message = f"'{path.stem}' is already {shown_path(first)}; a template is one file"
        raise ConfigError(message, file=shown_path(path))
    text = read(path)
    compiled(text)
    return text


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*")):
        if path.is_file() and not path.name.startswith((".", PARTIAL)):
            yield path
