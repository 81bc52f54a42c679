"""What the last ingestion of each source came to: told to the caller, and kept beside the warehouse for `status`.

The kept file is a report, never truth: what is loaded is what tailrace.ingest_file says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from models.settings import Settings

FILE = "ingest.json"


class FileNote(BaseModel):
    """A file that was not loaded, and why."""

    model_config = ConfigDict(frozen=True)

    file: str
    reason: str


class Copy(BaseModel):
    """A file that holds exactly what another, loaded one holds."""

    model_config = ConfigDict(frozen=True)

    file: str
    copy_of: str


class IngestResult(BaseModel):
    """What one source came to. `rows` and `bad` count the files loaded now."""

    model_config = ConfigDict(frozen=True)

    source: str
    files: int = 0
    rows: int = 0
    bad: int = 0
    copies: tuple[Copy, ...] = ()
    refused: tuple[FileNote, ...] = ()  # a person must look: changed after loading, damaged, unreadable
    waiting: tuple[FileNote, ...] = ()  # still being written: loaded by a later run, nobody need do anything
    stopped: str | None = None  # the file with too many bad lines; it and all later ones wait for a person
    stale: str | None = None  # why a table in place cannot be read now

    @property
    def needs_a_person(self) -> bool:
        """Whether the next run will come to the same until someone does something."""
        return bool(self.refused or self.stopped)


class _Kept(RootModel[dict[str, IngestResult]]):
    root: dict[str, IngestResult]


def keep(settings: Settings, results: Iterable[IngestResult], declared: Container[str]) -> None:
    """Remember these as the last of their sources, and forget sources that are declared no more.

    A disk that is full loses only this report.
    """
    before = {name: result for name, result in last(settings).items() if name in declared}
    known = {**before, **{result.source: result for result in results}}
    path = _path(settings)
    aside = path.with_suffix(".tmp")
    with contextlib.suppress(OSError):
        aside.write_text(_Kept(known).model_dump_json(indent=1), encoding="utf-8")
        aside.replace(path)


def last(settings: Settings) -> dict[str, IngestResult]:
    """The last result of each source that was ever ingested."""
    try:
        return _Kept.model_validate_json(_path(settings).read_bytes()).root
    except (OSError, ValidationError):
        return {}


def _path(settings: Settings) -> Path:
    return settings.root / FILE
