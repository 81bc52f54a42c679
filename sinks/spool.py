"""The rows of one plan on disk, so that the warehouse is not held while they leave. One Parquet file a run.

Columns `_row` (0 … n-1, removes first), `_op`, perhaps `_send_key`, `_contact` and `_profile_id`, then the sync's
own, typed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import NeedsPerson, StorageFull
from models.steps import step

ROW, OP, SEND_KEY, CONTACT, PROFILE = "_row", "_op", "_send_key", "_contact", "_profile_id"
RESERVED = (ROW, OP, SEND_KEY, CONTACT, PROFILE)
GROUP_ROWS = 65_536  # rows a row group: read back in constant memory


def write(path: Path, reader: pa.RecordBatchReader) -> int:
    """Write every row beside `path`, sync, then take the name; the number of rows. Raises StorageFull."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    rows = 0
    try:
        with aside.open("wb") as file:
            with pq.ParquetWriter(file, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch, row_group_size=GROUP_ROWS)
                    rows += len(batch)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"{path}: no space left for the spool; free some and run the command again, nothing is lost"
            raise StorageFull(message) from error
        raise
    step("spooled", spool=path.name, rows=rows)
    return rows


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Spool:
    """A written spool, read in order or by rows. Raises NeedsPerson where the file is missing or not whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowInvalid) as error:
            message = f"{path}: the spool of this delivery cannot be read ({error}); plan the sync again"
            raise NeedsPerson(message) from error

    @property
    def row_count(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The sync's own columns."""
        return tuple(name for name in self._file.schema_arrow.names if name not in RESERVED)

    def frames(self, chunk_rows: int) -> Iterator[pl.DataFrame]:
        """All rows in order, at most `chunk_rows` a frame, one operation a frame."""
        for batch in self._file.iter_batches(batch_size=chunk_rows):
            frame = pl.DataFrame(batch)
            yield from frame.partition_by(OP, maintain_order=True) if len(frame) else ()

    def rows(self, first: int, count: int) -> pl.DataFrame:
        """Rows `first … first + count - 1`, reading only the row groups that hold them."""
        start, parts = 0, []
        for group in range(self._file.num_row_groups):
            size = self._file.metadata.row_group(group).num_rows
            if start < first + count and start + size > first:
                part = pl.DataFrame(self._file.read_row_group(group))
                parts.append(part.slice(max(first - start, 0), first + count - max(start, first)))
            start += size
        return pl.concat(parts) if parts else pl.DataFrame(self._file.schema_arrow.empty_table())
