"""One sync in one process and without a network: the real plan, spool, journal, loop and fold, a vendor from a script.

What `tailrace apply` does, on one open warehouse in memory, so that some hundred syncs take seconds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets import delivery_tables, identity, plans, segments
from assets import ledger as ledgers
from assets.fold import Folder
from assets.ledger import Ledger, Rows
from assets.ledger_compaction import compact
from assets.opening import Opener
from assets.plans import Planned
from assets.syncs import destination_digest
from models.clock import Clock
from models.delivery import Plan, Summary
from models.policy import Policy
from models.settings import Settings
from models.sync import Destination, Sync, SyncEntry
from sinks.base import HttpSink
from sinks.http import deliver
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.registry import load
from sinks.spool import Spool
from tests.assets.syncs.test_withdrawals import merge
from tests.sinks.desk import HASTY, Scripted
from tests.sinks.vendor import Vendor
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.dialect import Dialect, DuckDBDialect
from warehouse.duckdb import DuckDB

POLICY = Policy(salt="test")
SECRETS = {"token": "dev-token", "signing": "dev-signing"}
MODEL = "seg_x"
IN_MEMORY, SHARED_MEMORY = Path(":memory:"), Path("/dev/shm")  # nothing here is about durability


@dataclass
class Loop:
    """A warehouse, a journal, one sync of `seg_x` and its vendor. The clock goes on by an hour a sync."""

    settings: Settings
    warehouse: Warehouse
    journal: Journal
    sync: Sync
    vendor: Vendor
    clock: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)
    policy: Policy = POLICY
    planned: Planned | None = field(default=None, init=False)

    def model(self, kinds: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
        """`seg_x` has these columns and rows."""
        table = pa.table({name: pa.array([row[name] for row in rows], _ARROW[kind]) for name, kind in kinds.items()})
        listed = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in kinds.items())
        with self.warehouse.lend("given", table):
            self.warehouse.execute(f"create or replace table {MODEL} as select {listed} from given")

    def night(self, *members: str, definition: str = "one", merged: Mapping[str, str] | None = None) -> None:
        """A day later `seg_x` has these members, and its history knows. `merged`: loser → winner."""
        self.clock += timedelta(days=1)
        identity.prepare(self.warehouse)
        segments.prepare(self.warehouse)
        for loser, winner in (merged or {}).items():
            merge(self.warehouse, loser, winner, Clock.at(self.clock))
        self.model({"profile_id": "varchar"}, [{"profile_id": member} for member in members])
        segments.record(self.warehouse, Clock.at(self.clock), {MODEL: definition})

    def plan(self) -> Plan:
        """What would be done now; settles what a dead run left."""
        self._folder.recover(self.sync.name, self.clock)
        self.planned = plans.make(
            self.warehouse, self.settings, self.policy, self.sync, self.vendor.sink, Clock.at(self.clock), at=self.clock
        )
        return self.planned.plan

    def run(self, *script: str, dies: str = "", late: timedelta | None = None) -> Summary | None:
        """Plan and carry it out, whatever the guards say; None where there was nothing to do.

        A run that dies `opened` sends nothing, one that dies `sent` neither folds nor closes. One that is `late` sends
        live, so long after its plan.
        """
        self.clock += timedelta(hours=1)
        plan = self.plan()
        if not plan.operations:
            return None
        assert self.planned
        delivery = self._opener.open(self.planned, self.policy.salt, 0, self.clock, "")
        self.journal.release(self._opener.doubtful_send_keys(self.planned, delivery.run_id))
        if dies == "opened":
            return None
        self.vendor.script = list(script)
        summary = deliver(
            self.vendor.sink,
            Spool(self.settings.spool / delivery.spool),
            delivery,
            self.journal,
            settings=replace(self.settings, target="prod") if late else self.settings,
            key=self.sync.identity,
            limiters=Limiters(seed=1, backoff=HASTY.backoff),
            transport=Scripted(self.vendor),
            patience=HASTY,
            seed=1,
            clock=(lambda: self.clock + late) if late else None,
        )
        self.vendor.script = []
        if dies != "sent":
            self.journal.abandon(delivery.run_id, self.clock)
            self._folder.fold(self.clock)
            opened = self._opener.opened(delivery.run_id)
            assert opened
            self._opener.close(opened, summary.stopped, self.clock)
        return summary

    def release(self, key: str | None = None) -> None:
        """What a person does with held rows."""
        assert self.ledger
        ledgers.release(self.warehouse, self.sync, self.ledger, key, self.clock)

    def compact(self) -> None:
        """Write the ledger as one batch. So that it pays, one of its rows is made to look sent ten thousand times."""
        ledger = self.ledger
        assert ledger
        again = batches.Batch(self.warehouse, f"fold/again/{self.clock}")
        listed = ", ".join(name for name in self.warehouse.columns(ledger.newest) if name != "batch_id")
        again.append(
            ledger.newest,
            f"select kept.* replace (0 as _epoch) from (select {listed} from {ledger.newest} limit 1) as kept "
            "cross join range(10_001)",
        )
        again.commit(self.clock)
        compact(self.warehouse, ledger, self.sync.slug, self.clock)

    @property
    def ledger(self) -> Ledger | None:
        return ledgers.find(self.warehouse, self.sync, destination_digest(self.settings, self.sync))

    @property
    def ledger_rows(self) -> Rows:
        """How the next plan reads the ledger."""
        assert self.ledger
        assert self.planned
        return ledgers.rows_of(self.warehouse, self.ledger, self.planned.audience.columns)

    def listed(self, view: str) -> set[str]:
        """The keys in `rejects` or `unknowns`."""
        return {row["key"] for row in self.warehouse.rows(f"select key from tailrace.{view}")}

    @property
    def _opener(self) -> Opener:
        return Opener(self.settings, self.warehouse, self.journal)

    @property
    def _folder(self) -> Folder:
        return Folder(self.warehouse, self.journal, self._opener)


@contextmanager
def loop(
    key: Sequence[str] = ("profile_id",),
    *,
    sink: str = "recorder",
    dialect: Dialect | None = None,
    options: Mapping[str, Any] | None = None,
    **entry: Any,
) -> Iterator[Loop]:
    """A new home with nothing in it. `entry`: more of the sync's entry, `options`: of its sink."""
    kind = load(sink)
    assert issubclass(kind, HttpSink)
    options = dict(options or {})
    parsed = SyncEntry(sink="crm", key=tuple(key), **entry)
    sync = Sync(
        model=MODEL,
        relation=("main", MODEL),
        file="models.yml",
        entry=parsed,
        destination=Destination(sink=sink),
        options=options,
        identity=("entry_id",) if parsed.mode == "send_on_entry" else tuple(key),
    )
    vendor = Vendor(kind(kind.Options(**options), {name: SECRETS[name] for name in kind.secrets}))
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        settings = Settings(Path(folder), Path(folder) / "home")
        settings.root.mkdir(parents=True)
        with DuckDB(IN_MEMORY) as warehouse, Journal(settings.journal) as journal:
            warehouse.dialect = dialect or DuckDBDialect()
            batches.prepare(warehouse)
            delivery_tables.prepare(warehouse)
            yield Loop(settings, warehouse, journal, sync, vendor)


_ARROW = {
    "varchar": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "decimal(18,2)": pa.decimal128(18, 2),
    "decimal(18,4)": pa.decimal128(18, 4),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}
