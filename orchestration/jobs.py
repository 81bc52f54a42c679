"""Jobs are what a person wants: `refresh` what is true, `activate` what is sent, `learn` what came of it.

`record_days` keeps who was in each segment at a day's end; its schedule, by partition, is orchestration/days.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import dagster as dg

from orchestration import keys, run_clock

REFRESH, ACTIVATE, LEARN, RECORD_DAYS = "refresh", "activate", "learn", "record_days"


def jobs(syncs: Iterable[dg.AssetKey], outcomes: Iterable[dg.AssetKey]) -> list[dg.UnresolvedAssetJobDefinition]:
    """`syncs`: what sends. `outcomes`: what learning builds; empty without a source of outcomes."""
    sending, learning = list(syncs), list(outcomes)
    everything = dg.AssetSelection.all() - dg.AssetSelection.assets(*sending, keys.SEGMENT_DAYS)
    made = [dg.define_asset_job(REFRESH, selection=everything, description="Load what landed; rebuild, publish.")]
    if sending:
        made.append(dg.define_asset_job(ACTIVATE, selection=sending, description="Plan and deliver every sync."))
    if learning:
        made.append(dg.define_asset_job(LEARN, selection=learning, description="Outcomes, and the results they give."))
    past = "Who was in each segment at the end of a day."
    made.append(dg.define_asset_job(RECORD_DAYS, selection=[keys.SEGMENT_DAYS], description=past))
    return made


def schedules(names: Iterable[str], zone: ZoneInfo) -> list[dg.ScheduleDefinition]:
    """Nightly, in the project's zone: learn from the day, refresh, then send. Each run's clock is its tick's time."""
    wanted = {LEARN: "30 1 * * *", REFRESH: "0 2 * * *", ACTIVATE: "0 4 * * *"}
    return [_schedule(job, wanted[job], zone) for job in names if job in wanted]


def _schedule(job: str, cron: str, zone: ZoneInfo) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"nightly_{job}",
        job_name=job,
        cron_schedule=cron,
        execution_timezone=str(zone),
        description=f"Every night: {job}.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=run_clock.tags(context.scheduled_execution_time))

    return nightly
