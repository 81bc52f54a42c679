"""Moves receipts from the journal into the ledgers, and makes good what an interrupted run left behind."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from assets.ledger import key_text
from assets.opening import Opened, Opener
from assets.reopening import Reopener
from models.delivery import Fold
from models.errors import NeedsPerson
from models.steps import step
from sinks.journal import Journal
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.engine import engine
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
RECEIPTS = "folding_receipts"  # the temporary table with a fold's receipts
RECEIPT_COLUMNS = {
    "run_id": "varchar",
    "row": "bigint",
    "op": "varchar",
    "outcome": "varchar",
    "reason": "varchar",
    "provider_id": "varchar",
    "attempt": "bigint",
    "seq": "bigint",
    "recorded_at": "timestamptz",
    "sink": "varchar",
}
LOST = "the journal of this run is lost"
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Folder:
    """Folds one journal into one warehouse. The writer's lock is held."""

    warehouse: Warehouse
    journal: Journal
    opener: Opener

    def fold(self, at: datetime) -> int:
        """Fold what the warehouse lacks, then what came since; the number of receipts (rows and attempts)."""
        with self._turn():
            return self._folded(at)

    def _turn(self) -> AbstractContextManager[None]:
        """A fold is of all syncs' receipts: of those who deliver beside each other one folds at a time."""
        return engine(self.opener.settings).turn("receipts")

    def _folded(self, at: datetime) -> int:
        if batches.is_committed(self.warehouse, self._batch_id(self.journal.last_fold() + 1)):
            self.journal.renew(at)  # it is a copy of before that fold, which had all that the copy holds
        rows = sum(self._fold(kept, at) for kept in self._missing())
        for _ in range(2):  # one that was begun and not ended, then the new receipts
            fold = self.journal.begin_fold(at)
            if fold is None:
                break
            rows += self._fold(fold, at)
            self.journal.end_fold(fold.number, at)
        return rows

    def recover(self, sync: str, at: datetime) -> None:
        """Settle what dead runs of the sync left: their process is gone, the caller holds the sync's lock."""
        reopener = Reopener(self.opener)
        with self._turn():
            if reopener.is_journal_older():
                self._folded(at)
                # what was received since is of runs that go on meanwhile
                self.journal.renew(at, max((fold.last for fold in self.journal.folds()), default=0))
        for delivery in self.journal.open_deliveries(sync):
            self.journal.abandon(delivery.run_id, at)
        self.fold(at)
        with self._turn():  # a fold of another sync puts back all it finds forgotten
            for run in [*reopener.forgotten()]:
                if run.opened.sync == sync:
                    reopener.reopened(run.opened.run_id)
        for opened in self.opener.unclosed(sync):
            self.settle(opened, at)
            self.opener.close(opened, self._why(opened), at)
        for delivery in self.journal.open_deliveries(sync):
            self.journal.close_delivery(delivery.run_id, at)

    def settle(self, opened: Opened, at: datetime) -> None:
        """Of a run whose journal is lost, or became another meanwhile, every row that no ledger knows is `unknown`."""
        if opened.journal_id != self.journal.id:
            self._give_up(opened, at)

    def _why(self, opened: Opened) -> str:
        return INTERRUPTED if opened.journal_id == self.journal.id else LOST

    def _missing(self) -> list[Fold]:
        """Folds that ended, in a warehouse that does not have them: it was restored from an older copy."""
        kept = self.journal.folds()
        known = batches.visible(self.warehouse, [self._batch_id(fold.number) for fold in kept])
        return [fold for fold in kept if self._batch_id(fold.number) not in known]

    def _fold(self, fold: Fold, at: datetime) -> int:
        name = self._batch_id(fold.number)
        if batches.is_committed(self.warehouse, name):
            return 0
        runs: dict[str, None] = {}  # in the order of their receipts
        self._clear()
        for delivery, table in self.journal.receipts(fold):
            runs[delivery.run_id] = None
            self.warehouse.load(RECEIPTS, _with_run(table, delivery.run_id))
        return self._append(name, self._opened(runs), at)

    def _opened(self, run_ids: Collection[str]) -> list[Opened]:
        """Runs as the warehouse knows them; one that was restored is told what it forgot."""
        found = [self.opener.opened(run_id) for run_id in run_ids]
        if None in found:
            Reopener(self.opener).put_back(run_ids)
            found = [self.opener.opened(run_id) for run_id in run_ids]
        return [opened for opened in found if opened]

    def _append(self, name: str, runs: list[Opened], at: datetime) -> int:
        """The ledgers' batches first, one a run, then the fold's own with what people read."""
        for opened in runs:
            ledger = batches.Batch(self.warehouse, f"{name}/{opened.run_id}")
            ledger.append(opened.ledger, self._sql("fold_ledger", opened))
            ledger.commit(at)
        batch = batches.Batch(self.warehouse, name)
        rows = sum(batch.append("tailrace.deliveries", self._sql("fold_deliveries", opened)) for opened in runs)
        found = int(self.warehouse.rows(f"select count(*) as n from {RECEIPTS}")[0]["n"])
        if rows != found:
            message = f"{name}: {found:,} receipts belong to {rows:,} planned rows; nothing was folded"
            raise NeedsPerson(message)
        batch.commit(at)
        step("folded", fold=name, rows=rows)
        return rows

    def _give_up(self, opened: Opened, at: datetime) -> None:
        """Any planned row that no ledger knows may have left."""
        self._clear()
        query = render(
            SQL,
            "lost_receipts",
            self.warehouse.dialect,
            run_id=opened.run_id,
            reason=LOST,
            recorded_at=at,
            planned=opened.planned,
            ledger=opened.ledger,
        )
        self.warehouse.insert(RECEIPTS, query)
        self._append(f"lost/{opened.run_id}", [opened], at)

    def _clear(self) -> None:
        spelled = self.warehouse.dialect.kind
        columns = ", ".join(f"cast(null as {spelled(kind)}) as {name}" for name, kind in RECEIPT_COLUMNS.items())
        self.warehouse.create_temporary(RECEIPTS, f"select {columns} where false")

    def _sql(self, name: str, opened: Opened) -> str:
        return render(
            SQL,
            name,
            self.warehouse.dialect,
            run_id=opened.run_id,
            plan_id=opened.plan_id,
            sync=opened.sync,
            own_sink=opened.sync.partition("/")[0],
            destination=opened.destination,
            config=opened.config,
            epoch=opened.epoch,
            as_of=opened.as_of,
            dagster_run_id=opened.dagster_run_id,
            key_text=key_text(self.warehouse.dialect, opened.identity, "planned"),
            receipts=RECEIPTS,
            planned=opened.planned,
            columns=opened.columns(self.warehouse),
        )

    def _batch_id(self, number: int) -> str:
        return f"fold/{self.journal.id}/{number}"


def _with_run(table: pa.Table, run_id: str) -> pa.Table:
    return table.append_column("run_id", pa.repeat(pa.scalar(run_id), len(table)).cast(pa.string()))
