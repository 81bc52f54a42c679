"""Reads Parquet rows as JSON objects, numbered from 1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from assets.files import Unreadable
from assets.lines import ARRIVING, arriving
from warehouse.dialect import DuckDBDialect

ROWS = 16_384  # in one batch
INEXACT = ("decimal", "hugeint", "uhugeint", "timestamp with time zone")  # JSON has no number, or no text, for these


def records(path: Path) -> Iterator[pa.RecordBatch]:
    """Batches in the shape of ARRIVING. Decimals are text: JSON's numbers would round them. Raises Unreadable."""
    dialect = DuckDBDialect()
    scan = f"read_parquet({dialect.literal(str(path))}, file_row_number = true)"
    try:
        with duckdb.connect() as engine:
            engine.execute("set timezone = 'UTC'")
            described = engine.execute(f"describe select * from {scan}").fetchall()
            columns = {name: kind.lower() for name, kind, *_ in described if name != "file_row_number"}
            fields = ", ".join(f"{dialect.quote(name)} := {_exact(name, kind)}" for name, kind in columns.items())
            query = f"select file_row_number + 1 as line, to_json(struct_pack({fields})) as text from {scan}"
            for batch in engine.execute(query).to_arrow_reader(ROWS):
                yield arriving(batch.column("line"), batch.column("text").cast(ARRIVING.field("text").type), None)
    except duckdb.Error as error:
        message = f"it cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise Unreadable(message) from error


def _exact(name: str, kind: str) -> str:
    quoted = DuckDBDialect().quote(name)
    return f"cast({quoted} as varchar)" if kind.startswith(INEXACT) else quoted
