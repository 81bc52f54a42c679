"""The rows of one plan on disk, so that the warehouse is not held while they leave. One Parquet file a run.

Columns `_row` (0 … n-1, removes first), `_op`, perhaps `_send_key`, `_contact`, `_profile_id`, of a journey's messages
`_expires_at` and `_quiet_at`, then the sync's own, typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import NeedsPerson
from models.steps import step
from sinks.aside import written_aside

ROW, OP, SEND_KEY, CONTACT, PROFILE = "_row", "_op", "_send_key", "_contact", "_profile_id"
EXPIRES, QUIET = "_expires_at", "_quiet_at"  # moments from which a message may not leave
RESERVED = (ROW, OP, SEND_KEY, CONTACT, PROFILE, EXPIRES, QUIET)
GROUP_ROWS = 65_536  # rows a row group: read back in constant memory


def write(path: Path, reader: pa.RecordBatchReader) -> int:
    """Write every row beside `path`, sync, then take the name; the number of rows. Raises StorageFull."""
    rows = 0
    with written_aside(path) as file, pq.ParquetWriter(file, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch, row_group_size=GROUP_ROWS)
            rows += len(batch)
    step("spooled", spool=path.name, rows=rows)
    return rows


@contextmanager
def written() -> Iterator[None]:
    """Raise NeedsPerson where a value of the block cannot be written: polars panics, and its panic is no Exception."""
    try:
        yield
    except pl.exceptions.PanicException as error:
        message = f"a value cannot be written ({error}): a date without an end, perhaps; mend it in the model"
        raise NeedsPerson(message) from error


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
