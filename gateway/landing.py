"""What was accepted, made durable before it is answered: rows of the journal's suppression list, lines of files.

One thread writes. All that waits when it begins shares one commit of the journal and one write to a file, each synced.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from gateway.metrics import Counter, Gauge, Histogram, Measure
from gateway.part import END, Part, recover, sync_folder
from models.errors import NeedsPerson, StorageFull, TailraceError
from models.journal_place import Place
from sinks.aside import FULL
from sinks.journal import Journal
from sinks.suppression import Listed, Row, Seen, Stance, check_writable, landed_name

_log = logging.getLogger("tailrace.gateway")
_OVERHEAD = 500  # bytes that an entry takes while it waits, besides its lines


class Busy(TailraceError):
    """More waits to be written than may; nothing of this was taken."""


class Written(NamedTuple):
    """What becomes durable together: lines without their ends, and rows of the suppression list."""

    lines: Sequence[bytes] = ()
    suppressions: Sequence[Row] = ()


@dataclass(frozen=True)
class Pace:
    """When a file is finished, and how much may wait."""

    seconds: float = 5.0  # how long a file grows: what is in it is not loaded before
    bytes: int = 64 << 20
    waiting_bytes: int = 16 << 20
    free_bytes: int = 64 << 20  # on the device, below which the gateway is not ready


@dataclass(eq=False)
class _Group:
    """Entries that will be one commit."""

    entries: list[Callable[[Seen], Written]] = field(default_factory=list)
    size: int = 0


class Landing:
    """A landing folder and the journal, open for writing between `open` and `close`. Used in one event loop."""

    def __init__(self, folder: Path, journal: Place, clock: Callable[[], datetime], pace: Pace | None = None) -> None:
        self._folder, self._journal_place, self._clock = folder, journal, clock
        self._pace = pace or Pace()
        self._thread = ThreadPoolExecutor(1, "landing")
        self._turn = asyncio.Lock()
        self._next: tuple[_Group, asyncio.Task[None]] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self._part: Part | None = None
        self._number = 0
        self._waiting = 0
        self._lines = Counter("tailrace_gateway_lines_total", "Lines landed.")
        self._suppressions = Counter("tailrace_gateway_suppressions_total", "Rows new in the suppression list.")
        self._seconds = Histogram("tailrace_gateway_commit_seconds", "From the begin of a commit until it is durable.")

    @property
    def measures(self) -> tuple[Measure, ...]:
        waiting = Gauge("tailrace_gateway_waiting_bytes", "Bytes that wait to be written.", lambda: self._waiting)
        return self._lines, self._suppressions, self._seconds, waiting

    def open(self) -> None:
        """Finish what a process before left. Raises StorageFull or NeedsPerson."""
        with _translated(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in recover(self._folder):
                _log.warning("%s: left by a process that did not end well; it can be loaded now", path)
        self._journal = Journal(self._journal_place)
        self._listed = Listed(self._journal_place)

    def close(self) -> None:
        """Everything that was answered is in finished files when this returns. Raises StorageFull or NeedsPerson."""
        try:
            self._thread.submit(self._finish).result()
        finally:
            self._thread.shutdown()
            self._listed.close()
            self._journal.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def write(self, lines: Sequence[bytes], suppressions: Sequence[Row] = ()) -> None:
        """Durable when this returns. Raises Busy at once, StorageFull or NeedsPerson: then no line of it is kept."""
        written = Written(lines, suppressions)
        await self.settle(lambda _: written, sum(map(len, lines)))

    async def settle(self, entry: Callable[[Seen], Written], size: int = 0) -> None:
        """As `write`, of what `entry` says in the writer's thread, seeing the list with all that comes before it.

        `size`: bytes of what it holds.
        """
        if self._waiting + size > self._pace.waiting_bytes:
            message = f"{self._waiting:,} bytes wait to be written"
            raise Busy(message)
        group, task = self._next = self._next or self._gathering()
        group.entries.append(entry)
        group.size += size + _OVERHEAD
        self._waiting += size + _OVERHEAD
        await asyncio.shield(task)

    async def stances(self, contact: str) -> dict[str, Stance]:
        """What the journal's list says of the hash of a contact point, by purpose. Raises NeedsPerson."""
        return await asyncio.to_thread(self._stances, contact)

    def _stances(self, contact: str) -> dict[str, Stance]:
        with Listed(self._journal_place) as listed:
            return listed.stances(contact)

    def check(self) -> None:
        """Raise StorageFull or NeedsPerson where nothing could be written now. For any thread."""
        check_writable(self._journal_place)
        with _translated(self._folder):
            probe = self._folder / f".gateway-probe-{os.getpid()}"
            probe.write_bytes(END)
            probe.unlink()
            free = shutil.disk_usage(self._folder).free
        if free < self._pace.free_bytes:
            message = f"{self._folder}: {free:,} bytes are left on its device"
            raise StorageFull(message)

    def _gathering(self) -> tuple[_Group, asyncio.Task[None]]:
        group = _Group()
        return group, asyncio.create_task(self._commit(group))

    async def _commit(self, group: _Group) -> None:
        """When the commit before is over; until then whoever comes joins the group."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            self._next = None
            try:
                await loop.run_in_executor(self._thread, self._write, group.entries)
            finally:
                self._waiting -= group.size
        if self._part and not self._finishing:
            self._finishing = asyncio.create_task(self._finish_later())

    async def _finish_later(self) -> None:
        await asyncio.sleep(self._pace.seconds)
        self._finishing = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        except TailraceError as error:  # what is in the file is safe; the next commit tries again
            _log.error("%s", error)

    # --- in the writer's thread

    def _write(self, entries: Sequence[Callable[[Seen], Written]]) -> None:
        """The journal first: what stops messages stays, whatever happens to the lines, and was not answered then."""
        began = time.perf_counter()
        part, seen = self._growing(), Seen(self._listed)
        lines: list[bytes] = []
        rows: list[Row] = []
        for entry in entries:
            written = entry(seen)
            seen.note(written.suppressions)
            lines += written.lines
            rows += written.suppressions
        added = self._journal.suppress(rows)
        if lines:
            self._append(part, b"".join(line + END for line in lines))
        self._lines.add(by=len(lines))
        self._suppressions.add(by=added)
        self._seconds.add(time.perf_counter() - began)
        if part.size >= self._pace.bytes:
            self._finish()

    def _growing(self) -> Part:
        """The file that grows. It is there before any row whose line it will hold: see `position_told`."""
        if self._part is None:
            position = self._journal.suppression_position()
            self._number += 1
            with _translated(self._folder):
                name = landed_name(self._clock(), os.getpid(), self._number, position)
                self._part = Part.begin(self._folder, name)
        return self._part

    def _append(self, part: Part, data: bytes) -> None:
        with _translated(self._folder):
            try:
                part.append(data)
            except OSError:
                if not part.is_sound:
                    part.leave()
                    self._part = None
                raise

    def _finish(self) -> None:
        if self._part:
            with _translated(self._folder):
                self._part.finish()
                self._part = None
                sync_folder(self._folder)


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL | {errno.EFBIG}:
            message = f"{folder}: no space left; free some, nothing that was answered is lost"
            raise StorageFull(message) from error
        message = f"{folder}: cannot be written ({error.strerror or error})"
        raise NeedsPerson(message) from error
