"""The one clock of a Dagster run: the tag `tailrace/as_of`, fixed at its launch and read by steps and retries."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from assets import builds, stages, store
from models.clock import Clock
from models.settings import Settings
from orchestration import clocks

TAG = "tailrace/as_of"


def tags(moment: datetime) -> dict[str, str]:
    """The tags of a run whose clock is `moment`."""
    return {TAG: moment.astimezone(UTC).isoformat()}


def of(context: dg.AssetExecutionContext, settings: Settings) -> Clock:
    """The run's clock. A run launched by hand without the tag gets it from the time it was created, for its retries."""
    written = context.run.tags.get(TAG)
    if written is None:
        written = tags(launched_at(context))[TAG]
        context.instance.add_run_tags(context.run.run_id, {TAG: written})
    return clocks.clock(settings, written)


def launched_at(context: dg.AssetExecutionContext) -> datetime:
    """The real time at which the run was created. Its steps may wait hours for their turn."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    created = record.create_timestamp if record else datetime.now(UTC)
    return created if created.tzinfo else created.replace(tzinfo=UTC)


def begin(context: dg.AssetExecutionContext, settings: Settings) -> Clock:
    """The run's clock, for the first steps of a refresh. Raises Refused when it is before the last refresh's."""
    clock = of(context, settings)
    with store.locked(settings, how="building"), stages.opened(settings) as warehouse:
        builds.begin(warehouse, clock)
    return clock
