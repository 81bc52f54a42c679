"""Carries the records of landed files into a raw log and their bad lines into the quarantine, nothing visible yet.

Files go together where they are small and in slices where they are large; each stays a batch of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from assets import csv_records, parquet_records, raw
from assets.files import Content, Unreadable
from assets.lines import ARRIVING, numbered
from models.source import FileSource
from models.steps import step
from warehouse.base import Warehouse
from warehouse.batches import Batches
from warehouse.query import render

SLICE = 64 << 20  # bytes of records on their way at a time; the next ones are read meanwhile
TAG = pa.dictionary(pa.int32(), pa.string())
TAGGED = pa.schema([*ARRIVING, ("file_number", pa.int32()), ("batch_id", TAG), ("file", TAG)])
EXAMPLES = 3


@dataclass
class Arrival:
    """One file on its way in, and what was found in it."""

    content: Content
    batch_id: str
    good: int = 0
    bad: int = 0
    examples: list[str] = field(default_factory=list)
    unreadable: Unreadable | None = None

    @property
    def name(self) -> str:
        return self.content.file.name


@dataclass
class Loading:
    """Some files of one source."""

    warehouse: Warehouse
    name: str
    source: FileSource
    arrivals: Sequence[Arrival]
    loaded_at: datetime

    def __post_init__(self) -> None:
        ids = [arrival.batch_id for arrival in self.arrivals]
        self.batches = Batches(self.warehouse, ids)
        self.batch_ids = pa.array(ids, pa.string())
        self.names = pa.array([arrival.name for arrival in self.arrivals], pa.string())

    def append(self, tell: Callable[[Arrival], None]) -> None:
        """Append everything under ids that are not visible; counts and examples are left on the arrivals."""
        for rows, done in _ahead(self._slices()):
            self._append_slice(rows)
            for arrival in done:
                tell(arrival)
        for arrival in self.arrivals:
            step("appended", batch=arrival.batch_id, table=raw.relation(self.name))

    def commit(self, arrivals: Sequence[Arrival]) -> None:
        """Make these visible, each with the row that says which file it is; what the others appended goes."""
        kept = {arrival.batch_id for arrival in arrivals}
        self.batches.drop([arrival.batch_id for arrival in self.arrivals if arrival.batch_id not in kept])
        if not arrivals:
            return
        rows = [file_row(self.name, arrival, self.loaded_at) for arrival in arrivals]
        self.batches.append(raw.INGEST_FILE, pa.Table.from_pylist(rows, raw.FILE_ROWS))
        counts = {arrival.batch_id: arrival.good + arrival.bad + 1 for arrival in arrivals}
        self.batches.commit(counts, self.loaded_at)

    def _slices(self) -> Iterator[tuple[pa.Table, list[Arrival]]]:
        """Records of several files or of a part of one, with the files that end in them."""
        waiting: list[pa.RecordBatch] = []
        done: list[Arrival] = []
        size = 0
        for number, arrival in enumerate(self.arrivals):
            try:
                for batch in self._records(arrival.content):
                    waiting.append(self._tagged(batch, number))
                    size += batch.nbytes
                    if size >= SLICE:
                        yield pa.Table.from_batches(waiting), done
                        waiting, done, size = [], [], 0
            except Unreadable as error:
                arrival.unreadable = error
            done.append(arrival)
        yield pa.Table.from_batches(waiting, TAGGED), done

    def _records(self, content: Content) -> Iterator[pa.RecordBatch]:
        match self.source.format:
            case "parquet":
                return parquet_records.records(content.file.path)
            case "csv":
                keep_original = bool(self.source.expect)
                return csv_records.records(content.chunks(), self.source.csv, keep_original=keep_original)
            case "ndjson" | "lines":
                return numbered(content.chunks(), strip=self.source.format == "ndjson")

    def _append_slice(self, rows: pa.Table) -> None:
        for counted in rows.group_by("file_number").aggregate([([], "count_all")]).to_pylist():
            self.arrivals[counted["file_number"]].good += counted["count_all"]
        with self.warehouse.lend("arriving", rows):
            good = self.batches.append(raw.relation(self.name), self._render("select_arriving_records"))
            if good == len(rows):
                return
            mistakes = self.warehouse.stream(self._render("select_arriving_mistakes")).read_all()
        explained = _explained(mistakes)
        self._count_bad(explained)
        bad = self.batches.append(raw.QUARANTINE, explained.drop_columns("file_number"))
        assert good + bad == len(rows), f"{good} records and {bad} bad lines of {len(rows)} arrived"

    def _count_bad(self, mistakes: pa.Table) -> None:
        for row in mistakes.select(["file_number", "line", "reason"]).to_pylist():
            arrival = self.arrivals[row["file_number"]]
            arrival.good -= 1
            arrival.bad += 1
            if len(arrival.examples) < EXAMPLES:
                arrival.examples.append(f"line {row['line']}: {row['reason']}")

    def _tagged(self, batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
        """With the file it is from; as dictionaries, which halves what a join by number costs."""
        numbers = pa.repeat(pa.scalar(number, pa.int32()), len(batch))
        tags = (pa.DictionaryArray.from_arrays(numbers, texts) for texts in (self.batch_ids, self.names))
        return pa.RecordBatch.from_arrays([*batch.columns, numbers, *tags], schema=TAGGED)

    def _render(self, query: str) -> str:
        return render(
            raw.SQL,
            query,
            self.warehouse.dialect,
            source=self.name,
            format=self.source.format,
            expect=[(column, json_path(column, self.source), kind) for column, kind in self.source.expect.items()],
            loaded_at=self.loaded_at,
        )


def json_path(column: str, source: FileSource) -> str:
    """Where a column of `expect` is in a record; a dot goes a level down in NDJSON, and is part of a name elsewhere."""
    names = column.split(".") if source.format == "ndjson" else [column]
    return "$" + "".join(f".{json.dumps(name, ensure_ascii=False)}" for name in names)


def file_row(name: str, arrival: Arrival, loaded_at: datetime, copy_of: str | None = None) -> dict[str, object]:
    """The row of tailrace.ingest_file for a file."""
    file = arrival.content.file
    return {
        "batch_id": arrival.batch_id,
        "source": name,
        "file": file.name,
        "sha256": arrival.content.sha256,
        "bytes": file.size,
        "modified_at": file.modified_at,
        "line_count": arrival.good + arrival.bad,
        "bad_count": arrival.bad,
        "copy_of": copy_of,
        "loaded_at": loaded_at,
    }


T = TypeVar("T")


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in a thread of its own while the one before is worked on."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _explained(mistakes: pa.Table) -> pa.Table:
    """The engine says only that a text is no JSON; say where it stops being it."""
    reasons = mistakes.column("reason")
    if not pc.any(pc.equal(reasons, "not valid JSON")).as_py():
        return mistakes
    told = [_json_mistake(text, reason) for text, reason in zip(mistakes["text"], reasons, strict=True)]
    return mistakes.set_column(mistakes.schema.get_field_index("reason"), "reason", pa.array(told, pa.string()))


def _json_mistake(text: pa.Scalar, reason: pa.Scalar) -> str:
    said = str(reason.as_py())
    if said == "not valid JSON":
        try:
            json.loads(text.as_py())
        except json.JSONDecodeError as error:
            return f"{said}: {error.msg[0].lower()}{error.msg[1:]} (character {error.pos + 1})"
        except RecursionError:
            return f"{said}: too deeply nested"
    return said
