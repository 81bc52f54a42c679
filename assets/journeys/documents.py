"""Reads the journeys of dbt_project/journeys, one a file. What they name is checked in checks.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assets.configuration import Document, parse, shown_path
from models.errors import ConfigError
from models.journey import Journey
from models.settings import Settings

FOLDER = "journeys"
ENDINGS = (".yml", ".yaml", ".json")  # of files that somebody may take for a journey


@dataclass(frozen=True)
class Read:
    """A journey with the file it is written in."""

    journey: Journey
    file: Path
    document: Document


def journeys(settings: Settings) -> list[Read]:
    """Every journey, by file name. Raises ConfigError with the mistakes of all files that are none."""
    if wrong := unreadable(settings):
        raise ConfigError.together(wrong.values())
    return readable(settings)


def readable(settings: Settings, wanted: str = "") -> list[Read]:
    """Those that can be read: all else goes on while a file is being written; `tailrace check` says what is wrong.

    Raises ConfigError where that of the journey `wanted` is none.
    """
    if error := unreadable(settings).get(wanted):
        raise error
    return [each for each in _each(settings).values() if isinstance(each, Read)]


def unreadable(settings: Settings) -> dict[str, ConfigError]:
    """The other files, by their names without the ending: what is wrong with each."""
    return {name: each for name, each in _each(settings).items() if isinstance(each, ConfigError)}


def _each(settings: Settings) -> dict[str, Read | ConfigError]:
    found: dict[str, Read | ConfigError] = {}
    folder = settings.dbt_project / FOLDER
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.name.startswith("."):  # an editor's lock or copy
            continue
        if path.suffix == ".yml" and path.parent == folder:
            try:
                found[path.stem] = _read(path)
            except ConfigError as error:
                found[path.stem] = error
        elif path.suffix.lower() in ENDINGS and path.is_file():
            message = f"is not read: journeys end in .yml and are in no folder below; call it {FOLDER}/{path.stem}.yml"
            found[str(name)] = ConfigError(message, file=shown_path(path))
    return found


def _read(path: Path) -> Read:
    document = parse(path)
    journey = document.read(Journey)
    if journey.journey != path.stem:
        raise document.error(_misnamed(journey.journey, path), "journey")
    return Read(journey, path, document)


def _misnamed(name: str, path: Path) -> str:
    own = path.with_stem(name)
    if own.exists():
        return f"{shown_path(own)} is a journey '{name}' too; give one another name"
    return f"'{name}' is not the file's name; write `journey: {path.stem}`, or call the file {name}.yml"
