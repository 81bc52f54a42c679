"""The one delivery loop: claims before requests, receipts after answers, removes before upserts, for every sink.

What may be tried again is decided here and in sinks/answers.py; what a vendor's answer means, in its sink.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

import polars as pl

from models.delivery import Claim, Delivery, Outcome, Outcomes, Summary
from models.settings import Settings
from models.steps import step
from models.sync import Op
from sinks import answers
from sinks.backlog import CHUNK_ROWS, Backlog, Work
from sinks.base import Batch, BulkSink, HttpSink, Sink
from sinks.bulk import deliver_whole
from sinks.destinations import transport_for
from sinks.journal import Journal
from sinks.limiter import Backoff, Limiter, Limiters
from sinks.spool import OP, Spool
from sinks.transport import Lost, NotSent, Transport
from sinks.writer import Entry, Grant, Receipt, Request, Result, Writer

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Patience:
    """How long a run tries: attempts of one batch, and seconds in which a throttling vendor takes nothing."""

    attempts: int = 6
    throttled_seconds: float = 300.0
    backoff: Backoff = field(default_factory=Backoff)


def deliver(
    sink: Sink,
    spool: Spool,
    delivery: Delivery,
    journal: Journal,
    *,
    settings: Settings,
    key: Sequence[str],
    limiters: Limiters,
    transport: Transport | None = None,
    patience: Patience | None = None,
    seed: int | None = None,
    clock: Callable[[], datetime] | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Send every row of the spool; the delivery is open in the journal and the caller holds the sync's lease.

    `key` are the sync's key columns, `seed` makes the jitter repeatable, `clock` dates receipts (default: the run's
    `as_of`), `progress` hears of rows as they are settled. Raises NeedsPerson where nobody listens (before any
    claim) and StorageFull where the journal cannot be written; everything else ends in the summary.
    """
    at = clock or (lambda: delivery.as_of)
    if isinstance(sink, BulkSink):
        return deliver_whole(sink, spool, delivery, journal, out=settings.out, clock=at, progress=progress)
    assert isinstance(sink, HttpSink), f"a sink speaks HTTP or takes all at once: {type(sink)}"
    wire = transport or transport_for(sink, settings, sync=delivery.sync, as_of=delivery.as_of)
    wire.ready()
    writer = Writer(journal)
    try:
        run = _Run(
            sink=sink,
            delivery=delivery,
            identity=sink.identity(key),
            limiter=limiters.of(sink.account, sink.limits.per_second),
            writer=writer,
            transport=wire,
            patience=patience or Patience(),
            jitter=random.Random(seed),  # noqa: S311 - spreads load, hides nothing
            clock=at,
            progress=progress or (lambda _: None),
        )
        return asyncio.run(run.all(spool))
    finally:
        writer.close()


def phases(frames: Iterator[pl.DataFrame]) -> Iterator[tuple[Op, Iterator[pl.DataFrame]]]:
    """Frames by operation, in the order of the spool."""
    by_op = groupby(((Op(frame[OP][0]), frame) for frame in frames), key=itemgetter(0))
    return ((op, (frame for _, frame in group)) for op, group in by_op)


@dataclass
class _Run:
    """One delivery under way. Lives in one event loop; only the writer is another thread."""

    sink: HttpSink
    delivery: Delivery
    identity: tuple[str, ...]
    limiter: Limiter
    writer: Writer
    transport: Transport
    patience: Patience
    jitter: random.Random
    clock: Callable[[], datetime]
    progress: Progress
    counts: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    unsettled_in_a_row: int = 0

    async def all(self, spool: Spool) -> Summary:
        self.started = time.monotonic()
        self.loop = asyncio.get_running_loop()
        self.stopping = asyncio.Event()
        self.posted: list[tuple[Entry, asyncio.Future[Grant | None]]] = []
        async with self.transport:
            for op, frames in phases(spool.frames(CHUNK_ROWS)):
                await self._phase(op, frames)
                if self.stopped is not None:
                    break
        unsent = spool.row_count - self.counts.total()
        return Summary(dict(self.counts), unsent, self.stopped)

    async def _phase(self, op: Op, frames: Iterator[pl.DataFrame]) -> None:
        """All rows of one operation, settled or left when this returns."""
        self.backlog = Backlog(self.sink, op, frames)
        connections = [asyncio.create_task(self._connection()) for _ in range(self.sink.limits.connections)]
        try:
            await asyncio.wait(connections, return_when=asyncio.FIRST_EXCEPTION)
        finally:  # a failed journal or Ctrl-C: what is in flight is still read and written
            if any(not task.done() or task.exception() for task in connections):
                self._stop("interrupted")
            await asyncio.wait(connections)
            for work in await self.backlog.left():
                self._leave(work)
        for error in [task.exception() for task in connections]:
            if error:
                raise error

    async def _connection(self) -> None:
        """One request at a time: wait for the limit, claim, send, then the receipt and the next claim together."""
        work: Work | None = None
        grant: Grant | None = None
        while True:
            if grant is None:
                work = work or await self.backlog.take()
                if work is None:
                    return
                if not await self._paced():
                    self._leave(work)
                    self.backlog.done()
                    return
                grant = await self._write(Entry(request=self._request(work)))
            assert work, "what was granted was asked for"
            assert grant, "an entry with a request is answered by a grant"
            claim, work = grant.claim, self._granted(work, grant)
            if claim is None:
                self.backlog.done()
                work = grant = None
                continue
            outcomes = self._settled(work, await self._sent(work, claim))
            self.backlog.done()
            work = self.backlog.poll()
            request = self._request(work) if work and self.limiter.reserve() == 0 else None
            grant = await self._write(Entry(Receipt(claim, outcomes, self.clock()), request))
            self.progress(self.counts.total())

    async def _paced(self) -> bool:
        """Wait for the account's limiter; False when the run stops meanwhile."""
        while (seconds := self.limiter.reserve()) > 0 and self.stopped is None:
            try:
                await asyncio.wait_for(self.stopping.wait(), seconds)
            except TimeoutError:
                continue
        return self.stopped is None

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
            settled=work.settled,
        )

    def _granted(self, work: Work, grant: Grant) -> Work:
        """The work without the rows that never leave; stops the run where nothing may leave any more."""
        if grant.stopped:
            self._stop(grant.stopped)
            self._leave(work)
            return work
        if not grant.settled:
            return work
        self.counts.update(str(row.outcome) for row in grant.settled.values())
        return work.without(grant.settled)

    async def _sent(self, work: Work, claim: Claim) -> Outcomes:
        """What became of one request."""
        if self.stopped is not None:  # while the claim was written
            return Outcomes.all(Outcome.RETRY, "not sent: the run stopped")
        chunk, offsets = work.chunk, work.offsets
        now = self.delivery.as_of + timedelta(seconds=time.monotonic() - self.started)
        payloads = (
            chunk.payloads[offsets.start : offsets.stop]
            if isinstance(offsets, range)
            else [chunk.payloads[offset] for offset in offsets]
        )
        batch = Batch(self.delivery.sync, chunk.op, claim.key, self.identity, now, payloads, chunk.frame, offsets)
        pending = self.transport.start(self.sink.request(batch), claim.key, self.sink.limits.timeout)
        await asyncio.sleep(0)  # the request goes to the network here
        step("sent", run=claim.run_id, claim=claim.seq)
        try:
            response = await pending
        except (NotSent, Lost) as error:
            return answers.failed(error)
        step("answered", run=claim.run_id, claim=claim.seq)
        return answers.read(self.sink, batch, response, now)

    def _settled(self, work: Work, outcomes: Outcomes) -> Outcomes:
        """Decide what is tried again and count the rest; the outcomes as the receipt has them."""
        if outcomes.stop:
            self._stop(outcomes.stop)
        if outcomes.throttled or outcomes.retry_after is not None:
            self._throttled(outcomes.retry_after)
        if outcomes.split and len(work.offsets) > 1:
            for half in work.halves():
                self.backlog.again(half, 0.0)
            return Outcomes.all(Outcome.RETRY, outcomes.default.reason)
        final = set()
        for outcome, positions in _by_outcome(outcomes, len(work.offsets)):
            if not self._again(work, outcome, positions, throttled=outcomes.throttled):
                self.counts[str(outcome)] += len(positions)
                final.add(outcome)
        if final:
            self._judge(final)
        return outcomes

    def _again(self, work: Work, outcome: Outcome, positions: Sequence[int], *, throttled: bool) -> bool:
        """Put rows back that may be tried again in this run; False where this outcome is their last."""
        idempotent = self.sink.operations[work.chunk.op].idempotent
        if outcome is not Outcome.RETRY and not (outcome is Outcome.UNKNOWN and idempotent):
            return False
        # waiting in a throttling vendor's line is no attempt, and the limiter holds everyone back
        attempt = work.attempt + (not throttled)
        seconds = 0.0 if throttled else self.patience.backoff.wait(work.attempt, self.jitter)
        if self.stopped is not None or attempt > self.patience.attempts:
            return False
        self.backlog.again(work.only(positions, attempt=attempt, last=outcome), seconds)
        return True

    def _throttled(self, retry_after: float | None) -> None:
        wait = self.limiter.throttled(retry_after)
        if max(wait, self.limiter.throttled_for()) > self.patience.throttled_seconds:
            self._stop(f"the vendor throttles this account and asks to wait {wait:.0f} s; the rest goes next time")

    def _judge(self, final: set[Outcome]) -> None:
        """As many batches in a row as there are connections that nobody took, and the sync stops."""
        if final - {Outcome.UNKNOWN, Outcome.RETRY}:
            self.unsettled_in_a_row = 0
            self.limiter.answered()
            return
        self.unsettled_in_a_row += 1
        if self.unsettled_in_a_row >= self.sink.limits.connections:
            told = " or ".join(sorted(final))
            self._stop(f"{self.unsettled_in_a_row} requests in a row ended as {told}; their receipts have the reason")

    def _leave(self, work: Work) -> None:
        """Rows that are not tried again because the run stops: they end as their last attempt did."""
        if work.last is not None:
            self.counts[str(work.last)] += len(work.offsets)

    def _stop(self, reason: str) -> None:
        """Claim nothing more; what is in flight is still read and written."""
        self.stopped = self.stopped or reason
        self.stopping.set()
        self.backlog.close()

    def _write(self, entry: Entry) -> asyncio.Future[Grant | None]:
        """Post with everything else of this turn of the event loop; resolved once it is on the disk."""
        future: asyncio.Future[Grant | None] = self.loop.create_future()
        if not self.posted:
            self.loop.call_soon(self._post)
        self.posted.append((entry, future))
        return future

    def _post(self) -> None:
        posted, self.posted = self.posted, []
        futures = [future for _, future in posted]

        def done(results: list[Result]) -> None:
            self.loop.call_soon_threadsafe(_resolve, futures, results)

        self.writer.post([entry for entry, _ in posted], done)


def _by_outcome(outcomes: Outcomes, count: int) -> Iterable[tuple[Outcome, Sequence[int]]]:
    """Positions in the batch by outcome."""
    if not outcomes.rows:
        return [(outcomes.default.outcome, range(count))]
    positions: dict[Outcome, list[int]] = {}
    for position in range(count):
        positions.setdefault(outcomes[position].outcome, []).append(position)
    return positions.items()


def _resolve(futures: Sequence[asyncio.Future[Grant | None]], results: Sequence[Result]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
