"""What the delivery loop, the journal and the ledger say to each other about rows that leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    ACCEPTED = "accepted"  # the vendor took it
    REJECTED = "rejected"  # permanently refused, with the vendor's reason
    RETRY = "retry"  # certainly not processed: again, with back-off, then in the next run
    UNKNOWN = "unknown"  # the request may have been processed
    PENDING = "pending"  # an asynchronous job of the vendor's, polled
    WITHDRAWN = "withdrawn"  # never left: suppressed, expired, or left the segment, since the plan was made


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row. `reason` is the vendor's own words, or ours for unknown and withdrawn."""

    outcome: Outcome
    reason: str = ""
    provider_id: str = ""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of a batch: `default` holds for every row but those in `rows` (offset in the batch → outcome).

    `throttled`: the vendor takes nothing of this account for now; `retry_after` is in seconds, as it asked, and
    `None` when it did not.
    `split`: the batch was refused as a whole and is tried again in halves, until the bad rows stand alone.
    `stop`: why nothing more of this sync can be sent until a person has acted, in our words: they are shown and
    logged, while reasons are the vendor's, may name people and stay in receipts.
    """

    default: RowOutcome
    rows: Mapping[int, RowOutcome] = field(default_factory=dict)
    throttled: bool = False
    retry_after: float | None = None
    split: bool = False
    stop: str = ""

    @classmethod
    def all(
        cls,
        outcome: Outcome,
        reason: str = "",
        *,
        provider_id: str = "",
        throttled: bool = False,
        retry_after: float | None = None,
        split: bool = False,
        stop: str = "",
    ) -> Outcomes:
        """Every row of the batch has the same outcome."""
        row = RowOutcome(outcome, reason, provider_id)
        return cls(row, throttled=throttled, retry_after=retry_after, split=split, stop=stop)

    def __getitem__(self, offset: int) -> RowOutcome:
        return self.rows.get(offset, self.default)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One run that sends one plan. `epoch` grows with every opening of the sync, whatever journal held the last.

    Contacts suppressed for `purpose` after `suppressed_from` (a position of the journal's list, read when the plan
    was made) are withdrawn at the claim; without a purpose none are.
    """

    run_id: str
    plan_id: str
    sync: str
    epoch: int
    rows: int
    spool: str  # file name below the target's spool/
    as_of: datetime
    opened_at: datetime
    dagster_run_id: str = ""
    purpose: str | None = None
    suppressed_from: int = 0
    scopes: tuple[str, ...] = ()  # what holds it when it is paused, besides its sync and `all`


Ranges = tuple[tuple[int, int], ...]
"""Rows of a spool as (first, count), ascending and apart."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows of a spool that are about to leave as one request. `seq` orders all claims of a journal."""

    seq: int
    run_id: str
    op: str
    ranges: Ranges
    attempt: int
    key: str  # the batch's idempotency key: the same rows of a run carry the same key

    @property
    def count(self) -> int:
        return sum(count for _, count in self.ranges)


@dataclass(frozen=True, slots=True)
class Fold:
    """Receipts `first … last` of a journal, moved to the ledger together under this number."""

    number: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Summary:
    """How a delivery ended: rows by their last outcome, rows that were never claimed, why it stopped when it did.

    `refused`: destination → why, of the accounts that others took over from.
    """

    counts: Mapping[str, int]
    unsent: int = 0
    stopped: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Guard:
    """One verdict on a plan."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Plan:
    """What a sync would do now. `seal` binds operations, configuration and the state's position."""

    plan_id: str
    sync: str
    as_of: datetime
    upsert: int
    remove: int
    send: int
    audience: int
    held: Mapping[str, int]  # rejected, unknown, suppressed
    guards: tuple[Guard, ...]
    seal: str
    changes: Mapping[str, int] = field(default_factory=dict)  # column → rows in which it changed
    new_columns: tuple[str, ...] = ()  # sent for the first time: a change for the rows where they are set
    sample: tuple[Mapping[str, Any], ...] = ()  # {op, why, key, before, after}, personal data masked

    @property
    def operations(self) -> int:
        return self.upsert + self.remove + self.send

    @property
    def ok(self) -> bool:
        return all(guard.ok for guard in self.guards)
