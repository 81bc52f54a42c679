"""Compaction as an asset with a schedule of its own, and as the command calls it."""

from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from assets import compaction
from assets.compaction import Compacted
from models.settings import Settings
from orchestration import clocks, keys, run_clock
from orchestration.jobs import COMPACT
from orchestration.project import read_manifest
from orchestration.transform import LAST, POOL


def compact(settings: Settings) -> Compacted:
    """All that pays, as of the real time: when something was replaced has nothing to do with the clock of a run."""
    return compaction.compact(settings, datetime.now(UTC), read_manifest(settings))


def asset(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.COMPACTION,
        group_name="upkeep",
        owners=["team:data"],
        kinds={"python"},
        pool=POOL,
        op_tags=LAST,
        description="What is append-only, kept small: nobody sees another row before or after.",
    )
    def write_anew(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        done = compact(settings)
        if done.left:
            context.log.info("not of %s, which have not ended", ", ".join(done.left))
        return dg.MaterializeResult(metadata={**asdict(done), "left": list(done.left)})

    return write_anew


def nightly(settings: Settings) -> dg.ScheduleDefinition:
    """When the night's runs are over."""

    @dg.schedule(
        name="nightly_compact",
        job_name=COMPACT,
        cron_schedule="30 5 * * *",
        execution_timezone=str(clocks.zone(settings)),
        description="Every night: what is append-only is kept small.",
    )
    def launch(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=run_clock.tags(context.scheduled_execution_time))

    return launch
