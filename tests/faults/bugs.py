"""Bugs planted on purpose in a child process, to show that the fault tests would notice them.

Each undoes one promise of the delivery loop in the plainest way; nothing else in the tests changes our own code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from assets.journeys.statements import Statements
from models.delivery import Claim, Outcome, Outcomes, RowOutcome
from sinks.backlog import Work
from sinks.connections import Batch, Run
from sinks.journal import Journal
from sinks.writer import Receipt, Request, _Commit


def claim_after_send() -> None:
    """A claim reaches the journal together with its receipt: a crash between the two forgets that anything was sent."""
    late: dict[int, Any] = {}
    highest = 0
    granted, receive = _Commit._granted, _Commit._receive

    def keep_back(commit: _Commit, *given: Any) -> Claim:
        nonlocal highest
        commit.seq = max(commit.seq, highest)
        claim = granted(commit, *given)
        highest = claim.seq
        late[claim.seq] = commit.claims.pop()
        return claim

    def write_both(commit: _Commit, receipt: Receipt) -> None:
        commit.claims.append(late.pop(receipt.claim.seq))
        commit.connection.executemany(
            "insert into claim (seq, delivery, op, row_ranges, attempt) values (?, ?, ?, ?, ?)", commit.claims
        )
        commit.claims.clear()
        receive(commit, receipt)

    def none_taken(_: _Commit, __: Request, ___: int, ____: Mapping[int, RowOutcome]) -> dict[int, RowOutcome]:
        return {}

    _Commit._granted, _Commit._receive, _Commit._taken = keep_back, write_both, none_taken  # type: ignore[method-assign]


def receipt_before_answer() -> None:
    """Every request counts as accepted once it has left, whatever comes back."""

    async def sent(run: Run, work: Work, claim: Claim) -> Outcomes:
        batch = Batch(
            sync=run.delivery.sync,
            op=work.chunk.op,
            key=claim.key,
            identity=run.identity,
            at=run.clock(),
            payloads=work.payloads,
            frame=work.chunk.frame,
            offsets=work.offsets,
        )
        pending = run.transport.start(run.sink.request(batch), claim.key, run.sink.limits.timeout)
        await asyncio.gather(pending, return_exceptions=True)
        return Outcomes.all(Outcome.ACCEPTED)

    Run._sent = sent  # type: ignore[method-assign]


def unknown_forgotten() -> None:
    """After a crash a claim without a receipt is taken for one that never was."""

    def abandon(_: Journal, __: str, ___: object) -> int:
        return 0

    Journal.abandon = abandon  # type: ignore[method-assign,assignment]


def claim_without_suppression() -> None:
    """Who said no since the plan is written to all the same."""

    def nobody(_: _Commit, __: Request) -> dict[int, RowOutcome]:
        return {}

    _Commit._listed = nobody  # type: ignore[method-assign]


def claim_without_expiry() -> None:
    """What was in time for the plan leaves whenever its turn comes, expired or in the night."""

    def never(_: _Commit, __: Request) -> dict[int, RowOutcome]:
        return {}

    _Commit._late = never  # type: ignore[method-assign]


def counter_in_run_id() -> None:
    """A run of a journey is called otherwise each time it is worked out."""
    sql = Statements.sql

    def counted(own: Statements, statement: str, **values: Any) -> str:
        text = sql(own, statement, **values)
        return text.replace("chr(31), 'run'", f"chr(31), 'run{time.time_ns()}'")

    Statements.sql = counted  # type: ignore[method-assign]


def latest_by_clock() -> None:
    """Where a run is, is said by the time of its last transition, and not by its number: several share a moment."""
    sql = Statements.sql

    def by_clock(own: Statements, statement: str, **values: Any) -> str:
        text = sql(own, statement, **values)
        if statement != "spots":
            return text
        assert "max(hop) as hop" in text
        return text.replace("max(hop) as hop", "max_by(hop, (logical_at, -hop)) as hop")

    Statements.sql = by_clock  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    "claim after send": claim_after_send,
    "receipt before answer": receipt_before_answer,
    "unknown forgotten": unknown_forgotten,
    "claim without suppression": claim_without_suppression,
    "claim without expiry": claim_without_expiry,
    "counter in run_id": counter_in_run_id,
    "latest by clock": latest_by_clock,
}


def plant(name: str) -> None:
    BUGS[name]()
