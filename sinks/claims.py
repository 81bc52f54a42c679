"""What connections ask of the journal, and what it answers: see sinks/writer.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from models.delivery import Claim, Delivery, Outcomes, Ranges, RowOutcome
from models.sync import Op
from sinks.allowances import Allowance, Place

# One of each is made for every request; frozen ones cost three times as much to make.


@dataclass(slots=True)
class Receipt:
    """What became of a claim, to be written. `place`: where its rows were counted."""

    claim: Claim
    outcomes: Outcomes
    at: datetime
    place: Place | None = None


@dataclass(slots=True)
class Times:
    """From when messages may not leave, one a row: for good, and in this run. `now` is the delivery's own clock."""

    expires_at: Sequence[datetime | None]
    quiet_at: Sequence[datetime | None]
    now: Callable[[], datetime]


@dataclass(slots=True)
class Request:
    """Rows that want to leave. `contacts` and `send_keys` are one a row where the spool has them.

    `settled`: offsets that cannot leave whatever the journal says (a row larger than the largest request).
    `in_doubt`: an attempt before may have been processed. `sink`: by which destination, as sinks.yml names it.
    `slot`: when it may leave, by the monotonic clock, where it was asked for too early before.
    """

    delivery: Delivery
    op: Op
    ranges: Ranges
    attempt: int
    at: datetime
    contacts: Sequence[str | None] | None = None
    send_keys: Sequence[str | None] | None = None
    settled: Mapping[int, RowOutcome] = field(default_factory=dict)
    times: Times | None = None
    in_doubt: bool = False
    sink: str = ""
    allowance: Allowance | None = None
    slot: float = 0.0


@dataclass(slots=True)
class Grant:
    """The answer to a request: what may leave now, which of its rows (offsets) will not, or why nothing may.

    `held`: offsets that find no place in the quota any more. `spent`: none does, and why. `leaves_at`: from when the
    request may leave, by the monotonic clock; without a claim, the slot that is now its own, at which it is to ask for
    one: the last look is at the moment of leaving.
    """

    claim: Claim | None
    settled: Mapping[int, RowOutcome] = field(default_factory=dict)
    stopped: str | None = None
    held: Sequence[int] = ()
    spent: str | None = None
    place: Place | None = None
    leaves_at: float = 0.0

    @property
    def is_early(self) -> bool:
        """Whether it was asked for before its time."""
        return self.claim is None and self.leaves_at > 0


@dataclass(slots=True)
class Entry:
    """A receipt and the next claim of one connection: one commit."""

    receipt: Receipt | None = None
    request: Request | None = None


def ranges_of(rows: Sequence[int]) -> Ranges:
    """Ascending rows as (first, count)."""
    ranges: list[tuple[int, int]] = []
    for row in rows:
        if ranges and row == ranges[-1][0] + ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        else:
            ranges.append((row, 1))
    return tuple(ranges)


def text_of(ranges: Ranges) -> str:
    return f"[{','.join([f'[{first},{count}]' for first, count in ranges])}]"


def rows_in(ranges: Ranges) -> list[int]:
    return [row for first, count in ranges for row in range(first, first + count)]
