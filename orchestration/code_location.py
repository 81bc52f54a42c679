"""Puts together what Dagster runs: the assets of one project and target, their jobs, schedules and sensors."""

from __future__ import annotations

import dagster as dg

from assets import configuration, stages, syncs
from assets.journeys import documents
from models.settings import Settings
from orchestration import (
    alerts,
    changes,
    clocks,
    collection,
    compacting,
    days,
    deliveries,
    jobs,
    journey_assets,
    keys,
    landing,
    people,
    transform,
)
from orchestration.project import Manifest, folder, models, read_manifest

OUTCOMES = "outcomes"  # the source by which channels report back
AD_HOC = "__ASSET_JOB"  # Dagster's name of the job behind "Materialize"


def build(settings: Settings) -> dg.Definitions:
    """Everything, without a warehouse and without a secret. Raises ConfigError as `tailrace check` does."""
    manifest = read_manifest(settings)
    declared = syncs.load_syncs(settings, manifest)
    segments, journeys = stages.segment_names(settings), documents.readable(settings)
    model_keys = {node["name"]: dg.AssetKey([folder(node), node["name"]]) for node in models(manifest)}
    sync_keys = [keys.sync(sync.name) for sync in declared]
    made: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *collection.assets(settings),
        *transform.assets(settings, manifest),
        people.profile_map(settings),
        people.suppressions(settings),
        *people.histories(settings, segments),
        *journey_assets.assets(settings, journeys),
        days.segment_days(settings, list(segments)),
        compacting.asset(settings),
        people.published(settings, declared),
        *people.logs(segments, sync_keys),
        *deliveries.assets(settings, declared, model_keys),
    ]
    moving = [keys.journey(read.journey.journey) for read in journeys]
    messages = [keys.sync(sync.name) for sync in declared if sync.journey]
    wanted = jobs.jobs(sync_keys, _learning(settings, manifest), [*moving, *messages])
    names = [job.name for job in wanted]
    return dg.Definitions(
        assets=made,
        jobs=wanted,
        schedules=[*jobs.schedules(names, clocks.zone(settings)), days.nightly(settings)],
        sensors=[
            landing.sensor(settings, jobs.REFRESH),
            *([changes.sensor([sync.name for sync in declared], jobs.ACTIVATE, settings.target)] if declared else []),
            alerts.sensor(settings, [*names, AD_HOC]),
        ],
        # a refresh is one process: the parsed project is loaded once, and a step costs no start
        executor=dg.in_process_executor,
    )


def _learning(settings: Settings, manifest: Manifest) -> list[dg.AssetKey]:
    """What `learn` builds: outcomes become events, results are made of them and published."""
    if OUTCOMES not in configuration.sources(settings):
        return []
    built = [dg.AssetKey([folder(node), node["name"]]) for node in models(manifest, "staging", "marts")]
    return [keys.raw(OUTCOMES), *built, keys.PUBLISHED]
