"""The connections to one sink: each claims, sends, reads and writes its receipt together with its next claim.

What carries a batch is sinks/wire.py; what follows from its outcomes is decided in sinks/settlement.py; what goes on
by another sink in sinks/course.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import polars as pl

from models.delivery import Claim, Delivery, Outcome, Outcomes
from models.sync import Op
from sinks.allowances import Allowance
from sinks.backlog import Backlog, Work
from sinks.base import Batch, Carrier
from sinks.claims import Entry, Grant, Receipt, Request, Times
from sinks.composed import Compose
from sinks.limiter import Limiter
from sinks.settlement import Settlement
from sinks.spool import OP
from sinks.wire import Wire
from sinks.writer import Writer


def phases(frames: Iterator[pl.DataFrame]) -> Iterator[tuple[Op, Iterator[pl.DataFrame]]]:
    """Frames by operation, in the order of the spool."""
    by_op = groupby(((Op(frame[OP][0]), frame) for frame in frames), key=itemgetter(0))
    return ((op, (frame for _, frame in group)) for op, group in by_op)


@dataclass
class Run:
    """One delivery under way by one sink. Lives in one event loop and its thread."""

    name: str  # of the destination, in sinks.yml
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
    allowance: Allowance | None = None  # none where the account may be asked without end
    _posted: list[tuple[Entry, asyncio.Future[Grant | None]]] = field(default_factory=list)

    async def phase(self, op: Op, frames: Iterator[pl.DataFrame], moved: Sequence[Work] = ()) -> list[Work]:
        """All rows of one operation, settled when this returns, but for those of a refused account that are left.

        Within the wire's block. `moved`: what the sink before left of the same frames.
        """
        self._loop = asyncio.get_running_loop()
        self._backlog = self.settlement.backlog = Backlog(self.sink, op, frames, self.compose, moved)
        connections = [asyncio.create_task(self._connection()) for _ in range(self.sink.limits.connections)]
        try:
            await asyncio.wait(connections, return_when=asyncio.FIRST_EXCEPTION)
        finally:  # a failed journal or Ctrl-C: what is in flight is still read and written
            if any(not task.done() or task.exception() for task in connections):
                self.settlement.stop("interrupted")
            await asyncio.wait(connections)
            await self._backlog.made()
        for error in [task.exception() for task in connections]:
            if error:
                raise error
        for work in self._backlog.left():
            self.settlement.leave(work)
        return self.settlement.left

    async def _connection(self) -> None:
        """One request at a time: wait for the limit, claim, send, then the receipt and the next claim together."""
        work: Work | None = None
        grant: Grant | None = None
        slot = 0.0
        while True:
            if grant is None:
                work = work or await self._backlog.take()
                if work is None:
                    return
                if not await self._paced(slot):
                    self._leave(work)
                    return
                await self.wire.prepare()
                grant = await self._write(Entry(request=self._request(work, slot)))
            assert work, "what was granted was asked for"
            assert grant, "an entry with a request is answered by a grant"
            slot = grant.leaves_at if grant.is_early else 0.0
            if slot:  # another process was faster
                self.limiter.follow(slot)
                grant = None
                continue
            claim, work = grant.claim, self._granted(work, grant)
            if claim is None:
                self._backlog.done()
                work = grant = None
                continue
            verdict = self.settlement.settle(work, await self._sent(work, claim, grant.leaves_at))
            receipt = Receipt(claim, verdict.outcomes, self.clock(), grant.place)
            if verdict.again:
                grant, work = await self._write(Entry(receipt)), verdict.again
                await self._rest(verdict.seconds)
                continue
            self._backlog.done()
            work = self._backlog.poll()
            is_ready = self.wire.is_prepared and self.limiter.reserve() == 0
            request = self._request(work) if work and is_ready else None
            grant = await self._write(Entry(receipt, request))
            self.progress(self.settlement.counts.total())

    async def _paced(self, slot: float) -> bool:
        """Wait for the slot that is ours, or without one for the account's limiter; False when the run stops."""
        if slot:
            await self._rest(max(slot - time.monotonic(), 0))
            return self.settlement.stopped is None
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

    def _request(self, work: Work, slot: float = 0.0) -> Request:
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
            sink=self.name,
            allowance=self.allowance,
            slot=slot,
        )

    def _times(self, work: Work) -> Times | None:
        expires_at, quiet_at = work.chunk.expires_at, work.chunk.quiet_at
        if expires_at is None or quiet_at is None:
            return None
        return Times(
            [expires_at[offset] for offset in work.offsets], [quiet_at[offset] for offset in work.offsets], self.now
        )

    def _granted(self, work: Work, grant: Grant) -> Work:
        """The work without the rows that never leave, or not now; stops the run where nothing may any more."""
        if grant.stopped:
            self.settlement.stop(grant.stopped)
        if grant.spent:
            self.settlement.refuse(grant.spent)
        if grant.stopped or grant.spent:
            self.settlement.leave(work)
            return work
        if grant.held:  # it asks again: a place that is given back meanwhile is theirs
            self._backlog.again(work.only(grant.held, attempt=work.attempt, last=work.last), 0.0)
        self.settlement.counts.update(str(row.outcome) for row in grant.settled.values())
        return work.without({*grant.settled, *grant.held}) if grant.settled or grant.held else work

    async def _sent(self, work: Work, claim: Claim, leaves_at: float) -> Outcomes:
        """What became of one request, in its turn."""
        if (seconds := leaves_at - time.monotonic()) > 0:
            await self._rest(seconds)
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
