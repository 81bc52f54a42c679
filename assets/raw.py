"""The append-only tables that ingestion writes: one raw log a source, which file is which, and what was no record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from models.source import FileSource, Source
from warehouse.base import Warehouse
from warehouse.batches import create_log

SQL = Path(__file__).parent / "sql"

INGEST_FILE = "tailrace.ingest_file"
QUARANTINE = "tailrace.quarantine"

RAW_COLUMNS = {"file": "varchar", "line": "bigint", "loaded_at": "timestamptz", "record": "varchar"}
INGEST_FILE_COLUMNS = {
    "source": "varchar",
    "file": "varchar",
    "sha256": "varchar",  # of the content, its compression taken off
    "bytes": "bigint",  # on disk
    "modified_at": "timestamptz",
    "line_count": "bigint",  # records, good and bad; blank lines are none
    "bad_count": "bigint",
    "copy_of": "varchar",  # the file of the same content that was loaded; null for that one itself
    "loaded_at": "timestamptz",
}
QUARANTINE_COLUMNS = {
    "source": "varchar",
    "file": "varchar",
    "line": "bigint",
    "text": "varchar",
    "reason": "varchar",
    "loaded_at": "timestamptz",
}

FILE_ROWS = pa.schema(
    [
        ("batch_id", pa.string()),
        ("source", pa.string()),
        ("file", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("modified_at", pa.timestamp("us", "UTC")),
        ("line_count", pa.int64()),
        ("bad_count", pa.int64()),
        ("copy_of", pa.string()),
        ("loaded_at", pa.timestamp("us", "UTC")),
    ]
)


def relation(name: str) -> str:
    """The raw table of a source of files."""
    return f"raw.{name}"


def ensure_raw(warehouse: Warehouse, sources: Mapping[str, Source]) -> None:
    """Create the raw table of every source of files, and the two that they share, where they are missing."""
    create_log(warehouse, INGEST_FILE, INGEST_FILE_COLUMNS)
    create_log(warehouse, QUARANTINE, QUARANTINE_COLUMNS)
    for name, source in sources.items():
        if isinstance(source, FileSource):
            create_log(warehouse, relation(name), RAW_COLUMNS)
