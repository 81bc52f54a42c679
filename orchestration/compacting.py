"""Compaction as an asset, and as the command calls it."""

from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from assets import compaction
from assets.compaction import Compacted
from models.settings import Settings
from orchestration import keys
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
