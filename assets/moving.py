"""Moves a warehouse to another engine: what is append-only is copied batch by batch, then both are compared.

What is derived stays behind: a refresh builds it. Until all is there and the same, nothing else may open the
destination, so an interrupted move goes on where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assets import comparison, stages, store
from assets.comparison import Compared
from models.errors import NeedsPerson, Refused, UserError
from models.settings import Settings
from models.steps import step
from sinks import leases
from warehouse import batches, metadata
from warehouse.base import Warehouse
from warehouse.batches import LOG_SUFFIX
from warehouse.engine import engine
from warehouse.lock import is_held
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
BATCH = f"{batches.SCHEMA}.batch"
PART_ROWS, PART_BATCHES = 1_000_000, 1_000  # become visible together: each part reads every log once


class Tell(Protocol):
    """Says what is being done now, and how far it is."""

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None: ...


@dataclass(frozen=True)
class Moved:
    """What a move did. `batches` and `rows` are those copied now; `before`: batches that an earlier run copied."""

    batches: int
    rows: int
    before: int
    tables: tuple[Compared, ...]

    @property
    def differing(self) -> tuple[Compared, ...]:
        return tuple(each for each in self.tables if not each.is_same)


def move(settings: Settings, destination: Settings, tell: Tell) -> Moved:
    """Copy the truth of the warehouse of `settings` to the one of `destination`, the same target elsewhere.

    Where something differs in the end it is in the result, and the destination stays closed. Raises UserError where
    there is nothing to move or it is there already, Refused where the destination holds something else or a sync runs.
    """
    _refuse_same(settings, destination)
    with store.locked(settings), store.locked(destination):
        _refuse_running(settings)
        with engine(settings).open() as original:
            batches.prepare(original)
            _refuse_other(original, destination)
            with engine(destination).open() as copy:
                batches.prepare(copy, moving=True)
                stages.prepare(destination, copy)
                moved = _Move(original, copy, batches.logs(original), tell).move()
                if not moved.differing:
                    metadata.moved(copy)
                return moved


def _refuse_same(settings: Settings, destination: Settings) -> None:
    ours, theirs = engine(settings), engine(destination)
    if not ours.exists():
        message = f"there is no warehouse to move in target {settings.target}: is TAILRACE_WAREHOUSE or _HOME right?"
        raise UserError(message)
    if ours.name == theirs.name:
        message = (
            f"the warehouse is on {ours.name} already, and a move is to another engine; copy it with what "
            "comes with that: a file, pg_dump, or the tables of Spark and its catalogue"
        )
        raise UserError(message)


def _refuse_running(settings: Settings) -> None:
    """Who delivers has the warehouse closed in between, and would end in the one that was left."""
    running = {lock.stem.replace("__", "/") for lock in settings.locks.glob("*.lock") if is_held(lock)}
    running |= leases.holders(settings.journal).keys()
    if running:
        message = f"{', '.join(sorted(running))}: under way; move when it has ended"
        raise Refused(message)


def _refuse_other(original: Warehouse, destination: Settings) -> None:
    """Raise Refused unless the destination is empty, or holds what an earlier run moved there."""
    if not engine(destination).exists():
        return
    ours = _known(original)
    with engine(destination).open() as copy:
        have = _known(copy) if copy.columns(BATCH) else {}
        if have and not metadata.is_moving(copy):
            if have == ours:
                raise Refused("all of it is there already: set TAILRACE_WAREHOUSE to it, then run `tailrace refresh`")
            message = (
                f"the destination holds a warehouse already, of {len(have):,} batches; move to an empty database or a "
                "file that is not there"
            )
            raise Refused(message)
    others = sorted(have.items() - ours.items())
    if others:
        message = (
            f"a move of another warehouse to there was begun: {len(others):,} batches are not of this one, as "
            f"{others[0][0]}; move to an empty database or a file that is not there"
        )
        raise Refused(message)


def _known(warehouse: Warehouse) -> dict[str, tuple[int, float]]:
    """Every batch that was ever visible → what tells it from another of the same id."""
    rows = warehouse.rows(f"select batch_id, row_count, committed_at from {BATCH}")
    return {str(row["batch_id"]): (int(row["row_count"]), row["committed_at"].timestamp()) for row in rows}


@dataclass(frozen=True)
class _Move:
    """From one open warehouse to another, both prepared."""

    original: Warehouse
    copy: Warehouse
    logs: Sequence[str]
    tell: Tell

    def move(self) -> Moved:
        self._make_logs()
        before = _known(self.copy)
        for log in self.logs:  # what an interrupted run left
            sql = render(SQL, "list_invisible_batches", self.copy.dialect, log=log + LOG_SUFFIX)
            batches.discard(self.copy, log, [str(row["batch_id"]) for row in self.copy.rows(sql)])
        held = {log: self._rows_by_batch(log, before) for log in self.logs}
        waiting = self._waiting(before)
        total, done = sum(sum(each.values()) for each in held.values()), 0
        for part in _parts(waiting, held):
            for log in self.logs:
                self.tell(f"moving {log}", done, total)
                done += self._copy(log, {name: held[log][name] for name in part if name in held[log]})
            self.copy.load(BATCH, self.original.stream(self._of(BATCH, part)))
            step("moved", batches=len(part))
        return Moved(len(waiting), done, len(before), self._compared())

    def _make_logs(self) -> None:
        """Every log with every column, and a look at whether it can take such rows: now, and not after hours."""
        for log in self.logs:
            columns = self.original.columns(log + LOG_SUFFIX)
            try:
                if columns.keys() - self.copy.columns(log + LOG_SUFFIX).keys():
                    own = {name: kind for name, kind in columns.items() if name != "batch_id"}
                    batches.create_log(self.copy, log, own)
                self.copy.load(log + LOG_SUFFIX, self.original.stream(self._of(log + LOG_SUFFIX, ())))
            except UserError as error:
                message = f"{log} cannot be moved: {error}"
                raise UserError(message) from error

    def _copy(self, log: str, expected: Mapping[str, int]) -> int:
        """Append the rows of these batches (→ how many) to the log; nobody sees them yet."""
        if not expected:
            return 0
        batches.discard(self.copy, log, [*expected])  # files that the other end has, and does not know of, too
        rows = self.copy.load(log + LOG_SUFFIX, self.original.stream(self._of(log + LOG_SUFFIX, expected)))
        if rows != sum(expected.values()):
            message = f"{log}: {rows:,} rows came of {sum(expected.values()):,}; nothing of them is visible"
            raise NeedsPerson(message)
        step("appended", batch=next(iter(expected)), table=log)
        return rows

    def _of(self, table: str, batch_ids: Collection[str]) -> str:
        """A query of the rows of these batches, by columns that both have."""
        quote, literal = self.original.dialect.quote, self.original.dialect.literal
        columns = ", ".join(map(quote, self.original.columns(table)))
        listed = ", ".join(map(literal, batch_ids)) or "null"
        return f"select {columns} from {table} where batch_id in ({listed})"

    def _rows_by_batch(self, log: str, before: Collection[str]) -> dict[str, int]:
        """Visible batch → its rows in the log, without those that were moved before."""
        sql = render(SQL, "count_by_batch", self.original.dialect, log=log + LOG_SUFFIX)
        found = {str(row["batch_id"]): int(row["row_count"]) for row in self.original.rows(sql)}
        return {batch_id: rows for batch_id, rows in found.items() if batch_id not in before}

    def _waiting(self, before: Collection[str]) -> list[str]:
        """Every batch that is not there, the oldest first: also those that others replaced, which have no rows now."""
        rows = self.original.rows(f"select batch_id from {BATCH} order by committed_at, batch_id")
        return [str(row["batch_id"]) for row in rows if row["batch_id"] not in before]

    def _compared(self) -> tuple[Compared, ...]:
        others = (log for log in batches.logs(self.copy) if log not in self.logs)
        filled = [log for log in others if self.copy.rows(f"select 1 as found from {log} limit 1")]
        names = [BATCH, *self.logs, *filled]
        found = []
        for done, name in enumerate(names):
            self.tell(f"comparing {name}", done, len(names))
            found.append(comparison.compare_copy(self.original, self.copy, name))
        return tuple(found)


def _parts(waiting: Sequence[str], held: Mapping[str, Mapping[str, int]]) -> Iterator[list[str]]:
    """Batches that are moved together. A large one stands alone: it is streamed, so its size is no matter."""
    part, rows = list[str](), 0
    for batch_id in waiting:
        more = sum(each.get(batch_id, 0) for each in held.values())
        if part and (len(part) == PART_BATCHES or rows + more > PART_ROWS):
            yield part
            part, rows = [], 0
        part.append(batch_id)
        rows += more
    if part:
        yield part
