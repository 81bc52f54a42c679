"""Opening and closing a delivery: what the warehouse must know before the first claim and after the last receipt."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from assets import side_files
from assets.delivery_tables import PLANNED_COLUMNS
from assets.diff import ROWS
from assets.plans import Planned
from models.delivery import Delivery
from models.errors import NeedsPerson
from models.settings import Settings
from models.steps import step
from models.sync import Mode
from sinks import spool as spools
from sinks.journal import Journal
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
MADE_OF = ("journey", "version", "node", "template", "template_version", "locale")


@dataclass(frozen=True)
class Opened:
    """A row of `tailrace.delivery_opened`: all that folding a run needs, whatever was declared since."""

    run_id: str
    plan_id: str
    sync: str
    destination: str
    config: str
    ledger: str
    planned: str
    identity: tuple[str, ...]
    journal_id: str
    epoch: int
    row_count: int
    as_of: datetime
    opened_at: datetime
    dagster_run_id: str

    def columns(self, warehouse: Warehouse) -> list[str]:
        """The sync's own columns among those of the planned rows."""
        return [name for name in warehouse.columns(self.planned) if name not in {*PLANNED_COLUMNS, "batch_id"}]


@dataclass(frozen=True)
class Opener:
    """Everything that opens and closes deliveries of one target."""

    settings: Settings
    warehouse: Warehouse
    journal: Journal

    def open(self, planned: Planned, salt: str, suppressed_from: int, at: datetime, dagster_run_id: str) -> Delivery:
        """Make the plan's rows durable in the warehouse and the spool, then the run known to warehouse and journal."""
        sync, plan = planned.sync, planned.plan
        epoch = self._next_epoch(sync.name)
        run_id = f"{plan.plan_id}-{epoch}"
        relation = f"tailrace.planned_{planned.ledger.newest.removeprefix('tailrace.ledger_')}"
        opened = Opened(
            run_id=run_id,
            plan_id=plan.plan_id,
            sync=sync.name,
            destination=planned.ledger.destination,
            config=planned.config,
            ledger=planned.ledger.newest,
            planned=relation,
            identity=planned.audience.identity,
            journal_id=self.journal.id,
            epoch=epoch,
            row_count=plan.operations,
            as_of=plan.as_of,
            opened_at=at,
            dagster_run_id=dagster_run_id,
        )
        batches.create_log(self.warehouse, relation, {**PLANNED_COLUMNS, **planned.audience.columns}, in_views=False)
        batch = batches.Batch(self.warehouse, f"planned/{run_id}")
        batch.append(relation, self._planned_sql(planned, opened, salt))
        rows = self._planned_count(opened)  # an interrupted opening of the same plan wrote the same rows
        if rows != plan.operations:
            message = f"{sync.name}: {rows:,} rows were written for {plan.operations:,} planned"
            raise NeedsPerson(message)
        batch.commit(at)
        if sync.texts:
            self._keep_messages(planned, opened, at)
        self._spool(planned, opened)
        delivery = Delivery(
            run_id=run_id,
            plan_id=plan.plan_id,
            sync=sync.name,
            epoch=epoch,
            rows=rows,
            spool=f"{run_id}.parquet",
            as_of=plan.as_of,
            opened_at=at,
            dagster_run_id=dagster_run_id,
            purpose=sync.entry.purpose,
            suppressed_from=suppressed_from,
            scopes=sync.scopes,
        )
        # in this order: who does not know a run that the next one knows is older than it (assets/reopening.py)
        self.journal.open_delivery(delivery)
        self.append_opened(opened, at)
        self._remember(planned, opened)
        step("opened", run=run_id, sync=sync.name, rows=rows)
        return delivery

    def doubtful_send_keys(self, planned: Planned, run_id: str) -> list[str]:
        """Keys of messages that are sent again although they may have left: a person or `on_unknown` said so."""
        if planned.sync.entry.mode is not Mode.SEND_ON_ENTRY:
            return []
        log = f"{planned.ledger.newest.replace('ledger_', 'planned_', 1)}"
        rows = self.warehouse.rows(
            f"select planned._send_key from {log} as planned inner join {ROWS} as plan_rows "
            f"on planned.entry_id = plan_rows.entry_id where plan_rows._kind = 'uncertain' "
            f"and planned._run_id = {self.warehouse.dialect.literal(run_id)}"
        )
        return [str(row["_send_key"]) for row in rows]

    def append_opened(self, opened: Opened, at: datetime) -> None:
        """Make the run known to the warehouse; again is nothing."""
        batch = batches.Batch(self.warehouse, f"open/{opened.run_id}")
        batch.append("tailrace.delivery_opened", {**asdict(opened), "identity": json.dumps(opened.identity)})
        batch.commit(at)

    def opened(self, run_id: str) -> Opened | None:
        """What the warehouse knows of the run."""
        found = self._opened(f"run_id = {self.warehouse.dialect.literal(run_id)}")
        return found[0] if found else None

    def runs(self, journal_id: str | None = None) -> frozenset[str]:
        """Every run the warehouse saw open, or those of one journal."""
        literal = self.warehouse.dialect.literal(journal_id)
        rows = self.warehouse.rows(
            f"select run_id from tailrace.delivery_opened where {literal} is null or journal_id = {literal}"
        )
        return frozenset(str(row["run_id"]) for row in rows)

    def unclosed(self, sync: str) -> list[Opened]:
        """Runs of the sync that the warehouse saw open and not close, oldest first."""
        name = self.warehouse.dialect.literal(sync)
        return self._opened(f"sync = {name} and run_id not in (select run_id from tailrace.delivery_closed)")

    def close(self, opened: Opened, stopped: str | None, at: datetime) -> None:
        """Say in the warehouse that the run is over and how it ended; its planned rows are needed no more."""
        counts = self.warehouse.rows(
            render(SQL, "run_counts", self.warehouse.dialect, ledger=opened.ledger, run_id=opened.run_id)
        )[0]
        values = {"run_id": opened.run_id, "closed_at": at, **counts, "stopped": stopped}
        batch = batches.Batch(self.warehouse, f"close/{opened.run_id}", replaces=[f"planned/{opened.run_id}"])
        batch.append("tailrace.delivery_closed", values)
        batch.commit(at)
        self.journal.close_delivery(opened.run_id, at)
        side_files.close(self.settings, opened.run_id)
        step("closed", run=opened.run_id, sync=opened.sync)

    def _keep_messages(self, planned: Planned, opened: Opened, at: datetime) -> None:
        """Write down what each message is made of: whoever looks at one later finds its text by that."""
        query = render(
            SQL,
            "kept_messages",
            self.warehouse.dialect,
            sync=planned.sync,
            made_of=MADE_OF,
            columns=planned.audience.columns,
            as_of=opened.as_of,
            planned=opened.planned,
            run_id=opened.run_id,
        )
        batch = batches.Batch(self.warehouse, f"messages/{opened.run_id}")
        batch.append("tailrace.message", query)
        batch.commit(at)

    def _planned_count(self, opened: Opened) -> int:
        run_id = self.warehouse.dialect.literal(opened.run_id)
        log = opened.planned + batches.LOG_SUFFIX
        return int(self.warehouse.rows(f"select count(*) as n from {log} where _run_id = {run_id}")[0]["n"])

    def _next_epoch(self, sync: str) -> int:
        name = self.warehouse.dialect.literal(sync)
        found = self.warehouse.rows(f"select max(epoch) as epoch from tailrace.delivery_opened where sync = {name}")
        return max(int(found[0]["epoch"] or 0), self.journal.last_epoch(sync)) + 1

    def _planned_sql(self, planned: Planned, opened: Opened, salt: str) -> str:
        sync, dialect = planned.sync, self.warehouse.dialect
        send_key = "null"
        if sync.journey:
            send_key = "entry_id"  # so that a tick takes it back by what the outbox calls it
        elif sync.entry.mode is Mode.SEND_ON_ENTRY:
            send_key = dialect.sha256(f"{dialect.literal(opened.destination + '|' + sync.name + '|')} || entry_id")
        contact = contact_hash(self.warehouse, salt, "_contact") if sync.entry.purpose else "null"
        return render(
            SQL,
            "planned_rows",
            dialect,
            run_id=opened.run_id,
            rows=ROWS,
            send_key=send_key,
            contact=contact,
            carried=planned.audience.carried,
            columns=tuple(planned.audience.columns),
            identity=planned.audience.identity,
            operations=planned.operations,
        )

    def _spool(self, planned: Planned, opened: Opened) -> None:
        """Stream the planned rows out."""
        quote = self.warehouse.dialect.quote
        names = [spools.ROW, spools.OP, spools.PROFILE]
        names += [spools.SEND_KEY] if planned.sync.entry.mode is Mode.SEND_ON_ENTRY else []
        names += [spools.CONTACT] if planned.sync.entry.purpose else []
        names += planned.audience.carried
        listed = ", ".join([*names, *(quote(name) for name in planned.audience.columns)])
        run_id = self.warehouse.dialect.literal(opened.run_id)
        reader = self.warehouse.stream(f"select {listed} from {opened.planned} where _run_id = {run_id} order by _row")
        spools.write(self.settings.spool / f"{opened.run_id}.parquet", reader)

    def _remember(self, planned: Planned, opened: Opened) -> None:
        """Write beside the spool what a restored warehouse would not know."""
        relation = self.warehouse.dialect.literal(opened.ledger)
        generation = self.warehouse.rows(f"select generation from tailrace.ledger where relation = {relation}")
        kept = {**asdict(opened), "columns": dict(planned.audience.columns), **generation[0]}
        side_files.write(self.settings, opened.run_id, kept)

    def _opened(self, condition: str) -> list[Opened]:
        names = ", ".join(Opened.__dataclass_fields__)
        rows = self.warehouse.rows(f"select {names} from tailrace.delivery_opened where {condition} order by epoch")
        return [Opened(**{**row, "identity": tuple(json.loads(row["identity"]))}) for row in rows]


def contact_hash(warehouse: Warehouse, salt: str, column: str) -> str:
    """SQL of the keyed hash by which the journal knows a contact point (normalized)."""
    return warehouse.dialect.sha256(f"{warehouse.dialect.literal(salt + '|')} || {column}")
