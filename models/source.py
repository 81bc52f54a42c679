"""`sources.yml`: what comes in. One entry a source; a source also needs a staging model `stg_<name>.sql`."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from models.journey import EventName
from models.times import Duration

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Age = Annotated[str, Field(pattern=r"^[1-9][0-9]* (minute|hour|day)s?$")]


class LoadedThrough(BaseModel):
    """Until when everything of a source is loaded, which no event's own time can tell: a night may be quiet.

    Declared in one of three ways; a journey that waits for an event goes on without it only when this has passed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lag: Duration | None = Field(default=None, description="So long behind the last look at the source that succeeded")
    closes: Literal["day", "hour"] | None = Field(
        default=None,
        description="A file's name holds the day or hour it closes: 2026-11-24, 2026-11-24T13 or 2026-11-24-13; loaded "
        "to the end of the last one before which none is missing, empty files too. One file is the whole interval",
    )
    marker: str | None = Field(
        default=None,
        min_length=1,
        description="Glob of files without content below the landing folder; the newest name holds the day or moment",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(each is not None for each in (self.lag, self.closes, self.marker)) != 1:
            raise ValueError('give one of `lag: 2 hours`, `closes: day` (or hour), `marker: "done/*"`')
        if ".." in PurePath(self.marker or "").parts:
            raise ValueError("`marker` may not contain `..`; write an absolute path for files outside")
        return self


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    max_age: Age | None = Field(default=None, description="Freshness: nothing new for longer (`26 hours`) is stale")
    events: tuple[EventName, ...] | None = Field(
        default=None, min_length=1, description="The events it may send; default: those it has sent"
    )
    loaded_through: LoadedThrough | None = Field(
        default=None, description="Until when it is loaded: journeys that wait for its events need it"
    )

    @property
    def freshness(self) -> timedelta | None:
        """`max_age` to compute with."""
        if self.max_age is None:
            return None
        number, unit = self.max_age.split()
        return timedelta(**{unit.rstrip("s") + "s": int(number)})


class CsvDialect(BaseModel):
    """How a CSV is written; what is not given is the RFC 4180 default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1, description="Empty: nothing is quoted")
    escape: str = Field(default='"', max_length=1, description="What stands before a quote inside a quoted field")
    header: bool = Field(default=True, description="The first line holds the column names")
    columns: list[str] | None = Field(
        default=None, min_length=1, description="Column names where the file has no header"
    )
    encoding: Literal["utf-8", "latin-1", "utf-16"] = "utf-8"

    @model_validator(mode="after")
    def _tells_apart(self) -> Self:
        marks = [mark for mark in (self.delimiter, self.quote) if mark]
        if len(set(marks)) < len(marks) or {*marks, self.escape} & set("\r\n\0"):
            raise ValueError("`delimiter` and `quote` must differ, and none may end a line")
        return self

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.header and self.columns:
            raise ValueError("give `columns` only with `header: false`: a header names the columns itself")
        if not self.header and not self.columns:
            raise ValueError("`header: false` needs `columns`: nothing else names them")
        if self.columns and len(set(self.columns)) < len(self.columns):
            raise ValueError("`columns` has a name twice")
        return self


class FileSource(_Entry):
    """Files in a folder: each loaded exactly once into `raw.<name>`, one row a record, as JSON text."""

    files: str = Field(min_length=1, description="Glob below the target's landing folder, or an absolute one")
    format: Literal["ndjson", "csv", "parquet", "lines"]
    csv: CsvDialect = CsvDialect()
    identity: Literal["content", "name"] = Field(
        default="content",
        description="content: equal files are one (the second is recorded as a copy); name: both are true ones",
    )
    expect: dict[str, str] = Field(
        default_factory=dict,
        description="Column → SQL type; a record where it is missing or does not cast is quarantined",
    )
    max_bad: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of bad lines in one file past which the source stops; "
        "when not given: 0.05, but ten lines of a short file, and never more than half",
    )

    def bad_allowed(self, lines: int) -> float:
        """How many bad lines a file of so many may have."""
        if self.max_bad is not None:
            return self.max_bad * lines
        return max(0.05 * lines, min(10, lines / 2))

    @field_validator("files")
    @classmethod
    def _inside(cls, files: str) -> str:
        if ".." in PurePath(files).parts:
            raise ValueError("may not contain `..`; write an absolute path for files outside the landing folder")
        return files

    @field_validator("expect")
    @classmethod
    def _typed(cls, expect: dict[str, str]) -> dict[str, str]:
        for kind in expect.values():
            if not re.fullmatch(r"[a-zA-Z ]+(\(\d+(, ?\d+)?\))?", kind):
                message = f"'{kind}' is not a type; write one like bigint, decimal(18,2), timestamptz or text"
                raise ValueError(message)
        return expect

    @model_validator(mode="after")
    def _fits_format(self) -> Self:
        if self.format != "csv" and "csv" in self.model_fields_set:
            message = f"`csv` describes a CSV, but the format is {self.format}"
            raise ValueError(message)
        if self.format == "lines" and self.expect:
            raise ValueError("`expect` needs columns, and `lines` has none; check them in the staging model")
        return self


class TableSource(_Entry):
    """A table that is never copied: of the warehouse's own database, or of another DuckDB file, attached read-only."""

    database: str | None = Field(
        default=None,
        min_length=1,
        description="Path of the DuckDB file, absolute or below the project; without it the warehouse's own database",
    )
    table: str = Field(pattern=r"^[^.]+\.[^.]+$", description="schema.table in it")
    model: str | None = Field(
        default=None,
        pattern=r"^[^.]+\.[^.]+$",
        description="package.model: what makes the table, of a dbt project among `packages`, whose own runs do",
    )
    known_at: str | None = Field(
        default=None, description="Column that says when a row was known; without it the past cannot be replayed"
    )

    @field_validator("loaded_through")
    @classmethod
    def _has_no_files(cls, loaded_through: LoadedThrough | None) -> LoadedThrough | None:
        if loaded_through and not loaded_through.lag:
            raise ValueError("a table has no files: only `lag` says until when it is loaded")
        return loaded_through


def _kind(entry: Any) -> str:
    """An entry that names a database or a table is one in place; everything else is read as files."""
    if isinstance(entry, dict):
        return "in place" if {"database", "table", "model"} & set(entry) else "of files"
    return "in place" if isinstance(entry, TableSource) else "of files"


Source = Annotated[
    Annotated[FileSource, Tag("of files")] | Annotated[TableSource, Tag("in place")], Discriminator(_kind)
]


class Sources(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: dict[Name, Source]
    packages: dict[Name, str] = Field(
        default_factory=dict, description="The dbt projects of others: name → folder, absolute or below the project"
    )
