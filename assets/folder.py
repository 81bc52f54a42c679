"""One source's folder gone through once: which files are new, copies, refused, still being written or too bad."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from assets import files, raw
from assets.files import Content, File, Unreadable
from assets.ingest_report import Copy, FileNote, IngestResult
from assets.loading import Arrival, Loading, file_row
from models.source import FileSource
from models.steps import step
from warehouse.base import Warehouse
from warehouse.batches import Batch, visible
from warehouse.query import render

TOGETHER_FILES = 500
TOGETHER_BYTES = 64 << 20

Progress = Callable[[str, int, int], None]  # source, bytes of files dealt with, bytes of all its files


@dataclass
class Known:
    """The files of a source that are loaded, by name and by content."""

    by_name: dict[str, Mapping[str, object]] = field(default_factory=dict)
    by_content: dict[str, str] = field(default_factory=dict)

    def add(self, row: Mapping[str, object]) -> None:
        self.by_name[str(row["file"])] = row
        if row["copy_of"] is None:
            self.by_content.setdefault(str(row["sha256"]), str(row["file"]))

    def is_unchanged(self, file: File) -> bool:
        """Whether a loaded file looks as it did, so that it need not be read again."""
        row = self.by_name.get(file.name)
        return row is not None and (row["bytes"], row["modified_at"]) == (file.size, file.modified_at)


@dataclass
class Folder:
    """The files `found` in the folder of a source, on their way through. Used once."""

    warehouse: Warehouse
    name: str
    source: FileSource
    found: Sequence[File]
    loaded_at: datetime
    on_progress: Progress | None
    known: Known = field(default_factory=Known)
    queue: list[Arrival] = field(default_factory=list)
    queued_bytes: int = 0
    done_bytes: int = 0
    loaded: list[Arrival] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    refused: list[FileNote] = field(default_factory=list)
    waiting: list[FileNote] = field(default_factory=list)
    stopped_at: Arrival | None = None

    def ingest(self) -> IngestResult:
        """Load what is new, in the order of the names."""
        query = render(raw.SQL, "select_ingested_files", self.warehouse.dialect, source=self.name)
        for row in self.warehouse.rows(query):
            self.known.add(row)
        for file in self.found:
            if self.stopped_at:
                break
            if file.size == 0 or self.known.is_unchanged(file):
                self._tell(file)
            elif content := self._read(file):
                self._settle(content)
        self._load_queue()
        return self._result()

    def _read(self, file: File) -> Content | None:
        try:
            content = files.read(file)
        except Unreadable as error:
            self._note_unreadable(file, error)
            return None
        if not file.still():
            self._note_unreadable(file, Unreadable("it changed while it was read", cut_off=True))
            return None
        step("landed", source=self.name, file=file.name)
        return content

    def _settle(self, content: Content) -> None:
        """Known, refused, a copy, or new."""
        name, sha256 = content.file.name, content.sha256
        if loaded := self.known.by_name.get(name):
            if loaded["sha256"] != sha256:
                reason = f"it was loaded at {loaded['loaded_at']:%Y-%m-%d %H:%M} and holds something else now; "
                self.refused.append(FileNote(file=name, reason=reason + "land what is new under a name of its own"))
            self._tell(content.file)
            return
        if self.source.identity == "content":
            if any(arrival.content.sha256 == sha256 for arrival in self.queue):
                self._load_queue()
            if self.stopped_at:
                return
            if original := self.known.by_content.get(sha256):
                self._record_copy(content, original)
                self._tell(content.file)
                return
        self.queue.append(Arrival(content, self._batch_id(content)))
        self.queued_bytes += len(content.kept) if content.kept is not None else TOGETHER_BYTES
        if self.queued_bytes >= TOGETHER_BYTES or len(self.queue) >= TOGETHER_FILES:
            self._load_queue()

    def _batch_id(self, content: Content) -> str:
        """From what the file holds, so that whoever repeats the work repeats the id."""
        batch_id = f"ingest/{self.name}/{content.sha256[:32]}"
        return f"{batch_id}/{_short(content.file.name)}" if self.source.identity == "name" else batch_id

    def _record_copy(self, content: Content, original: str) -> None:
        batch = Batch(self.warehouse, f"{self._batch_id(content)}/copy/{_short(content.file.name)}")
        row = file_row(self.name, Arrival(content, batch.batch_id), self.loaded_at, copy_of=original)
        batch.append(raw.INGEST_FILE, pa.Table.from_pylist([row], raw.FILE_ROWS).drop_columns("batch_id"))
        batch.commit(self.loaded_at)
        self.known.add(row)
        self.copies.append(Copy(file=content.file.name, copy_of=original))

    def _load_queue(self) -> None:
        already = visible(self.warehouse, [arrival.batch_id for arrival in self.queue])
        arrivals = [arrival for arrival in self.queue if arrival.batch_id not in already]
        self.queue, self.queued_bytes = [], 0
        if not arrivals:
            return
        loading = Loading(self.warehouse, self.name, self.source, arrivals, self.loaded_at)
        loading.append(lambda arrival: self._tell(arrival.content.file))
        whole = [arrival for arrival in arrivals if self._is_whole(arrival)]
        stop = next((at for at, arrival in enumerate(whole) if self._has_too_many_bad(arrival)), len(whole))
        loading.commit(whole[:stop])
        self.stopped_at = whole[stop] if stop < len(whole) else None
        self.loaded += whole[:stop]
        for arrival in whole[:stop]:
            self.known.add(file_row(self.name, arrival, self.loaded_at))

    def _is_whole(self, arrival: Arrival) -> bool:
        file, error = arrival.content.file, arrival.unreadable
        if error is None and not file.still():
            error = Unreadable("it changed while it was read", cut_off=True)
        if error:
            self._note_unreadable(file, error)
        return error is None

    def _has_too_many_bad(self, arrival: Arrival) -> bool:
        return arrival.bad > self.source.bad_allowed(arrival.good + arrival.bad)

    def _note_unreadable(self, file: File, error: Unreadable) -> None:
        """Someone may still be writing it, or it is broken; one that is gone by now is nobody's concern."""
        self._tell(file)
        if file.path.exists():
            unfinished = not file.still() or (error.cut_off and file.is_warm)
            notes = self.waiting if unfinished else self.refused
            notes.append(FileNote(file=file.name, reason=str(error)))

    def _tell(self, file: File) -> None:
        self.done_bytes += file.size
        if self.on_progress:
            self.on_progress(self.name, self.done_bytes, sum(each.size for each in self.found))

    def _result(self) -> IngestResult:
        return IngestResult(
            source=self.name,
            files=len(self.loaded),
            rows=sum(arrival.good for arrival in self.loaded),
            bad=sum(arrival.bad for arrival in self.loaded),
            copies=tuple(self.copies),
            refused=tuple(self.refused),
            waiting=tuple(self.waiting),
            stopped=self._why_stopped(self.stopped_at) if self.stopped_at else None,
        )

    def _why_stopped(self, arrival: Arrival) -> str:
        lines = arrival.good + arrival.bad
        names = [file.name for file in self.found]
        later = [name for name in names[names.index(arrival.name) + 1 :] if name not in self.known.by_name]
        allowed = f"{self.source.bad_allowed(lines):.10g}"
        return (
            f"{arrival.name}: {arrival.bad} of {lines} lines are bad, more than the {allowed} that max_bad allows "
            f"({'; '.join(arrival.examples)}); nothing of it was loaded and {len(later)} later files wait. "
            "Mend the file, take it away, or raise max_bad in sources.yml"
        )


def _short(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
