"""What a person asks of syncs: plan, apply, sync, release. How one run of one goes is in sync_run.py."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from assets import configuration, delivery_tables, forgotten_entries, kept_plans, plans, runner
from assets import ledger as ledgers
from assets.fold import Folder
from assets.opening import Opener
from assets.store import Desk, learning, writing
from assets.sync_run import Progress, SyncResult, SyncRun, now, prepared
from assets.syncs import Manifest, destination_digest, load_syncs, named, sink_of
from models.clock import Clock
from models.delivery import Plan
from models.errors import NeedsPerson, Refused, TailraceError, UserError
from models.settings import Settings
from sinks.journal import Journal
from sinks.limiter import Limiters

_log = logging.getLogger("tailrace.sync")

PLAN_AGE = timedelta(days=1)  # a plan older than this was not made for today


def plan(
    settings: Settings, clock: Clock, name: str, *, show_pii: bool = False, manifest: Manifest | None = None
) -> Plan:
    """What the sync would do now. Writes to no vendor; folds the journal first."""
    sync = named(load_syncs(settings, manifest), name)
    sink = sink_of(settings, sync, secrets=False)
    policy = configuration.policy(settings)
    with Journal(prepared(settings)) as journal, writing(settings, how="beside") as warehouse:
        delivery_tables.prepare(warehouse)
        folder = Folder(warehouse, journal, Opener(settings, warehouse, journal))
        with runner.free(settings, sync.name) as free:
            if free:
                folder.recover(sync.name, now())
                if forgotten_entries.are_there(warehouse, sync):
                    with learning(settings):
                        forgotten_entries.put_back(warehouse, sync, now())
            else:  # it is being delivered: what has come back counts
                folder.fold(now())
            return plans.make(warehouse, settings, policy, sync, sink, clock, at=now(), show_pii=show_pii).plan


def apply(
    settings: Settings,
    plan_id: str,
    *,
    on_progress: Progress | None = None,
    manifest: Manifest | None = None,
) -> SyncResult:
    """Carry out a stored plan, whatever its guards say. Raises Refused when anything it was made of has moved."""
    with writing(settings, how="beside") as warehouse:
        delivery_tables.prepare(warehouse)
        kept = kept_plans.stored(warehouse, plan_id)
    sync = named(load_syncs(settings, manifest), kept["sync"])
    clock = Clock.at(kept["as_of"])
    _refuse_old(settings, kept)
    desk = Desk(settings)
    run = SyncRun(desk, clock, sync, Limiters(), on_progress, "", kept["planned_at"], apply=kept)
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
    launched_at = launched_at or now()
    _refuse_clock(settings, clock, launched_at)
    desk = Desk(settings)
    run = partial(SyncRun, desk, clock, limiters=Limiters(), on_progress=on_progress, dagster_run_id=dagster_run_id)
    try:
        return [_guarded(run(sync=each, launched_at=launched_at)) for each in chosen]
    finally:
        desk.leave()


def release(settings: Settings, name: str, key: str | None = None, *, manifest: Manifest | None = None) -> int:
    """Let what the sync holds (rejected, unknown) be planned again: one key, or all; how many rows were held.

    Raises UserError when nothing is held under the key.
    """
    sync = named(load_syncs(settings, manifest), name)
    with Journal(prepared(settings)) as journal, writing(settings, how="beside") as warehouse:
        delivery_tables.prepare(warehouse)
        Folder(warehouse, journal, Opener(settings, warehouse, journal)).fold(now())
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
        ledgers.release(warehouse, sync, ledger, key, now())
        return len(held)


def _guarded(run: SyncRun) -> SyncResult:
    try:
        return run.run()
    except TailraceError as error:
        return SyncResult(run.sync.name, run.planned, error=error)
    except Exception as error:  # noqa: BLE001 - told in the result, with its traceback in the log
        _log.exception("%s failed", run.sync.name)
        return SyncResult(run.sync.name, error=NeedsPerson(f"{run.sync.name}: {type(error).__name__}: {error}"))


def _refuse_clock(settings: Settings, clock: Clock, launched_at: datetime) -> None:
    """In prod what sends has the clock of its launch, and was launched within a day."""
    if settings.target == "prod" and (not clock.is_now(launched_at) or now() - launched_at > PLAN_AGE):
        message = (
            f"in prod a sync runs as of its launch ({launched_at.isoformat()}) and within a day of it, not as of "
            f"{clock.as_of.isoformat()}; leave --as-of out, or launch it anew"
        )
        raise Refused(message)


def _refuse_old(settings: Settings, kept: Mapping[str, object]) -> None:
    planned_at, as_of = kept["planned_at"], kept["as_of"]
    assert isinstance(planned_at, datetime)
    assert isinstance(as_of, datetime)
    if settings.target == "prod" and (not Clock.at(as_of).is_now(planned_at) or now() - planned_at > PLAN_AGE):
        message = (
            f"plan {kept['plan_id']} is not of today; in prod only a plan made as of now, within a day, is applied"
        )
        raise Refused(message)
