"""The connections of one delivery: each claims, sends, reads and writes its receipt together with its next claim.

What carries a batch is sinks/wire.py; what follows from its outcomes is decided in sinks/settlement.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import polars as pl

from models.delivery import Claim, Delivery, Outcome, Outcomes, Summary
from models.sync import Op
from sinks.backlog import CHUNK_ROWS, Backlog, Work
from sinks.base import Batch, Carrier
from sinks.composed import Compose
from sinks.limiter import Limiter
from sinks.settlement import Settlement
from sinks.spool import OP, Spool
from sinks.wire import Wire
from sinks.writer import Entry, Grant, Receipt, Request, Times, Writer


def phases(frames: Iterator[pl.DataFrame]) -> Iterator[tuple[Op, Iterator[pl.DataFrame]]]:
    """Frames by operation, in the order of the spool."""
    by_op = groupby(((Op(frame[OP][0]), frame) for frame in frames), key=itemgetter(0))
    return ((op, (frame for _, frame in group)) for op, group in by_op)


@dataclass
class Run:
    """One delivery under way. Lives in one event loop and its thread."""

    sink: Carrier
    delivery: Delivery
    identity: tuple[str, ...]
    limiter: Limiter
    settlement: Settlement
    writer: Writer
    wire: Wire
    clock: Callable[[], datetime]  # dates what is written
    now: Callable[[], datetime]  # the delivery's own: what a vendor hears, and by which messages are late
    progress: Callable[[int], None]
    compose: Compose | None = None  # of a sink of messages: what makes them of rows
    _posted: list[tuple[Entry, asyncio.Future[Grant | None]]] = field(default_factory=list)

    async def all(self, spool: Spool) -> Summary:
        """Every phase, each begun when the one before is settled."""
        self._loop = asyncio.get_running_loop()
        self._limits = self.sink.limits
        async with self.wire:
            for op, frames in phases(spool.frames(CHUNK_ROWS)):
                await self._phase(op, frames)
                if self.settlement.stopped is not None:
                    break
        counts = self.settlement.counts
        return Summary(dict(counts), spool.row_count - counts.total(), self.settlement.stopped)

    async def _phase(self, op: Op, frames: Iterator[pl.DataFrame]) -> None:
        """All rows of one operation, settled or left when this returns."""
        self._backlog = self.settlement.backlog = Backlog(self.sink, op, frames, self.compose)
        connections = [asyncio.create_task(self._connection()) for _ in range(self._limits.connections)]
        try:
            await asyncio.wait(connections, return_when=asyncio.FIRST_EXCEPTION)
        finally:  # a failed journal or Ctrl-C: what is in flight is still read and written
            if any(not task.done() or task.exception() for task in connections):
                self.settlement.stop("interrupted")
            await asyncio.wait(connections)
            for work in await self._backlog.left():
                self.settlement.leave(work)
        for error in [task.exception() for task in connections]:
            if error:
                raise error

    async def _connection(self) -> None:
        """One request at a time: wait for the limit, claim, send, then the receipt and the next claim together."""
        work: Work | None = None
        grant: Grant | None = None
        while True:
            if grant is None:
                work = work or await self._backlog.take()
                if work is None:
                    return
                if not await self._paced():
                    self._leave(work)
                    return
                grant = await self._write(Entry(request=self._request(work)))
            assert work, "what was granted was asked for"
            assert grant, "an entry with a request is answered by a grant"
            claim, work = grant.claim, self._granted(work, grant)
            if claim is None:
                self._backlog.done()
                work = grant = None
                continue
            verdict = self.settlement.settle(work, await self._sent(work, claim))
            receipt = Receipt(claim, verdict.outcomes, self.clock())
            if verdict.again:
                grant, work = await self._write(Entry(receipt)), verdict.again
                await self._rest(verdict.seconds)
                continue
            self._backlog.done()
            work = self._backlog.poll()
            request = self._request(work) if work and self.limiter.reserve() == 0 else None
            grant = await self._write(Entry(receipt, request))
            self.progress(self.settlement.counts.total())

    async def _paced(self) -> bool:
        """Wait for the account's limiter; False when the run stops meanwhile."""
        while self.settlement.stopped is None and (seconds := self.limiter.reserve()) > 0:
            await self._rest(seconds)
        return self.settlement.stopped is None

    async def _rest(self, seconds: float) -> None:
        """Wait, but not for a run that stops."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.settlement.stopping.wait(), seconds)

    def _leave(self, work: Work) -> None:
        self.settlement.leave(work)
        self._backlog.done()

    def _request(self, work: Work) -> Request:
        chunk, offsets = work.chunk, work.offsets
        return Request(
            delivery=self.delivery,
            op=chunk.op,
            ranges=work.ranges,
            attempt=work.attempt,
            at=self.clock(),
            contacts=chunk.contacts and [chunk.contacts[offset] for offset in offsets],
            send_keys=chunk.send_keys and [chunk.send_keys[offset] for offset in offsets],
            settled=work.settled or {},
            times=self._times(work),
            in_doubt=work.last is Outcome.UNKNOWN,
        )

    def _times(self, work: Work) -> Times | None:
        expires_at, quiet_at = work.chunk.expires_at, work.chunk.quiet_at
        if expires_at is None or quiet_at is None:
            return None
        return Times(
            [expires_at[offset] for offset in work.offsets], [quiet_at[offset] for offset in work.offsets], self.now
        )

    def _granted(self, work: Work, grant: Grant) -> Work:
        """The work without the rows that never leave; stops the run where nothing may leave any more."""
        if grant.stopped:
            self.settlement.stop(grant.stopped)
            self.settlement.leave(work)
            return work
        if not grant.settled:
            return work
        self.settlement.counts.update(str(row.outcome) for row in grant.settled.values())
        return work.without(grant.settled)

    async def _sent(self, work: Work, claim: Claim) -> Outcomes:
        """What became of one request."""
        if self.settlement.stopped is not None:  # while the claim was written
            return Outcomes.all(Outcome.RETRY, "not sent: the run stopped")
        chunk = work.chunk
        batch = Batch(
            self.delivery.sync, chunk.op, claim.key, self.identity, self.now(), work.payloads, chunk.frame, work.offsets
        )
        return await self.wire.send(batch, claim)

    def _write(self, entry: Entry) -> asyncio.Future[Grant | None]:
        """Post with everything else of this turn of the event loop; resolved once it is on the disk."""
        future: asyncio.Future[Grant | None] = self._loop.create_future()
        if not self._posted:
            self._loop.call_soon(self._post)
        self._posted.append((entry, future))
        return future

    def _post(self) -> None:
        posted, self._posted = self._posted, []
        try:
            grants = self.writer.write([entry for entry, _ in posted])
        except Exception as error:  # noqa: BLE001 - raised in every connection that waits for this commit
            for _, future in posted:
                if not future.cancelled():
                    future.set_exception(error)
        else:
            for (_, future), grant in zip(posted, grants, strict=True):
                if not future.cancelled():
                    future.set_result(grant)
