"""Warehouses and journals that were restored from a copy: noticed, and told of the runs that they do not know."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from assets import ledger as ledgers
from assets import side_files
from assets.delivery_tables import LEDGER_COLUMNS, PLANNED_COLUMNS
from assets.opening import Opened, Opener
from assets.suppressions import position_known
from models.errors import NeedsPerson
from models.journal_place import JournalServer
from sinks import spool as spools
from warehouse import batches


@dataclass(frozen=True)
class Remembered:
    """A run as its side file tells it."""

    opened: Opened
    columns: Mapping[str, str]
    generation: int


@dataclass(frozen=True)
class Reopener:
    """Puts runs back into the warehouse of one target."""

    opener: Opener

    def is_journal_older(self) -> bool:
        """Whether warehouse or spool hold what this journal told them and does not know itself.

        A run is in the journal before it is in the warehouse, a contact before its position is copied. What hears last
        is read first: other syncs may be opening and closing runs meanwhile.
        """
        journal, warehouse, settings = self.opener.journal, self.opener.warehouse, self.opener.settings
        ours = journal.id
        closed = side_files.closed(settings)
        told = {run.opened.run_id for run in self.forgotten() if run.opened.journal_id == ours}
        told |= self.opener.runs(ours)
        position = position_known(warehouse, journal)
        running = {delivery.run_id for delivery in journal.open_deliveries()}
        return not told <= journal.runs() or not running.isdisjoint(closed) or position > journal.suppression_position()

    def forgotten(self) -> Iterator[Remembered]:
        """Runs that the spool remembers and the warehouse does not: it was restored from a copy of before."""
        remembered = side_files.runs(self.opener.settings)  # first: a run that opens meanwhile is no forgotten one
        known = self.opener.runs()
        for run_id in remembered:
            if run_id not in known:
                yield self._remembered(run_id)

    def put_back(self, needed: Collection[str]) -> None:
        """Put back every forgotten run whose spool is on this machine, so that another has only its own to add.

        Raises NeedsPerson when the warehouse then still lacks some of the needed ones.
        """
        for run in [*self.forgotten()]:
            if self._spool(run.opened.run_id).exists():
                self.reopened(run.opened.run_id)
        known = self.opener.runs()
        if lacking := [run_id for run_id in needed if run_id not in known]:
            raise NeedsPerson(self._missing(self.opener.settings.spool, lacking))

    def reopened(self, run_id: str) -> Opened:
        """The run, put back into a warehouse that is older than it.

        Raises NeedsPerson when its spool or side file are gone: then nobody knows which rows its receipts are about.
        """
        run = self._remembered(run_id)
        spool = self._spool(run_id)
        self._need(spool, run_id)
        opened, at = run.opened, run.opened.opened_at
        warehouse = self.opener.warehouse
        batches.create_log(warehouse, opened.ledger, {**LEDGER_COLUMNS, **run.columns}, in_views=False)
        batches.create_log(warehouse, opened.planned, {**PLANNED_COLUMNS, **run.columns}, in_views=False)
        self._register(run)
        batch = batches.Batch(warehouse, f"planned/{run_id}")
        for frame in spools.Spool(spool).frames(spools.GROUP_ROWS):
            table = frame.to_arrow()
            batch.append(opened.planned, table.append_column("_run_id", pa.repeat(pa.scalar(run_id), len(table))))
        batch.commit(at)
        self.opener.append_opened(opened, at)
        return opened

    def _remembered(self, run_id: str) -> Remembered:
        self._need(side_files.path(self.opener.settings, run_id), run_id)
        kept = side_files.read(self.opener.settings, run_id)
        columns, generation = kept.pop("columns"), kept.pop("generation")
        moments = {name: datetime.fromisoformat(kept[name]) for name in ("as_of", "opened_at")}
        return Remembered(Opened(**{**kept, "identity": tuple(kept["identity"]), **moments}), columns, generation)

    def _spool(self, run_id: str) -> Path:
        return self.opener.settings.spool / f"{run_id}.parquet"

    def _need(self, file: Path, run_id: str) -> None:
        if not file.exists():
            raise NeedsPerson(self._missing(file, [run_id]))

    def _missing(self, where: Path, run_ids: Sequence[str]) -> str:
        here = "the spool of another machine has them: sync there, then here" if self._is_shared else "it was lost"
        return (
            f"{where}: this warehouse is older than {', '.join(run_ids)}, and what would say which rows were sent is "
            f"not there; {here}. Otherwise restore the spool folder, or the warehouse that has the runs"
        )

    @property
    def _is_shared(self) -> bool:
        return isinstance(self.opener.settings.journal, JournalServer)

    def _register(self, run: Remembered) -> None:
        warehouse, opened = self.opener.warehouse, run.opened
        ledgers.register(warehouse, opened.sync, opened.destination, run.generation, opened.ledger, opened.opened_at)
