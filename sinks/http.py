"""Delivers a spool to a sink: the one loop for every vendor. Claims before requests, receipts after answers.

Its parts: backlog (what is to be sent), connections (who sends it), wire, transport, answers, settlement, writer.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from models.delivery import Delivery, Summary
from models.settings import Settings
from sinks.base import BulkSink, Carrier, Sink
from sinks.bulk import deliver_whole
from sinks.composed import Compose
from sinks.connections import Run
from sinks.destinations import wire_for
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.settlement import Patience, Settlement
from sinks.spool import Spool
from sinks.transport import Transport
from sinks.writer import Writer


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
    compose: Compose | None = None,
    writer: Writer | None = None,
    patience: Patience | None = None,
    seed: int | None = None,
    clock: Callable[[], datetime] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Send every row of the spool; the delivery is open in the journal and the caller holds the sync's lease.

    `compose` makes messages of rows, for a sink that carries them. `key` are the sync's key columns, `writer` (closed
    here) commits claims and receipts, `seed` makes the jitter repeatable, `clock` dates receipts and in prod requests
    (default: the run's `as_of`), `progress` hears how many rows are settled.
    Raises NeedsPerson where nobody listens (before any claim) and StorageFull where the journal cannot be written;
    everything else ends in the summary.
    """
    at = clock or (lambda: delivery.as_of)
    now = at if settings.target == "prod" else _going_on_from(delivery.as_of)
    if isinstance(sink, BulkSink):
        return deliver_whole(sink, spool, delivery, journal, out=settings.out, clock=at, now=now, progress=progress)
    assert isinstance(sink, Carrier), f"a sink takes batches or all at once: {type(sink)}"
    wire = wire_for(sink, settings, sync=delivery.sync, as_of=delivery.as_of, now=now, transport=transport)
    wire.ready()
    limiter = limiters.of(sink.account, sink.limits.per_second)
    settlement = Settlement(
        operations=sink.operations,
        connections=sink.limits.connections,
        limiter=limiter,
        patience=patience or Patience(),
        jitter=random.Random(seed),  # noqa: S311 - spreads load, hides nothing
    )
    writer = writer or Writer(journal)
    try:
        run = Run(
            sink=sink,
            delivery=delivery,
            identity=sink.identity(key),
            limiter=limiter,
            settlement=settlement,
            writer=writer,
            wire=wire,
            compose=compose,
            clock=at,
            now=now,
            progress=progress or (lambda _: None),
        )
        return asyncio.run(run.all(spool))
    finally:
        writer.close()


def _going_on_from(as_of: datetime) -> Callable[[], datetime]:
    """In dev a delivery begins at its `as_of` and takes as long as it takes; in prod it has the real clock."""
    started = time.monotonic()
    return lambda: as_of + timedelta(seconds=time.monotonic() - started)
