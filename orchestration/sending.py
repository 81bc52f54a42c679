"""Plan, apply and sync as the command line and Dagster call them: with the project's manifest, published afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypedDict, Unpack

from assets import deliveries, publish, stages, store, syncs
from assets.sync_run import SyncResult
from assets.unbuilt import build_unbuilt
from models.clock import Clock
from models.delivery import Plan
from models.errors import NeedsPerson, Refused
from models.settings import Settings
from orchestration import upkeep
from orchestration.console import Tell
from orchestration.project import read_manifest
from sinks.allowances import USED_UP


class Launch(TypedDict, total=False):
    """Who asked, where that was not somebody just now: when the run was created, and which of Dagster's it is."""

    launched_at: datetime
    dagster_run_id: str


def plan(settings: Settings, clock: Clock, name: str | None, *, show_pii: bool, tell: Tell) -> list[Plan]:
    """The plan of one sync, or of all; a segment that is new or edited is built first. Writes to no vendor."""
    manifest = read_manifest(settings)
    declared = syncs.load_syncs(settings, manifest)
    chosen = [syncs.named(declared, name)] if name else declared
    build_unbuilt(settings, {sync.model for sync in chosen if sync.journey is None})
    names = [sync.name for sync in chosen]
    plans = []
    for number, each in enumerate(names):
        tell(f"planning {each}", number, len(names))
        plans.append(deliveries.plan(settings, clock, each, show_pii=show_pii, manifest=manifest))
    return plans


def apply(settings: Settings, plan_id: str, tell: Tell) -> SyncResult:
    """Carry out a stored plan. Raises Refused when anything it was made of has moved."""
    done = deliveries.apply(settings, plan_id, on_progress=tell, manifest=read_manifest(settings))
    _settle(settings)
    return done


def sync(
    settings: Settings,
    clock: Clock,
    names: Sequence[str] | None,
    tell: Tell,
    **launch: Unpack[Launch],
) -> list[SyncResult]:
    """Plan and deliver; one that fails stops no other. What became of it is published."""
    manifest = read_manifest(settings)
    done = deliveries.sync(settings, clock, names, on_progress=tell, manifest=manifest, **launch)
    _settle(settings)
    return done


def release(settings: Settings, name: str, key: str | None) -> int:
    """Let what the sync holds be planned again: one key, or all; how many rows were held."""
    count = deliveries.release(settings, name, key, manifest=read_manifest(settings))
    _settle(settings)
    return count


def exit_code(results: Sequence[SyncResult]) -> int:
    """0 when all went well or waits for a person who paused it; else the worst: needs a person, refused, a mistake."""
    codes = {result.error.exit_code for result in results if result.error}
    codes |= {NeedsPerson.exit_code for result in results if result.stopped and not is_paused(result)}
    order = (NeedsPerson.exit_code, Refused.exit_code, *sorted(codes))
    return next((code for code in order if code in codes), 0)


def is_paused(result: SyncResult) -> bool:
    """Whether it stopped because somebody asked for that, with a pause or a quota: it waits for no person."""
    return result.error is None and (result.stopped or "").startswith(("paused", USED_UP))


def _settle(settings: Settings) -> None:
    """What became of it is published; what nobody needs any more goes."""
    upkeep.tidy(settings, datetime.now(UTC))
    with store.locked(settings, how="beside"), stages.opened(settings) as warehouse:
        publish.publish(settings, warehouse, only=publish.OF_STATUS)
