"""`segment_days`: who was in each segment at each day's end, one partition a day, a range of them in one run."""

import warnings
from datetime import date, timedelta

import dagster as dg

from assets import past
from models.settings import Settings
from orchestration import clocks, keys, run_clock
from orchestration.console import silent
from orchestration.jobs import RECORD_DAYS


def partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """The days that are over, in the project's zone."""
    first = clocks.policy(settings).first_day
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone=str(clocks.zone(settings)))


def segment_days(settings: Settings, segments: list[str]) -> dg.AssetsDefinition:
    """Works out the past beside today's tables; committed days are skipped, so a killed backfill goes on."""
    with warnings.catch_warnings():
        # that one run for a range is in beta is no news for whoever starts the UI
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _asset(settings, segments)


def _asset(settings: Settings, segments: list[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.SEGMENT_DAYS,
        deps=[dg.AssetKey(["segments", segment]) for segment in segments],
        partitions_def=partitions(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="segment_history",
        owners=["team:marketing"],
        kinds={"python"},
        pool="past",  # it lets others in between two days, so it holds no place in their queue
        description="Membership at each day's end. One row a day, segment and profile.",
    )
    def fill(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        window = context.partition_time_window
        start, end = window.start.date(), window.end.date() - timedelta(days=1)
        done = past.backfill(settings, run_clock.of(context, settings), start, end, on_progress=silent)
        return dg.MaterializeResult(metadata={"days": done.days, "skipped": done.skipped, "rows": done.rows})

    return fill


def nightly(settings: Settings) -> dg.ScheduleDefinition:
    """The day that is over joins the past, after the night's refresh."""

    @dg.schedule(
        name="nightly_segment_days",
        job_name=RECORD_DAYS,
        cron_schedule="0 5 * * *",
        execution_timezone=str(clocks.zone(settings)),
        description="Every night: yesterday joins segment_days.",
    )
    def record(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        at = context.scheduled_execution_time
        yesterday: date = at.astimezone(clocks.zone(settings)).date() - timedelta(days=1)
        return dg.RunRequest(partition_key=yesterday.isoformat(), tags=run_clock.tags(at))

    return record
