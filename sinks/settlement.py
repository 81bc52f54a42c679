"""What becomes of rows after an answer: counted, tried again in this run, or the reason why the run stops."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from models.delivery import Outcome, Outcomes
from models.sync import Op
from sinks.backlog import Backlog, Work
from sinks.base import Operation
from sinks.limiter import Backoff, Limiter

UNSETTLED = frozenset({Outcome.UNKNOWN, Outcome.RETRY})


@dataclass(frozen=True)
class Patience:
    """How long a run tries: attempts of one batch, and seconds in which a throttling vendor takes nothing."""

    attempts: int = 6
    throttled_seconds: float = 300.0
    backoff: Backoff = field(default_factory=Backoff)


@dataclass
class Settlement:
    """One run's decisions. `connections` batches in a row that end unsettled stop it."""

    operations: Mapping[Op, Operation]
    connections: int
    limiter: Limiter
    patience: Patience
    jitter: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    backlog: Backlog | None = None  # of the phase under way
    _in_a_row: int = 0

    def settle(self, work: Work, outcomes: Outcomes) -> Outcomes:
        """Decide what is tried again and count the rest; the outcomes as the receipt has them."""
        if outcomes.stop:
            self.stop(outcomes.stop)
        if outcomes.throttled or outcomes.retry_after is not None:
            self._throttled(outcomes.retry_after)
        if outcomes.split and len(work.offsets) > 1:
            for half in work.halves():
                self._put_back(half, 0.0)
            return Outcomes.all(Outcome.RETRY, outcomes.default.reason)
        final: set[Outcome] = set()
        for outcome, positions in _by_outcome(outcomes, len(work.offsets)):
            if not self._again(work, outcome, positions, throttled=outcomes.throttled):
                self.counts[str(outcome)] += len(positions)
                final.add(outcome)
        if final:
            self._judge(final)
        return outcomes

    def leave(self, work: Work) -> None:
        """Rows that are not tried again because the run stops end as their last attempt did, or were never sent."""
        if work.last is not None:
            self.counts[str(work.last)] += len(work.offsets)

    def stop(self, reason: str) -> None:
        """Claim nothing more; what is in flight is still read and written."""
        self.stopped = self.stopped or reason
        self.stopping.set()
        if self.backlog:
            self.backlog.close()

    def _again(self, work: Work, outcome: Outcome, positions: Sequence[int], *, throttled: bool) -> bool:
        """Put rows back that may be tried again in this run; False where this outcome is their last."""
        idempotent = self.operations[work.chunk.op].idempotent
        if outcome is not Outcome.RETRY and not (outcome is Outcome.UNKNOWN and idempotent):
            return False
        # waiting in a throttling vendor's line is no attempt, and the limiter holds everyone back
        attempt = work.attempt + (not throttled)
        seconds = 0.0 if throttled else self.patience.backoff.wait(work.attempt, self.jitter)
        if self.stopped is not None or attempt > self.patience.attempts:
            return False
        self._put_back(work.only(positions, attempt=attempt, last=outcome), seconds)
        return True

    def _put_back(self, work: Work, seconds: float) -> None:
        assert self.backlog, "what was taken came from a backlog"
        self.backlog.again(work, seconds)

    def _throttled(self, retry_after: float | None) -> None:
        wait = self.limiter.throttled(retry_after)
        if max(wait, self.limiter.throttled_for()) > self.patience.throttled_seconds:
            self.stop(f"the vendor throttles this account and asks to wait {wait:.0f} s; the rest goes next time")

    def _judge(self, final: Collection[Outcome]) -> None:
        """Whether the vendor took this batch, and if not, whether it takes anything any more."""
        if any(outcome not in UNSETTLED for outcome in final):
            self._in_a_row = 0
            self.limiter.answered()
            return
        self._in_a_row += 1
        if self._in_a_row >= self.connections:
            told = " or ".join(sorted(final))
            self.stop(f"{self._in_a_row} requests in a row ended as {told}; their receipts have the reason")


def _by_outcome(outcomes: Outcomes, count: int) -> Iterable[tuple[Outcome, Sequence[int]]]:
    """Positions in the batch by outcome."""
    if not outcomes.rows:
        return [(outcomes.default.outcome, range(count))]
    positions: dict[Outcome, list[int]] = {}
    for position in range(count):
        positions.setdefault(outcomes[position].outcome, []).append(position)
    return positions.items()
