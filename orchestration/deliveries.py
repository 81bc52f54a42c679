"""`sync/<sink>/<model>`: one asset a declared sync, with its guards as a check that blocks."""

import re
from collections.abc import Iterable, Iterator

import dagster as dg

from assets import syncs
from assets.kept_plans import document
from assets.sync_run import SyncResult
from models.errors import Refused
from models.settings import Settings
from models.sync import Mode, Sync
from orchestration import journeys, keys, run_clock, sending
from orchestration.console import plain, silent
from orchestration.jobs import TICK
from orchestration.sending import Launch

GUARDS = "guards"
PROFILES, CONSENT = dg.AssetKey(["profiles", "profiles"]), dg.AssetKey(["identity", "consent"])


def assets(settings: Settings, declared: Iterable[Sync], models: dict[str, dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """One asset a sync; `models`: model → its asset."""
    return [
        _asset(settings, sync, keys.journey(sync.journey) if sync.journey else models[sync.model]) for sync in declared
    ]


def _asset(settings: Settings, sync: Sync, model: dg.AssetKey) -> dg.AssetsDefinition:
    key = keys.sync(sync.name)
    spec = dg.AssetSpec(
        key,
        skippable=sync.journey is not None,
        deps=_deps(sync, model),
        description=f"{sync.journey or sync.model} → {sync.entry.sink}, {sync.entry.mode}. Declared in {sync.file}.",
        group_name="deliveries",
        owners=["team:marketing"],
        kinds={sync.destination.sink},
    )
    guards = dg.AssetCheckSpec(
        GUARDS, asset=key, blocking=True, description="A plan past a guard waits for `tailrace apply`."
    )

    @dg.multi_asset(
        name=f"sync__{sync.slug}",
        specs=[spec],
        check_specs=[guards],
        pool=_pool(settings, sync),
        can_subset=sync.journey is not None,  # else a step that skips would owe its check
    )
    def deliver(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        result = _delivered(context, settings, sync)
        if result is None:
            context.log.info("nothing may go now")
            return
        if result.error is None or isinstance(result.error, Refused):
            yield _verdict(key, result)
        if result.error is not None or (result.stopped and not sending.is_paused(result)):
            raise dg.Failure(str(result.error or result.stopped))
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(result))

    return deliver


def _delivered(context: dg.AssetExecutionContext, settings: Settings, sync: Sync) -> SyncResult | None:
    """What became of it; a tick asks first whether any message may go, as `tailrace tick` does, and else has None."""
    clock = run_clock.of(context, settings)
    launch: Launch = {"launched_at": run_clock.launched_at(context), "dagster_run_id": context.run.run_id}
    if context.run.job_name == TICK:
        return next(iter(journeys.send(settings, clock, silent, only=sync.name, **launch)), None)
    (result,) = sending.sync(settings, clock, [sync.name], silent, **launch)
    return result


def _deps(sync: Sync, model: dg.AssetKey) -> list[dg.AssetKey]:
    """The model; what its rows are joined with; for messages the history whose entries they are."""
    deps = [model]
    deps += [PROFILES] if model != PROFILES else []
    deps += [CONSENT] if sync.entry.purpose else []
    is_of_entries = sync.entry.mode is Mode.SEND_ON_ENTRY and sync.journey is None
    deps += [keys.history(sync.model)] if is_of_entries else []
    return deps


def _pool(settings: Settings, sync: Sync) -> str:
    """Rate limits belong to the vendor's account: its syncs take turns."""
    account = syncs.sink_of(settings, sync, secrets=False).account
    return "account_" + re.sub(r"[^a-zA-Z0-9]+", "_", f"{sync.destination.sink}_{account}").strip("_")


def _verdict(key: dg.AssetKey, result: SyncResult) -> dg.AssetCheckResult:
    """What each guard says of the plan and, where one said no, how a person does it all the same."""
    said = {guard.name: guard.detail for guard in result.plan.guards} if result.plan else {}
    refused = {"refused": dg.MetadataValue.text(str(result.error))} if result.error else {}
    return dg.AssetCheckResult(
        passed=result.error is None,
        asset_key=key,
        check_name=GUARDS,
        metadata={"verdict": dg.MetadataValue.json(said), **refused, **_plan(result)},
    )


def _plan(result: SyncResult) -> dict[str, dg.MetadataValue]:
    """The plan, which the UI shows behind a link, with its personal data masked; nothing where none was made."""
    return {"plan": dg.MetadataValue.json(plain(document(result.plan)))} if result.plan else {}


def _metadata(result: SyncResult) -> dict[str, dg.MetadataValue]:
    counts = {f"rows_{name}": dg.MetadataValue.int(count) for name, count in result.counts.items()}
    return {
        **counts,
        **_plan(result),
        "unsent": dg.MetadataValue.int(result.unsent),
        "stopped": dg.MetadataValue.text(result.stopped or ""),
    }
