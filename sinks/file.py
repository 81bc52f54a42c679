"""One file a plan, named by sync and plan id: written aside, synced to the disk, then renamed. Idempotent by its name.

Files lie under the target's `out/`; what takes them from there is not our business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import polars as pl
import pyarrow.parquet as pq
from pydantic import Field

from models.sync import Op
from sinks.aside import written_aside
from sinks.base import BulkSink, Limits, Operation, Options, destination
from sinks.spool import written

OP = "op"  # upsert, remove or send


class FileOptions(Options):
    folder: str = destination(
        "", description="Folder below the target's out/", pattern=r"^([A-Za-z0-9_][A-Za-z0-9_. -]*(/|$))*$"
    )
    format: Literal["csv", "ndjson", "parquet"] = destination("csv", description="How rows are written")
    full: bool = Field(default=False, description="Each file holds the whole audience instead of what changed")


class FileSink(BulkSink):
    Options = FileOptions
    names_sync = True
    reserved = frozenset({OP})
    options: FileOptions

    @property
    def account(self) -> str:
        return "file"

    @property
    def limits(self) -> Limits:
        return Limits(connections=1)

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return dict.fromkeys(Op, Operation(idempotent=True))

    @property
    def whole_audience(self) -> bool:
        return self.options.full

    def send(self, out: Path, sync: str, plan_id: str, frames: Iterable[tuple[Op, pl.DataFrame]]) -> None:
        name = f"{sync.replace('/', '__')}-{plan_id}.{self.options.format}"
        with written_aside(out / self.options.folder / name) as file, written():
            self._write(file, frames)

    def _write(self, file: BinaryIO, frames: Iterable[tuple[Op, pl.DataFrame]]) -> None:
        write = _FORMATS[self.options.format](file)
        for op, frame in frames:
            # a whole audience says who left by who is not in it
            shown = frame.clear() if op is Op.REMOVE and self.options.full else frame
            write.frame(shown.select(pl.lit(str(op), dtype=pl.String).alias(OP), pl.all()))
        write.end()


class _Format(Protocol):
    """Frames may be empty: a file that nobody is in has its columns all the same."""

    def __init__(self, file: BinaryIO) -> None: ...
    def frame(self, frame: pl.DataFrame) -> None: ...
    def end(self) -> None: ...


class _Csv:
    def __init__(self, file: BinaryIO) -> None:
        self._file, self._begun = file, False

    def frame(self, frame: pl.DataFrame) -> None:
        nested = [name for name, kind in frame.schema.items() if kind.is_nested()]  # CSV has no lists
        flat = frame.with_columns(pl.struct(name).struct.json_encode().alias(name) for name in nested)
        flat.write_csv(self._file, include_header=not self._begun)
        self._begun = True

    def end(self) -> None:
        return


class _Ndjson:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def frame(self, frame: pl.DataFrame) -> None:
        if frame.is_empty():
            return
        lines = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().str.join("\n").item()
        self._file.write(lines.encode() + b"\n")

    def end(self) -> None:
        return


class _Parquet:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._writer: pq.ParquetWriter | None = None

    def frame(self, frame: pl.DataFrame) -> None:
        table = frame.to_arrow()
        self._writer = self._writer or pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table)

    def end(self) -> None:
        if self._writer:
            self._writer.close()


_FORMATS: Mapping[str, type[_Format]] = {"csv": _Csv, "ndjson": _Ndjson, "parquet": _Parquet}
