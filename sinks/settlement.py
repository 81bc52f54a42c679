"""What becomes of rows after an answer: counted, tried again in this run, left for another sink, or why it stops."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from models.delivery import Outcome, Outcomes, RowOutcome
from models.sync import Op
from sinks.backlog import Backlog, Work
from sinks.base import Operation
from sinks.limiter import Backoff, Limiter

UNSETTLED = frozenset({Outcome.UNKNOWN, Outcome.RETRY})
NOT_SENT = frozenset({None, Outcome.RETRY})  # the last attempt of rows that certainly did not leave


@dataclass(frozen=True)
class Patience:
    """How long a run tries: attempts of one batch, and seconds in which a throttling vendor takes nothing."""

    attempts: int = 6
    throttled_seconds: float = 300.0
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True)
class Verdict:
    """The outcomes as the receipt has them, and the batch that its connection keeps and sends again after a while.

    A vendor in trouble holds as many batches as there are connections: nothing new is begun in the meantime.
    """

    outcomes: Outcomes
    again: Work | None = None
    seconds: float = 0.0


@dataclass
class Settlement:
    """A run's decisions about one sink. `connections` batches in a row that end unsettled stop it.

    `is_refused`: it stopped because the account takes nothing of ours; `left` are then the rows that certainly did
    not leave.
    """

    operations: Mapping[Op, Operation]
    connections: int
    limiter: Limiter
    patience: Patience
    jitter: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    is_refused: bool = False
    left: list[Work] = field(default_factory=list)
    backlog: Backlog | None = None  # of the phase under way
    _in_a_row: int = 0

    def settle(self, work: Work, outcomes: Outcomes) -> Verdict:
        """Decide what is tried again and count the rest.

        Rows whose attempt before may have been processed stay in doubt until something is known of them: a refusal
        to even look at them (`retry`) says nothing of that attempt.
        """
        if work.last is Outcome.UNKNOWN:
            outcomes = _in_doubt(outcomes)
        if outcomes.stop:
            self.refuse(outcomes.stop)
        if outcomes.throttled or outcomes.retry_after is not None:
            self._throttled(outcomes.retry_after)
        if outcomes.split and len(work.offsets) > 1:
            for half in work.halves():
                self._put_back(half, 0.0)
            return Verdict(Outcomes.all(work.last or Outcome.RETRY, outcomes.default.reason))
        if not outcomes.rows:
            return self._whole(work, outcomes)
        taken = False
        for outcome, positions in _by_outcome(outcomes, len(work.offsets)).items():
            taken |= outcome not in UNSETTLED
            if self._sends_again(work, outcome):
                again = work.only(positions, attempt=work.attempt + 1, last=outcome)
                self._put_back(again, self._backoff(work))
            else:
                self.leave(work.only(positions, attempt=work.attempt + 1, last=outcome))
        self._judge(taken, "unsettled")
        return Verdict(outcomes)

    def _whole(self, work: Work, outcomes: Outcomes) -> Verdict:
        """One outcome for all rows, as when there was no answer."""
        outcome = outcomes.default.outcome
        if outcomes.throttled and self.stopped is None:
            # waiting in the vendor's line is no attempt, and the limiter holds everyone back
            self._put_back(replace(work, last=outcome), 0.0)
        elif self._sends_again(work, outcome):
            return Verdict(outcomes, replace(work, attempt=work.attempt + 1, last=outcome), self._backoff(work))
        else:
            self.leave(work.after(outcome))
            self._judge(outcome not in UNSETTLED, outcome)
        return Verdict(outcomes)

    def leave(self, work: Work) -> None:
        """Rows that this sink gets no more: they end as their last attempt did, or were never sent."""
        if self.is_refused and work.last in NOT_SENT:
            self.left.append(work)
        elif work.last is not None:
            self.counts[str(work.last)] += len(work.offsets)

    def refuse(self, reason: str) -> None:
        """The account takes nothing of ours: it needs a person, or time."""
        self.is_refused |= self.stopped is None
        self.stop(reason)

    def stop(self, reason: str) -> None:
        """Claim nothing more; what is in flight is still read and written."""
        self.stopped = self.stopped or reason
        self.stopping.set()
        if self.backlog:
            self.backlog.close()

    def _sends_again(self, work: Work, outcome: Outcome) -> bool:
        """Whether rows of this outcome are tried again in this run; False where it is their last."""
        idempotent = self.operations[work.chunk.op].idempotent
        allowed = outcome is Outcome.RETRY or (outcome is Outcome.UNKNOWN and idempotent)
        return allowed and self.stopped is None and work.attempt < self.patience.attempts

    def _backoff(self, work: Work) -> float:
        return self.patience.backoff.wait(work.attempt, self.jitter)

    def _put_back(self, work: Work, seconds: float) -> None:
        assert self.backlog, "what was taken came from a backlog"
        self.backlog.again(work, seconds)

    def _throttled(self, retry_after: float | None) -> None:
        wait = self.limiter.throttled(retry_after)
        if max(wait, self.limiter.throttled_for()) > self.patience.throttled_seconds:
            self.stop(f"the vendor throttles this account and asks to wait {wait:.0f} s; the rest goes next time")

    def _judge(self, taken: bool, outcome: str) -> None:  # noqa: FBT001 - the answer to its only question
        """Whether the vendor takes anything any more."""
        if taken:
            self._in_a_row = 0
            self.limiter.answered()
            return
        self._in_a_row += 1
        if self._in_a_row >= self.connections:
            self.stop(f"{self._in_a_row} requests in a row ended as {outcome}; their receipts have the reason")


def _in_doubt(outcomes: Outcomes) -> Outcomes:
    def doubted(row: RowOutcome) -> RowOutcome:
        return replace(row, outcome=Outcome.UNKNOWN) if row.outcome is Outcome.RETRY else row

    rows = {position: doubted(row) for position, row in outcomes.rows.items()}
    return replace(outcomes, default=doubted(outcomes.default), rows=rows)


def _by_outcome(outcomes: Outcomes, count: int) -> Mapping[Outcome, Sequence[int]]:
    """Positions in the batch by outcome."""
    positions: dict[Outcome, list[int]] = {}
    for position in range(count):
        positions.setdefault(outcomes[position].outcome, []).append(position)
    return positions
