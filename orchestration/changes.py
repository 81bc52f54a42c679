"""The sensor that sees what syncs would send change, and launches those syncs, and only them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg

from models.settings import Target
from orchestration import keys, run_clock
from orchestration.jobs import REFRESH
from orchestration.landing import busy

FINGERPRINTS = "fingerprints"  # metadata of `published`: sync → assets/fingerprints.py


def sensor(syncs: Iterable[str], job: str, target: Target = "dev") -> dg.SensorDefinition:
    """Who is in a segment, a field or a consent changed → the syncs that would send another audience, in `job`."""
    names = tuple(syncs)

    @dg.sensor(
        name="segment_changed",
        job_name=job,
        minimum_interval_seconds=5,
        default_status=_status(target),
        description="What a sync would send changed (members, fields, consent): that sync, and no other.",
    )
    def segment_changed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        before: dict[str, str] = json.loads(context.cursor or "{}")
        now = published(context.instance)
        changed = [name for name in names if name in now and now[name] != before.get(name)]
        if not changed:
            return dg.SkipReason("no segment changed")
        for running in (REFRESH, job):  # a refresh tells all its changes at once, when it is over
            if busy(context.instance, running):
                return dg.SkipReason(f"{running} is running; what changed meanwhile comes next")
        context.update_cursor(json.dumps({**before, **now}))
        return dg.RunRequest(
            asset_selection=[keys.sync(name) for name in changed], tags=run_clock.tags(datetime.now(UTC))
        )

    return segment_changed


def _status(target: Target) -> dg.DefaultSensorStatus:
    """In dev only the recorder hears it; in prod somebody turns it on."""
    return dg.DefaultSensorStatus.RUNNING if target == "dev" else dg.DefaultSensorStatus.STOPPED


def published(instance: dg.DagsterInstance) -> dict[str, str]:
    """Sync → the fingerprint of what it would send, as of the last publication."""
    event = instance.get_latest_materialization_event(keys.PUBLISHED)
    materialization = event.asset_materialization if event else None
    value = materialization.metadata.get(FINGERPRINTS) if materialization else None
    return dict(value.data) if isinstance(value, dg.JsonMetadataValue) and isinstance(value.data, dict) else {}
