"""Bugs planted on purpose in a child process, to show that the fault tests would notice them.

Each undoes one promise of the delivery loop in the plainest way; nothing else in the tests changes our own code.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from assets.journeys.statements import Statements
from gateway.landing import Landing, Written
from models.delivery import Outcome, Outcomes, RowOutcome
from sinks.allowances import Allowance, Counts, Room
from sinks.backlog import Work
from sinks.claims import Grant, Receipt, Request
from sinks.connections import Run
from sinks.journal import Journal
from sinks.journal_store import insert
from sinks.message_keys import Keys
from sinks.settlement import Settlement
from sinks.suppression import Seen
from sinks.writer import _Commit
from warehouse.batches import Batch


def claim_after_send() -> None:
    """A claim reaches the journal together with its receipt: a crash between the two forgets that anything was sent."""
    late: dict[int, Any] = {}
    highest = 0
    granted, receive = _Commit._granted, _Commit._receive

    def keep_back(commit: _Commit, *given: Any) -> Grant:
        nonlocal highest
        commit.seq = max(commit.seq, highest)
        grant = granted(commit, *given)
        highest = commit.seq
        late[highest] = commit.claims.pop()
        return grant

    def write_both(commit: _Commit, receipt: Receipt) -> None:
        commit.claims.append(late.pop(receipt.claim.seq))
        insert(commit.connection, "insert into claim (seq, delivery, op, row_ranges, attempt, sink)", [*commit.claims])
        commit.claims.clear()
        receive(commit, receipt)

    def none_taken(*_: Any) -> dict[int, RowOutcome]:
        return {}

    _Commit._granted, _Commit._receive, Keys.take = keep_back, write_both, none_taken  # type: ignore[method-assign]


def receipt_before_answer() -> None:
    """Every request counts as accepted once it has left, whatever comes back."""
    sent = Run._sent

    async def taken(run: Run, *given: Any) -> Outcomes:
        await sent(run, *given)
        return Outcomes.all(Outcome.ACCEPTED)

    Run._sent = taken  # type: ignore[method-assign]


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


def answer_before_landing() -> None:
    """The gateway answers as soon as it has heard, and writes afterwards."""
    settle, later = Landing.settle, set[asyncio.Task[None]]()

    async def soon(landing: Landing, entry: Callable[[Seen], Written], size: int = 0) -> None:
        task = asyncio.create_task(settle(landing, entry, size))
        later.add(task)
        task.add_done_callback(later.discard)

    Landing.settle = soon  # type: ignore[method-assign]


def suppression_read_once() -> None:
    """Who left before the first claim of a run is known to it, and nobody after."""
    listed, first = _Commit._listed, list[int]()

    def as_at_first(commit: _Commit, request: Request) -> dict[int, RowOutcome]:
        first.append(commit.listed)
        commit.listed = first[0]
        return listed(commit, request)

    _Commit._listed = as_at_first  # type: ignore[method-assign]


def failover_moves_unknown() -> None:
    """Where an account is refused, what it may have processed goes on as well."""
    leave = Settlement.leave

    def take_along(settlement: Settlement, work: Work) -> None:
        if work.last is Outcome.UNKNOWN:
            settlement.left.append(work)
        else:
            leave(settlement, work)

    Settlement.leave = take_along  # type: ignore[method-assign]


def quota_of_a_process() -> None:
    """Each process counts what it sends itself."""
    room = Counts.room

    def own(counts: Counts, allowance: Allowance) -> Room:
        return room(counts, replace(allowance, account=f"{allowance.account} of {os.getpid()}"))

    Counts.room = own  # type: ignore[method-assign]


def visible_before_whole() -> None:
    """A batch is committed before its rows are there."""
    append, commit = Batch.append, Batch.commit

    def commit_first(batch: Batch, *given: Any) -> int:
        if not batch.known and not batch.counts:
            commit(batch, datetime.now(UTC))
            batch.known = False
        return append(batch, *given)

    def was_committed(batch: Batch, at: datetime) -> bool:
        return bool(batch.counts) or commit(batch, at)

    Batch.append, Batch.commit = commit_first, was_committed  # type: ignore[method-assign]


def leftovers_kept() -> None:
    """What an interrupted run left of a batch stays when it is appended again."""
    append = Batch.append

    def beside(batch: Batch, name: str, rows: Any) -> int:
        batch.counts.setdefault(name, 0)
        return append(batch, name, rows)

    Batch.append = beside  # type: ignore[method-assign]


BUGS: dict[str, Callable[[], None]] = {
    "claim after send": claim_after_send,
    "receipt before answer": receipt_before_answer,
    "unknown forgotten": unknown_forgotten,
    "claim without suppression": claim_without_suppression,
    "claim without expiry": claim_without_expiry,
    "counter in run_id": counter_in_run_id,
    "latest by clock": latest_by_clock,
    "answer before landing": answer_before_landing,
    "suppression read once": suppression_read_once,
    "failover moves unknown": failover_moves_unknown,
    "quota of a process": quota_of_a_process,
    "visible before whole": visible_before_whole,
    "leftovers kept": leftovers_kept,
}


def plant(name: str) -> None:
    BUGS[name]()
