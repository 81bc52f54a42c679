"""`sources.yml`: what comes in. One entry a source; a source also needs a staging model `stg_<name>.sql`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    max_age: str | None = Field(default=None, description="Freshness: older than this (`26 hours`) is stale")


class CsvDialect(BaseModel):
    """How a CSV is written; what is not given is the RFC 4180 default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    header: bool = True
    columns: list[str] | None = Field(default=None, description="Column names where the file has no header")
    encoding: Literal["utf-8", "latin-1", "utf-16"] = "utf-8"


class FileSource(_Entry):
    """Files in a folder: each loaded exactly once into `raw.<name>`, one row a record, as JSON text."""

    files: str = Field(description="Glob below the target's landing folder, or an absolute one")
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
    max_bad: float = Field(
        default=0.05, ge=0, le=1, description="Share of bad lines in one file past which the source stops"
    )


class TableSource(_Entry):
    """A table in another DuckDB file, attached read-only for the run and never copied."""

    database: str = Field(description="Path of the DuckDB file, absolute or below the project")
    table: str = Field(description="schema.table in it")
    known_at: str | None = Field(
        default=None, description="Column that says when a row was known; without it the past cannot be replayed"
    )


Source = FileSource | TableSource


class Sources(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: dict[Name, Source]
