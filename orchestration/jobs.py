"""Jobs are what a person wants: `refresh` what is true, `activate` what is sent, `learn` what came of it.

`record_days` keeps who was in each segment at a day's end, `compact` what is append-only small.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import dagster as dg

from orchestration import keys, run_clock

REFRESH, ACTIVATE, LEARN, TICK = "refresh", "activate", "learn", "tick"
RECORD_DAYS, COMPACT = "record_days", "compact"


def jobs(
    syncs: Iterable[dg.AssetKey], outcomes: Iterable[dg.AssetKey], journeys: Iterable[dg.AssetKey]
) -> list[dg.UnresolvedAssetJobDefinition]:
    """`syncs`: what sends. `outcomes`: what learning builds; empty without a source of outcomes.

    `journeys`: these and what sends their messages.
    """
    sending, learning, moving = list(syncs), list(outcomes), list(journeys)
    everything = dg.AssetSelection.all() - dg.AssetSelection.assets(*sending, keys.SEGMENT_DAYS, keys.COMPACTION)
    made = [dg.define_asset_job(REFRESH, selection=everything, description="Load what landed; rebuild, publish.")]
    if sending:
        made.append(dg.define_asset_job(ACTIVATE, selection=sending, description="Plan and deliver every sync."))
    if learning:
        made.append(dg.define_asset_job(LEARN, selection=learning, description="Outcomes, and the results they give."))
    if moving:
        made.append(dg.define_asset_job(TICK, selection=moving, description="Move journeys; send what may go."))
    past = "Who was in each segment at the end of a day."
    made.append(dg.define_asset_job(RECORD_DAYS, selection=[keys.SEGMENT_DAYS], description=past))
    small = "What is append-only, kept small."
    made.append(dg.define_asset_job(COMPACT, selection=[keys.COMPACTION], description=small))
    return made


def schedules(names: Iterable[str], zone: ZoneInfo) -> list[dg.ScheduleDefinition]:
    """Nightly, in the project's zone: learn from the day, refresh, then send; at last what is kept is made small.

    Journeys are ticked between refreshes. Each run's clock is its schedule's time.
    """
    nightly = {LEARN: "30 1 * * *", REFRESH: "0 2 * * *", ACTIVATE: "0 4 * * *", COMPACT: "30 5 * * *"}
    found = list(names)
    made = [_schedule(f"nightly_{job}", job, nightly[job], zone, "Every night") for job in found if job in nightly]
    return [
        *made,
        *([_schedule("often_tick", TICK, "*/5 * * * *", zone, "Every five minutes")] if TICK in found else []),
    ]


def _schedule(name: str, job: str, cron: str, zone: ZoneInfo, when: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone=str(zone),
        description=f"{when}: {job}.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=run_clock.tags(context.scheduled_execution_time))

    return nightly
