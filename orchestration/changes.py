"""The sensor that sees a segment change and launches its syncs, and only its."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg

from models.settings import Target
from orchestration import keys, run_clock
from orchestration.jobs import REFRESH
from orchestration.landing import busy

FINGERPRINT = "fingerprint"  # metadata of a model: a digest of its rows, in any order


def sensor(syncs: Mapping[dg.AssetKey, Iterable[str]], job: str, target: Target = "dev") -> dg.SensorDefinition:
    """A model's rows changed → the syncs of that model, in `job`. `syncs`: model → the names of its syncs."""

    @dg.sensor(
        name="segment_changed",
        job_name=job,
        minimum_interval_seconds=5,
        default_status=_status(target),
        description="The rows of a segment or a sync model changed: its syncs, and only its.",
    )
    def segment_changed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        before: dict[str, str] = json.loads(context.cursor or "{}")
        now = fingerprints(context.instance, syncs)
        changed = [
            model for model in syncs if (name := model.to_user_string()) in now and now[name] != before.get(name)
        ]
        if not changed:
            return dg.SkipReason("no segment changed")
        for running in (REFRESH, job):  # a refresh tells all its changes at once, when it is over
            if busy(context.instance, running):
                return dg.SkipReason(f"{running} is running; what changed meanwhile comes next")
        context.update_cursor(json.dumps({**before, **now}))
        return dg.RunRequest(
            asset_selection=[keys.sync(name) for model in changed for name in syncs[model]],
            tags=run_clock.tags(datetime.now(UTC)),
        )

    return segment_changed


def _status(target: Target) -> dg.DefaultSensorStatus:
    """In dev only the recorder hears it; in prod somebody turns it on."""
    return dg.DefaultSensorStatus.RUNNING if target == "dev" else dg.DefaultSensorStatus.STOPPED


def fingerprints(instance: dg.DagsterInstance, models: Iterable[dg.AssetKey]) -> dict[str, str]:
    """The fingerprint of each model's rows as it was built last; models never built are left out."""
    found: dict[str, str] = {}
    for model in models:
        event = instance.get_latest_materialization_event(model)
        materialization = event.asset_materialization if event else None
        value = materialization.metadata.get(FINGERPRINT) if materialization else None
        if value is not None:
            found[model.to_user_string()] = str(value.value)
    return found
