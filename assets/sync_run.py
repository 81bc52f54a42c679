"""One run of one sync: settle what was before it, plan, open, deliver, fold, close. Who asks for it: deliveries.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from assets import configuration, dead_contacts, delivery_tables, forgotten_entries, plans, runner, troubles
from assets import ledger as ledgers
from assets.destinations import failover
from assets.fold import Folder
from assets.folding import Folding
from assets.journeys.messages import take_back
from assets.ledger_compaction import compact
from assets.messages import letters
from assets.messages.composing import Letterhead
from assets.opening import Opener
from assets.store import Desk, deciding, learning, reading_models
from assets.suppressions import position_known
from assets.syncs import sink_of
from models.clock import Clock
from models.delivery import Delivery, Plan, Summary
from models.errors import Refused, TailraceError
from models.journal_place import Place
from models.settings import Settings
from models.steps import step
from models.sync import Sync
from sinks.base import Carrier, Sink
from sinks.destinations import Outlet, wire_for
from sinks.http import deliver
from sinks.journal import Journal
from sinks.leases import Lease
from sinks.limiter import Limiters
from sinks.spool import Spool
from warehouse import batches
from warehouse.base import Warehouse

LOCK_SECONDS = 5.0  # `status` looks at a sync's lock for a moment, `doctor` holds it while it settles what it found
CLOSING_SECONDS = 600.0  # the run is over: its receipts are worth waiting for the warehouse

Progress = Callable[[str, int, int], None]
"""Hears (sync, rows settled, rows planned)."""


@dataclass(frozen=True)
class SyncResult:
    """How one sync ended. `error` is set when it could not run or stopped; the others are not stopped by it.

    What a guard refused has its plan.
    """

    sync: str
    plan: Plan | None = None
    run_id: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)  # rows by their last outcome
    unsent: int = 0  # planned and never claimed: planned again next time
    stopped: str | None = None  # why it ended early, where the vendor or a person said so
    refused: Mapping[str, str] = field(default_factory=dict)  # destination → why others took over from its account
    error: TailraceError | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and self.stopped is None


@dataclass
class SyncRun:
    """One sync, once. The warehouse is free while it delivers."""

    desk: Desk
    clock: Clock
    sync: Sync
    limiters: Limiters
    on_progress: Progress | None
    dagster_run_id: str
    launched_at: datetime
    apply: Mapping[str, object] | None = None
    planned: Plan | None = None  # known as soon as there is one, also where it is refused
    letterhead: Letterhead | None = None  # of messages

    @property
    def settings(self) -> Settings:
        return self.desk.settings

    @cached_property
    def sink(self) -> Sink:
        return sink_of(self.settings, self.sync)

    @cached_property
    def failover(self) -> tuple[Outlet, ...]:
        return failover(self.settings, self.sync)

    def run(self) -> SyncResult:
        name, place = self.sync.name, prepared(self.settings)
        if runner.is_running(self.settings, name):  # whoever does may need the warehouse to end
            self.desk.leave()
        with runner.running(self.settings, name, wait_seconds=LOCK_SECONDS) as lease, Journal(place) as journal:
            planned, delivery = self._opened(journal)
            if delivery is None:
                return SyncResult(name, planned, stopped=self._paused(journal) if planned.operations else None)
            summary = self._delivered(journal, delivery, lease)
            return SyncResult(
                name, planned, delivery.run_id, dict(summary.counts), summary.unsent, summary.stopped, summary.refused
            )

    def _opened(self, journal: Journal) -> tuple[Plan, Delivery | None]:
        """The plan, and the delivery it opened; none when there is nothing to send or the sync is paused."""
        with self.desk.writing() as warehouse:
            delivery_tables.prepare(warehouse)
            opener = Opener(self.settings, warehouse, journal)
            with troubles.noted(warehouse, self.sync, now()):
                Folder(warehouse, journal, opener).recover(self.sync.name, now())
                forgotten = forgotten_entries.are_there(warehouse, self.sync)
            _refuse_backwards(self.settings, warehouse, self.clock)
            with (
                # a plan that moved is said to whoever applies it: the sync itself is as well as it was
                nullcontext() if self.apply else troubles.noted(warehouse, self.sync, now()),
                reading_models(self.settings) if self._reads_models() else nullcontext(),
                learning(self.settings) if forgotten else deciding(self.settings),
            ):
                if forgotten:
                    forgotten_entries.put_back(warehouse, self.sync, now())
                return self._open(warehouse, journal, opener)

    def _reads_models(self) -> bool:
        """Messages of journeys read people alone, who are made in the turn of what is known of them.

        How fresh a source is they ask, too, and one in place is away while its table is replaced.
        """
        return not self.sync.journey or configuration.reads_in_place(self.settings)

    def _open(self, warehouse: Warehouse, journal: Journal, opener: Opener) -> tuple[Plan, Delivery | None]:
        policy = configuration.policy(self.settings)
        known = position_known(warehouse, journal)
        sinks = (self.sink, *(outlet.sink for outlet in self.failover))  # whose secrets are missing is told at once
        planned = plans.make(
            warehouse, self.settings, policy, self.sync, self.sink, self.clock, at=now(), launched_at=self.launched_at
        )
        self.planned = planned.plan
        step("planned", plan=planned.plan.plan_id, sync=self.sync.name)
        self._check(planned.plan)
        if not planned.plan.operations:
            troubles.settle(warehouse, self.sync, now())
            return planned.plan, None
        if self._paused(journal):
            return planned.plan, None
        for sink in sinks:
            if isinstance(sink, Carrier):
                wire_for(sink, self.settings, sync=self.sync.name, as_of=self.clock.as_of, now=now).ready()
        if self.sink.channel:
            self.letterhead = letters.letterhead(warehouse, self.settings, policy, self.sync, self.clock.as_of, now())
        delivery = opener.open(planned, policy.salt, known, now(), self.dagster_run_id)
        if self.sync.journey:  # by a tick since they were planned, which did not see this run
            take_back(warehouse, journal, self.clock.as_of, now())
        journal.release(opener.doubtful_send_keys(planned, delivery.run_id))
        return planned.plan, delivery

    def _check(self, plan: Plan) -> None:
        if self.apply is not None:
            if self.apply["seal"] != plan.seal:
                message = (
                    f"{self.sync.name}: what plan {self.apply['plan_id']} was made of has moved (the model, its "
                    f"configuration, or what was delivered since); the plan is now {plan.plan_id}: look at it again"
                )
                raise Refused(message)
            return
        failed = [guard for guard in plan.guards if not guard.ok]
        if failed:
            told = "; ".join(f"{guard.name}: {guard.detail}" for guard in failed)
            message = f"{self.sync.name}: {told}. To do it anyway: tailrace apply {plan.plan_id}"
            raise Refused(message)

    def _delivered(self, journal: Journal, delivery: Delivery, lease: Lease | None) -> Summary:
        """Send with the warehouse free, folding now and then; then the last fold and the closing."""

        def heard(rows: int) -> None:
            if self.on_progress:
                self.on_progress(self.sync.name, rows, delivery.rows)

        summary: Summary | None = None
        stopped = "interrupted"
        self.desk.leave()
        try:
            with Folding(self.settings), letters.composer(self.letterhead) as compose:
                summary = deliver(
                    self.sink,
                    Spool(self.settings.spool / delivery.spool),
                    delivery,
                    journal,
                    settings=self.settings,
                    key=self.sync.identity,
                    limiters=self.limiters,
                    quota=self.sync.destination.quota,
                    failover=self.failover,
                    compose=compose,
                    lease=lease,
                    clock=now,
                    progress=heard,
                )
        except TailraceError as error:
            stopped = str(error)
            raise
        finally:
            self._closed(journal, delivery, summary.stopped if summary else stopped)
        return summary

    def _closed(self, journal: Journal, delivery: Delivery, stopped: str | None) -> None:
        with self.desk.writing(CLOSING_SECONDS) as warehouse:
            opener = Opener(self.settings, warehouse, journal)
            journal.abandon(delivery.run_id, now())
            folder = Folder(warehouse, journal, opener)
            folder.fold(now())
            opened = opener.opened(delivery.run_id)
            assert opened, "this run opened it"
            folder.settle(opened, now())
            sinks = {self.sync.entry.sink: self.sink, **{outlet.name: outlet.sink for outlet in self.failover}}
            dead_contacts.land(opener, opened, self.sync, sinks, configuration.policy(self.settings).salt, now())
            opener.close(opened, stopped, now())
            ledger = ledgers.find(warehouse, self.sync, opened.destination)
            assert ledger, "this run planned with it"
            compact(warehouse, ledger, self.sync.slug, now())
            for relation in (*ledger.relations, opened.planned):
                batches.discard_replaced(warehouse, relation, now())

    def _paused(self, journal: Journal) -> str | None:
        paused = journal.paused()
        scope = next((scope for scope in (self.sync.name, *self.sync.scopes, "all") if scope in paused), None)
        return scope and f"paused ({scope})"


def prepared(settings: Settings) -> Place:
    """Where the journal is, in a home that is there."""
    settings.root.mkdir(parents=True, exist_ok=True)
    return settings.journal


def now() -> datetime:
    """The real time: of receipts and of waiting, never of what is decided."""
    return datetime.now(UTC)


def _refuse_backwards(settings: Settings, warehouse: Warehouse, clock: Clock) -> None:
    """In dev the clock may be any, but not one before the last that sent."""
    last = warehouse.rows("select max(as_of) as as_of from tailrace.delivery_opened")[0]["as_of"]
    if settings.target != "prod" and last is not None and clock.as_of < last:
        message = (
            f"the last sync ran as of {last.astimezone(UTC).isoformat()}; as of {clock.as_of.isoformat()} "
            "would send the past. Use a later --as-of"
        )
        raise Refused(message)
