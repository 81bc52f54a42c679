"""Drives a sink that takes a whole delivery at once: the same claims and receipts, one request.

Rows are claimed chunk by chunk as they are handed over; their receipts follow when all of them are durable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from models.delivery import Claim, Delivery, Outcome, Outcomes, Summary
from models.steps import step
from models.sync import Op
from sinks.base import BulkSink
from sinks.claims import Entry, Receipt, Request, Times
from sinks.spool import CONTACT, EXPIRES, OP, QUIET, RESERVED, ROW, SEND_KEY, Spool
from sinks.writer import Writer

CHUNK_ROWS = 65_536


class _Held(Exception):
    """A claim was not granted: nothing is written."""


def deliver_whole(
    sink: BulkSink,
    spool: Spool,
    delivery: Delivery,
    writer: Writer,
    *,
    out: Path,
    clock: Callable[[], datetime],
    now: Callable[[], datetime],
    progress: Callable[[int], None] | None,
) -> Summary:
    """Hand every row over, write what became of it, close the writer. Raises StorageFull where one of them is full."""
    handover = _Handover(spool, delivery, writer, clock, now)
    try:
        try:
            sink.send(out, delivery.sync, delivery.plan_id, handover.frames())
        except _Held as held:
            return handover.receive(Outcomes.all(Outcome.RETRY, str(held)), stopped=str(held))
        step("answered", run=delivery.run_id)
        summary = handover.receive(Outcomes.all(Outcome.ACCEPTED))
    finally:
        writer.close()
    if progress:
        progress(sum(summary.counts.values()))
    return summary


@dataclass
class _Handover:
    spool: Spool
    delivery: Delivery
    writer: Writer
    clock: Callable[[], datetime]
    now: Callable[[], datetime]
    claims: list[Claim] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def frames(self) -> Iterator[tuple[Op, pl.DataFrame]]:
        """The rows that may leave, each chunk claimed just before."""
        for frame in self.spool.frames(CHUNK_ROWS):
            yield from self._claimed(Op(frame[OP][0]), frame)
        step("sent", run=self.delivery.run_id)

    def _claimed(self, op: Op, frame: pl.DataFrame) -> Iterator[tuple[Op, pl.DataFrame]]:
        request = Request(
            delivery=self.delivery,
            op=op,
            ranges=((int(frame[ROW][0]), len(frame)),),
            attempt=1,
            at=self.clock(),
            contacts=frame[CONTACT].to_list() if CONTACT in frame.columns else None,
            send_keys=frame[SEND_KEY].to_list() if SEND_KEY in frame.columns else None,
            times=Times(frame[EXPIRES].to_list(), frame[QUIET].to_list(), self.now)
            if EXPIRES in frame.columns
            else None,
        )
        grant = self.writer.claim(request)
        if grant.stopped:
            raise _Held(grant.stopped)
        self.counts.update(str(row.outcome) for row in grant.settled.values())
        if grant.claim:
            self.claims.append(grant.claim)
        kept = [position for position in range(len(frame)) if position not in grant.settled]
        yield op, (frame[kept] if grant.settled else frame).drop(RESERVED, strict=False)

    def receive(self, outcomes: Outcomes, stopped: str | None = None) -> Summary:
        """One receipt a claim, in one commit."""
        for claim in self.claims:
            self.counts[str(outcomes.default.outcome)] += claim.count
        receipts = [Entry(receipt=Receipt(claim, outcomes, self.clock())) for claim in self.claims]
        self.writer.write(receipts)
        return Summary(dict(self.counts), self.spool.row_count - self.counts.total(), stopped)
