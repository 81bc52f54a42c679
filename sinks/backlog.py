"""What is still to be sent in one phase: batches cut from the spool as they are needed, and those to try again.

Constant memory: one chunk of the spool at a time becomes payloads, by column, in a thread.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from models.delivery import Outcome, Ranges, RowOutcome
from models.sync import Op
from sinks.base import Carrier, Limits
from sinks.claims import ranges_of
from sinks.composed import Compose
from sinks.spool import CONTACT, EXPIRES, QUIET, RESERVED, ROW, SEND_KEY, written

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
        payloads = _payloads(sink, op, own)

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

    def by(self, sink: Carrier) -> Chunk:
        """The same rows, as they are composed already, for another sink."""
        payloads = _payloads(sink, self.op, self.frame)
        return replace(self, payloads=payloads.to_list(), sizes=payloads.str.len_bytes().to_list())


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

    def only(self, positions: Sequence[int], *, attempt: int, last: Outcome | None) -> Work:
        """The rows at these positions of `offsets`, to be tried again."""
        return Work(self.chunk, [self.offsets[position] for position in positions], attempt, last)

    def after(self, outcome: Outcome) -> Work:
        """The same rows once more, after an attempt that ended so."""
        return Work(self.chunk, self.offsets, self.attempt + 1, outcome)

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
    return _cut(Work(chunk, range(len(chunk.sizes))), limits)


def _cut(whole: Work, limits: Limits) -> Iterator[Work]:
    chunk, room = whole.chunk, limits.bytes - limits.envelope
    for places in _ranges([chunk.sizes[offset] for offset in whole.offsets], limits):
        offsets = whole.offsets[places.start : places.stop]
        settled = {place: chunk.failed[offset] for place, offset in enumerate(offsets) if offset in chunk.failed}
        if not settled and len(offsets) == 1 and chunk.sizes[offsets[0]] > room:
            reason = f"a row of {chunk.sizes[offsets[0]]} bytes; the largest request holds {room}"
            settled = {0: RowOutcome(Outcome.REJECTED, reason)}
        yield Work(chunk, offsets, whole.attempt, whole.last, settled or None)


def _together(works: Iterable[Work]) -> list[Work]:
    """The rows of a chunk with one past as one work, in the order of the spool: they are cut anew."""
    found: dict[tuple[int, int, Outcome | None], list[Work]] = {}
    for work in works:
        found.setdefault((work.chunk.first, work.attempt, work.last), []).append(work)
    return [
        Work(same[0].chunk, sorted(chain.from_iterable(work.offsets for work in same)), attempt, last)
        for (_, attempt, last), same in sorted(found.items(), key=lambda item: item[0][:2])
    ]


def _payloads(sink: Carrier, op: Op, rows: pl.DataFrame) -> pl.Series:
    with written():
        return pl.Series(sink.payloads(op, rows), dtype=pl.String)


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
    """One phase's work for several connections. The phase is over when nothing is left, due later or in flight.

    `moved` is what another sink left, of the same frames; it goes first.
    """

    def __init__(
        self,
        sink: Carrier,
        op: Op,
        frames: Iterator[pl.DataFrame],
        compose: Compose | None = None,
        moved: Iterable[Work] = (),
    ) -> None:
        self._sink, self._op, self._frames, self._compose = sink, op, frames, compose
        self._moved = deque(_together(moved))
        self._fresh: Iterator[Work] = iter(())
        self._later: list[tuple[float, int, Work]] = []
        self._count = 0
        self._in_flight = 0
        self._exhausted = False
        self._cutting: asyncio.Task[Iterator[Work] | None] | None = None
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

    async def made(self) -> None:
        """Wait for the chunk that is being made: its thread reads the frames."""
        if self._cutting:
            await asyncio.wait([self._cutting])

    def left(self) -> list[Work]:
        """What was taken from the frames and given to nobody, or put back, when the backlog was closed.

        Raises what making the last chunk raised.
        """
        made = self._cutting.result() if self._cutting else None
        return [*(work for _, _, work in self._later), *self._fresh, *(made or ()), *self._moved]

    async def _refill(self) -> None:
        """Take the chunk that was made meanwhile and begin the next, once however many connections wait for it."""
        self._cutting = task = self._cutting or self._begin()
        works = await asyncio.shield(task)
        if task is not self._cutting:
            return  # another connection has taken it
        if works is None:
            self._cutting, self._exhausted = None, True
            self._wake()
        else:
            self._fresh = works
            self._cutting = self._begin()

    def _begin(self) -> asyncio.Task[Iterator[Work] | None]:
        return asyncio.create_task(asyncio.to_thread(self._chunk))

    def _chunk(self) -> Iterator[Work] | None:
        limits = self._sink.limits
        if self._moved:
            work = self._moved.popleft()
            return _cut(replace(work, chunk=work.chunk.by(self._sink)), limits)
        frame = next(self._frames, None)
        return None if frame is None else cut(Chunk.of(self._sink, self._op, frame, self._compose), limits)

    async def _wait(self) -> None:
        self._changed.clear()
        seconds = max(self._later[0][0] - time.monotonic(), 0) if self._later else None
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    def _wake(self) -> None:
        self._changed.set()
