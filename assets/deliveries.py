"""What a person asks of syncs: plan, apply, sync, release. Plans, folds and openings are modules of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial

from assets import configuration, dead_contacts, delivery_tables, forgotten_entries, plans, runner, troubles
from assets import ledger as ledgers
from assets.compaction import compact, discard_replaced
from assets.destinations import failover
from assets.fold import Folder
from assets.folding import Folding
from assets.messages import letters
from assets.messages.composing import Letterhead
from assets.opening import Opener
from assets.store import Desk, writing
from assets.suppressions import position_known
from assets.syncs import Manifest, destination_digest, load_syncs, named, sink_of
from models.clock import Clock
from models.delivery import Delivery, Plan, Summary
from models.errors import NeedsPerson, Refused, TailraceError, UserError, WarehouseHeld
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
from warehouse.base import Warehouse

_log = logging.getLogger("tailrace.sync")

PLAN_AGE = timedelta(days=1)  # a plan older than this was not made for today
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


def plan(
    settings: Settings, clock: Clock, name: str, *, show_pii: bool = False, manifest: Manifest | None = None
) -> Plan:
    """What the sync would do now. Writes to no vendor; folds the journal first."""
    sync = named(load_syncs(settings, manifest), name)
    sink = sink_of(settings, sync, secrets=False)
    policy = configuration.policy(settings)
    with Journal(_prepared(settings)) as journal, writing(settings, beside=True) as warehouse:
        delivery_tables.prepare(warehouse)
        folder = Folder(warehouse, journal, Opener(settings, warehouse, journal))
        with _free(settings, sync) as free:
            if free:
                folder.recover(sync.name, _now())
                forgotten_entries.put_back(warehouse, sync, _now())
            else:  # it is being delivered: what has come back counts
                folder.fold(_now())
            return plans.make(warehouse, settings, policy, sync, sink, clock, at=_now(), show_pii=show_pii).plan


def apply(
    settings: Settings,
    plan_id: str,
    *,
    on_progress: Progress | None = None,
    dagster_run_id: str = "",
    manifest: Manifest | None = None,
) -> SyncResult:
    """Carry out a stored plan, whatever its guards say. Raises Refused when anything it was made of has moved."""
    with writing(settings, beside=True) as warehouse:
        delivery_tables.prepare(warehouse)
        kept = plans.stored(warehouse, plan_id)
    sync = named(load_syncs(settings, manifest), kept["sync"])
    clock = Clock.at(kept["as_of"])
    _refuse_old(settings, kept)
    desk = Desk(settings)
    run = _Run(desk, clock, sync, Limiters(), on_progress, dagster_run_id, kept["planned_at"], apply=kept)
    try:
        return run.run()
    finally:
        desk.leave()


def sync(
    settings: Settings,
    clock: Clock,
    names: Sequence[str] | None = None,
    *,
    launched_at: datetime | None = None,
    on_progress: Progress | None = None,
    dagster_run_id: str = "",
    manifest: Manifest | None = None,
) -> list[SyncResult]:
    """Plan each sync and carry the plan out where its guards pass; without names, all. One failure stops no other.

    `launched_at` is the real time at which somebody asked for it, where that is not now: what waits for its turn keeps
    its clock. A result's `error` is Refused where a guard said no. Raises for what stops all: an unknown name, a clock.
    """
    declared = load_syncs(settings, manifest)
    chosen = declared if names is None else [named(declared, name) for name in names]
    launched_at = launched_at or _now()
    _refuse_clock(settings, clock, launched_at)
    desk = Desk(settings)
    run = partial(_Run, desk, clock, limiters=Limiters(), on_progress=on_progress, dagster_run_id=dagster_run_id)
    try:
        return [_guarded(run(sync=each, launched_at=launched_at)) for each in chosen]
    finally:
        desk.leave()


def release(settings: Settings, name: str, key: str | None = None, *, manifest: Manifest | None = None) -> int:
    """Let what the sync holds (rejected, unknown) be planned again: one key, or all; how many rows were held.

    Raises UserError when nothing is held under the key.
    """
    sync = named(load_syncs(settings, manifest), name)
    with Journal(_prepared(settings)) as journal, writing(settings, beside=True) as warehouse:
        delivery_tables.prepare(warehouse)
        Folder(warehouse, journal, Opener(settings, warehouse, journal)).fold(_now())
        literal = warehouse.dialect.literal
        held = warehouse.rows(
            "select distinct key from (select sync, key from tailrace.rejects union all "
            f"select sync, key from tailrace.unknowns) as held where sync = {literal(sync.name)}"
            + (f" and key = {literal(key)}" if key is not None else "")
        )
        ledger = ledgers.find(warehouse, sync, destination_digest(settings, sync))
        if not held or ledger is None:
            message = f"{name} holds nothing" + (f" under the key '{key}'" if key is not None else "")
            raise UserError(message)
        ledgers.release(warehouse, sync, ledger, key, _now())
        return len(held)


@dataclass
class _Run:
    """One sync, once: recover, plan, open, deliver, fold, close. The warehouse is free while it delivers."""

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
        name, place = self.sync.name, _prepared(self.settings)
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
            with troubles.noted(warehouse, self.sync, _now()):
                Folder(warehouse, journal, opener).recover(self.sync.name, _now())
                forgotten_entries.put_back(warehouse, self.sync, _now())
            _refuse_backwards(self.settings, warehouse, self.clock)
            # a plan that moved is said to whoever applies it: the sync itself is as well as it was
            with nullcontext() if self.apply else troubles.noted(warehouse, self.sync, _now()):
                return self._open(warehouse, journal, opener)

    def _open(self, warehouse: Warehouse, journal: Journal, opener: Opener) -> tuple[Plan, Delivery | None]:
        policy = configuration.policy(self.settings)
        known = position_known(warehouse, journal)
        sinks = (self.sink, *(outlet.sink for outlet in self.failover))  # whose secrets are missing is told at once
        planned = plans.make(
            warehouse, self.settings, policy, self.sync, self.sink, self.clock, at=_now(), launched_at=self.launched_at
        )
        self.planned = planned.plan
        step("planned", plan=planned.plan.plan_id, sync=self.sync.name)
        self._check(planned.plan)
        if not planned.plan.operations:
            troubles.settle(warehouse, self.sync, _now())
            return planned.plan, None
        if self._paused(journal):
            return planned.plan, None
        for sink in sinks:
            if isinstance(sink, Carrier):
                wire_for(sink, self.settings, sync=self.sync.name, as_of=self.clock.as_of, now=_now).ready()
        if self.sink.channel:
            self.letterhead = letters.letterhead(warehouse, self.settings, policy, self.sync, self.clock.as_of, _now())
        delivery = opener.open(planned, policy.salt, known, _now(), self.dagster_run_id)
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
                    clock=_now,
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
            journal.abandon(delivery.run_id, _now())
            folder = Folder(warehouse, journal, opener)
            folder.fold(_now())
            opened = opener.opened(delivery.run_id)
            assert opened, "this run opened it"
            folder.settle(opened, _now())
            sinks = {self.sync.entry.sink: self.sink, **{outlet.name: outlet.sink for outlet in self.failover}}
            dead_contacts.land(opener, opened, self.sync, sinks, configuration.policy(self.settings).salt, _now())
            opener.close(opened, stopped, _now())
            ledger = ledgers.find(warehouse, self.sync, opened.destination)
            assert ledger, "this run planned with it"
            compact(warehouse, ledger, self.sync.slug, _now())
            for relation in (*ledger.relations, opened.planned):
                discard_replaced(warehouse, relation, _now())

    def _paused(self, journal: Journal) -> str | None:
        paused = journal.paused()
        scope = next((scope for scope in (self.sync.name, *self.sync.scopes, "all") if scope in paused), None)
        return scope and f"paused ({scope})"


def _guarded(run: _Run) -> SyncResult:
    try:
        return run.run()
    except TailraceError as error:
        return SyncResult(run.sync.name, run.planned, error=error)
    except Exception as error:  # noqa: BLE001 - told in the result, with its traceback in the log
        _log.exception("%s failed", run.sync.name)
        return SyncResult(run.sync.name, error=NeedsPerson(f"{run.sync.name}: {type(error).__name__}: {error}"))


@contextmanager
def _free(settings: Settings, sync: Sync) -> Iterator[bool]:
    """Be the sync's runner if it has none."""
    held = runner.running(settings, sync.name)
    try:
        held.__enter__()
    except WarehouseHeld:
        yield False
        return
    try:
        yield True
    finally:
        held.__exit__(None, None, None)


def _prepared(settings: Settings) -> Place:
    settings.root.mkdir(parents=True, exist_ok=True)
    return settings.journal


def _now() -> datetime:
    return datetime.now(UTC)


def _refuse_clock(settings: Settings, clock: Clock, launched_at: datetime) -> None:
    """In prod what sends has the clock of its launch, and was launched within a day."""
    if settings.target == "prod" and (not clock.is_now(launched_at) or _now() - launched_at > PLAN_AGE):
        message = (
            f"in prod a sync runs as of its launch ({launched_at.isoformat()}) and within a day of it, not as of "
            f"{clock.as_of.isoformat()}; leave --as-of out, or launch it anew"
        )
        raise Refused(message)


def _refuse_backwards(settings: Settings, warehouse: Warehouse, clock: Clock) -> None:
    """In dev the clock may be any, but not one before the last that sent."""
    last = warehouse.rows("select max(as_of) as as_of from tailrace.delivery_opened")[0]["as_of"]
    if settings.target != "prod" and last is not None and clock.as_of < last:
        message = (
            f"the last sync ran as of {last.astimezone(UTC).isoformat()}; as of {clock.as_of.isoformat()} "
            "would send the past. Use a later --as-of"
        )
        raise Refused(message)


def _refuse_old(settings: Settings, kept: Mapping[str, object]) -> None:
    planned_at, as_of = kept["planned_at"], kept["as_of"]
    assert isinstance(planned_at, datetime)
    assert isinstance(as_of, datetime)
    if settings.target == "prod" and (not Clock.at(as_of).is_now(planned_at) or _now() - planned_at > PLAN_AGE):
        message = (
            f"plan {kept['plan_id']} is not of today; in prod only a plan made as of now, within a day, is applied"
        )
        raise Refused(message)
