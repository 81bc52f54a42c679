"""Delivers a spool to a sink: the one loop for every vendor. Claims before requests, receipts after answers.

Its parts: course (by which sinks), connections (who sends), backlog (what is to be sent), wire, transport, answers,
settlement, allowances, writer.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from models.delivery import Delivery, Summary
from models.quota import Quota
from models.settings import Settings
from sinks.allowances import Allowance
from sinks.base import BulkSink, Carrier, Sink
from sinks.bulk import deliver_whole
from sinks.composed import Compose
from sinks.connections import Run
from sinks.course import Course
from sinks.destinations import Outlet, wire_for
from sinks.journal import Journal
from sinks.leases import Lease
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
    quota: Quota | None = None,
    failover: Sequence[Outlet] = (),
    transport: Transport | None = None,
    compose: Compose | None = None,
    writer: Writer | None = None,
    lease: Lease | None = None,
    patience: Patience | None = None,
    seed: int | None = None,
    clock: Callable[[], datetime] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Summary:
    """Send every row of the spool; the delivery is open in the journal and the caller holds the sync's lease.

    `compose` makes messages of rows, for a sink that carries them. `key` are the sync's key columns, `quota` that of
    the sink's account; `failover`: by which destinations messages go on, in this order, when an account is refused or
    its quota used up. `lease`: without which nothing is claimed or leaves, where there is one. `writer` (closed here)
    commits claims and receipts, `seed` makes the jitter repeatable, `clock` dates receipts and in prod requests
    (default: the run's `as_of`), `progress` hears how many rows are settled.
    Raises NeedsPerson where nobody listens (before any claim) and StorageFull where the journal cannot be written;
    everything else ends in the summary.
    """
    at = clock or (lambda: delivery.as_of)
    now = at if settings.target == "prod" else _going_on_from(delivery.as_of)
    writer = writer or Writer(journal, lease)
    if isinstance(sink, BulkSink):
        return deliver_whole(sink, spool, delivery, writer, out=settings.out, clock=at, now=now, progress=progress)
    own = Outlet(delivery.sync.partition("/")[0], sink, quota or Quota())
    jitter, counts = random.Random(seed), Counter[str]()  # noqa: S311 - spreads load, hides nothing
    patience, progress = patience or Patience(), progress or (lambda _: None)

    def run(outlet: Outlet) -> Run:
        sink = outlet.sink
        assert isinstance(sink, Carrier), f"a sink takes batches or all at once: {type(sink)}"
        allowance = Allowance(sink.account, outlet.quota, sink.limits.per_second, now)
        limiter = limiters.of(sink.account, sink.limits.per_second)
        return Run(
            name=outlet.name,
            sink=sink,
            delivery=delivery,
            identity=sink.identity(key),
            limiter=limiter,
            settlement=Settlement(sink.operations, sink.limits.connections, limiter, patience, jitter, counts),
            writer=writer,
            wire=wire_for(
                sink, settings, sync=delivery.sync, as_of=delivery.as_of, now=now, transport=transport, lease=lease
            ),
            compose=compose,
            clock=at,
            now=now,
            progress=progress,
            allowance=None if allowance.is_endless else allowance,
        )

    try:
        runs = [run(outlet) for outlet in (own, *failover)]
        for each in runs:
            each.wire.ready()
        if lease:
            lease.reach(max(each.sink.limits.longest for each in runs))
        return asyncio.run(Course(runs, counts).all(spool))
    finally:
        writer.close()


def _going_on_from(as_of: datetime) -> Callable[[], datetime]:
    """In dev a delivery begins at its `as_of` and takes as long as it takes; in prod it has the real clock."""
    started = time.monotonic()
    return lambda: as_of + timedelta(seconds=time.monotonic() - started)
