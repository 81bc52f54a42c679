"""The course of one delivery: phase after phase by the sync's own sink, and on by the next where an account is refused.

Only what certainly did not leave goes on: a refused address is final, and what may have been processed never moves.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import polars as pl

from models.delivery import Summary
from models.sync import Op
from sinks.backlog import CHUNK_ROWS, Work
from sinks.connections import Run, phases
from sinks.spool import Spool

_log = logging.getLogger("tailrace.sync")


@dataclass
class Course:
    """`runs`: one a destination, in the order in which they are tried; all count into `counts`."""

    runs: list[Run]
    counts: Counter[str]
    refused: dict[str, str] = field(default_factory=dict)  # destination → why, of those that others took over from

    async def all(self, spool: Spool) -> Summary:
        """Every phase, each begun when the one before is settled."""
        left: list[Work] = []
        async with AsyncExitStack() as wires:
            await wires.enter_async_context(self._run.wire)
            for op, frames in phases(spool.frames(CHUNK_ROWS)):
                left = await self._phase(op, frames, wires)
                if self._run.settlement.stopped is not None:
                    break
        for work in left:
            if work.last is not None:
                self.counts[str(work.last)] += len(work.offsets)
        unsent = spool.row_count - self.counts.total()
        return Summary(dict(self.counts), unsent, self._run.settlement.stopped, self.refused)

    async def _phase(self, op: Op, frames: Iterator[pl.DataFrame], wires: AsyncExitStack) -> list[Work]:
        """All rows of one operation; what is left that even the last account refused."""
        left = await self._run.phase(op, frames)
        while self._run.settlement.is_refused and len(self.runs) > 1:
            self._go_on()
            await wires.enter_async_context(self._run.wire)
            left = await self._run.phase(op, frames, left)
        return left

    def _go_on(self) -> None:
        """By the next destination, also in the phases to come."""
        before = self.runs.pop(0)
        reason = self.refused[before.name] = str(before.settlement.stopped)
        _log.warning("%s: %s; it goes on by %s", before.name, reason, self._run.name)

    @property
    def _run(self) -> Run:
        return self.runs[0]
