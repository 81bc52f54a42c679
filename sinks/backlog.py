"""What is still to be sent in one phase: batches cut from the spool as they are needed, and those to try again.

Constant memory: one chunk of the spool at a time becomes payloads, by column, in a thread.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from models.delivery import Outcome, Ranges, RowOutcome
from models.sync import Op
from sinks.base import Carrier, Limits
from sinks.composed import Compose
from sinks.spool import CONTACT, EXPIRES, QUIET, RESERVED, ROW, SEND_KEY, written
from sinks.writer import ranges_of

CHUNK_ROWS = 8_192


@dataclass(frozen=True)
class Chunk:
    """Rows of the spool with their payloads."""

    op: Op
    first: int
    frame: pl.DataFrame
    payloads: list[str]
    sizes: list[int]  # bytes of each payload
    contacts: list[str | None] | None
    send_keys: list[str | None] | None
    expires_at: list[datetime | None] | None
    quiet_at: list[datetime | None] | None
    failed: Mapping[int, RowOutcome]  # offset → why the row has no payload

    @classmethod
    def of(cls, sink: Carrier, op: Op, rows: pl.DataFrame, compose: Compose | None = None) -> Chunk:
        own, failed = rows.drop(RESERVED, strict=False), dict[int, RowOutcome]()
        if compose:
            composed = compose(rows)
            own = composed.frame
            failed = {offset: RowOutcome(Outcome.REJECTED, reason) for offset, reason in composed.failed.items()}
        with written():
            payloads = pl.Series(sink.payloads(op, own), dtype=pl.String)

        def column(name: str) -> list[Any] | None:
            return rows[name].to_list() if name in rows.columns else None

        return cls(
            op=op,
            first=int(rows[ROW][0]),
            frame=own,
            payloads=payloads.to_list(),
            sizes=payloads.str.len_bytes().to_list(),
            failed=failed,
            contacts=column(CONTACT),
            send_keys=column(SEND_KEY),
            expires_at=column(EXPIRES),
            quiet_at=column(QUIET),
        )


@dataclass(slots=True)
class Work:
    """Some rows of a chunk that leave together; `attempt` counts from 1, `last` is what became of the one before."""

    chunk: Chunk
    offsets: Sequence[int]
    attempt: int = 1
    last: Outcome | None = None
    settled: Mapping[int, RowOutcome] | None = None  # positions in `offsets` that cannot leave

    @property
    def ranges(self) -> Ranges:
        if isinstance(self.offsets, range):
            return ((self.chunk.first + self.offsets.start, len(self.offsets)),)
        return ranges_of([self.chunk.first + offset for offset in self.offsets])

    @property
    def payloads(self) -> Sequence[str]:
        if isinstance(self.offsets, range):
            return self.chunk.payloads[self.offsets.start : self.offsets.stop]
        return [self.chunk.payloads[offset] for offset in self.offsets]

    def only(self, positions: Sequence[int], *, attempt: int, last: Outcome) -> Work:
        """The rows at these positions of `offsets`, to be tried again."""
        return Work(self.chunk, [self.offsets[position] for position in positions], attempt, last)

    def without(self, positions: Collection[int]) -> Work:
        """The rows that may leave after all."""
        kept = [offset for position, offset in enumerate(self.offsets) if position not in positions]
        return Work(self.chunk, kept, self.attempt, self.last)

    def halves(self) -> tuple[Work, Work]:
        middle = len(self.offsets) // 2
        return tuple(  # type: ignore[return-value]
            Work(self.chunk, half, self.attempt + 1, self.last or Outcome.RETRY)
            for half in (self.offsets[:middle], self.offsets[middle:])
        )


def cut(chunk: Chunk, limits: Limits) -> Iterator[Work]:
    """Batches as large as one request may be, in rows and in bytes. A row too large alone is settled as rejected."""
    for offsets in _ranges(chunk.sizes, limits):
        settled = {offset - offsets.start: chunk.failed[offset] for offset in offsets if offset in chunk.failed}
        room = limits.bytes - limits.envelope
        if not settled and len(offsets) == 1 and chunk.sizes[offsets.start] > room:
            reason = f"a row of {chunk.sizes[offsets.start]} bytes; the largest request holds {room}"
            settled = {0: RowOutcome(Outcome.REJECTED, reason)}
        yield Work(chunk, offsets, settled=settled or None)


def _ranges(sizes: Sequence[int], limits: Limits) -> Iterator[range]:
    """Neighbours that fit in one request; who fits in none is alone."""
    if limits.rows == 1:
        yield from (range(offset, offset + 1) for offset in range(len(sizes)))
        return
    ends = np.cumsum(np.array(sizes, dtype=np.int64) + 1)
    start = 0
    while start < len(sizes):
        before = int(ends[start - 1]) if start else 0
        fits = int(np.searchsorted(ends, before + limits.bytes - limits.envelope + 1, side="right"))
        stop = max(start + 1, min(fits, start + limits.rows))
        yield range(start, stop)
        start = stop


class Backlog:
    """One phase's work for several connections. The phase is over when nothing is left, due later or in flight."""

    def __init__(self, sink: Carrier, op: Op, frames: Iterator[pl.DataFrame], compose: Compose | None = None) -> None:
        self._sink, self._op, self._frames, self._compose = sink, op, frames, compose
        self._fresh: Iterator[Work] = iter(())
        self._later: list[tuple[float, int, Work]] = []
        self._count = 0
        self._in_flight = 0
        self._exhausted = False
        self._cutting: asyncio.Task[Chunk | None] | None = None
        self._changed = asyncio.Event()
        self.closed = False

    def poll(self) -> Work | None:
        """Work that can leave now, `None` when there is none at this moment."""
        if self.closed:
            return None
        if self._later and self._later[0][0] <= time.monotonic():
            self._in_flight += 1
            return heapq.heappop(self._later)[2]
        work = next(self._fresh, None)
        if work is not None:
            self._in_flight += 1
        return work

    async def take(self) -> Work | None:
        """The next work, waiting for it; `None` when the phase is over or closed."""
        while not self.closed:
            if work := self.poll():
                return work
            if not self._exhausted:
                await self._refill()
            elif not self._later and not self._in_flight:
                return None
            else:
                await self._wait()
        return None

    def again(self, work: Work, seconds: float) -> None:
        """Try `work` again after `seconds`."""
        self._count += 1
        heapq.heappush(self._later, (time.monotonic() + seconds, self._count, work))

    def done(self) -> None:
        """What was taken is settled; what is to be tried again was put back before."""
        self._in_flight -= 1
        if self._later or not self._in_flight:  # nobody waits for anything else
            self._wake()

    def close(self) -> None:
        """Give out nothing more."""
        self.closed = True
        self._wake()

    async def left(self) -> list[Work]:
        """What was to be tried again when the backlog was closed. Waits for the chunk that is being made."""
        if self._cutting:
            await asyncio.wait([self._cutting])
        return [work for _, _, work in self._later]

    async def _refill(self) -> None:
        """Take the chunk that was made meanwhile and begin the next, once however many connections wait for it."""
        self._cutting = task = self._cutting or self._begin()
        chunk = await asyncio.shield(task)
        if task is not self._cutting:
            return  # another connection has taken it
        if chunk is None:
            self._cutting, self._exhausted = None, True
            self._wake()
        else:
            self._fresh = cut(chunk, self._sink.limits)
            self._cutting = self._begin()

    def _begin(self) -> asyncio.Task[Chunk | None]:
        return asyncio.create_task(asyncio.to_thread(self._chunk))

    def _chunk(self) -> Chunk | None:
        frame = next(self._frames, None)
        return None if frame is None else Chunk.of(self._sink, self._op, frame, self._compose)

    async def _wait(self) -> None:
        self._changed.clear()
        seconds = max(self._later[0][0] - time.monotonic(), 0) if self._later else None
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    def _wake(self) -> None:
        self._changed.set()
