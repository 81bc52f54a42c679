"""`journeys/<name>`: one asset a journey, moved together by one tick, which waits for people and no single segment."""

import dagster as dg

from assets.journeys import named
from assets.journeys.documents import Read
from assets.journeys.flat import flatten
from assets.journeys.funnel import Drawing, Summary
from assets.journeys.live import JourneysResult
from models.journey import Journey
from models.settings import Settings
from orchestration import journey_views, keys, run_clock
from orchestration import journeys as moving
from orchestration.transform import POOL

AFTER_HISTORIES = {"dagster/priority": "-5"}  # of the steps that could run, this one waits for the segments'
PEOPLE = (["staging", "stg_events"], ["profiles", "profiles"], ["identity", "consent"])


def assets(settings: Settings, journeys: list[Read]) -> list[dg.AssetsDefinition]:
    """One step for all journeys; none where there is no journey.

    A journey's segments are named in its description and are not dependencies: one that breaks would skip the step, and
    with it every journey. The tick looks itself how far each segment's history came.
    """
    if not journeys:
        return []
    specs = [
        dg.AssetSpec(
            keys.journey(read.journey.journey),
            deps=[*(dg.AssetKey(path) for path in PEOPLE), keys.log("segment_history")],
            description=_description(read.journey),
            group_name="journeys",
            owners=["team:marketing"],
            kinds={"python"},
        )
        for read in journeys
    ]

    @dg.multi_asset(name="journeys", specs=specs, pool=POOL, op_tags=AFTER_HISTORIES, can_subset=True)
    def tick(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Dagster reads it
        done = moving.move(settings, run_clock.of(context, settings))
        drawn = journey_views.all_drawn(settings, [read.journey for read in journeys])
        for spec in specs:
            if spec.key in context.selected_asset_keys:
                name = spec.key.path[-1]
                yield dg.MaterializeResult(asset_key=spec.key, metadata=_metadata(name, *drawn[name], done))

    return [tick]


def _description(journey: Journey) -> str:
    """What it says of itself, and the segments it asks."""
    asked = sorted({segment for segment, _ in named.segments(journey, flatten(journey))})
    segments = f" It asks {', '.join(asked)}." if asked else ""
    return (journey.description or f"The journey {journey.journey}.") + segments


def _metadata(name: str, summary: Summary, drawing: Drawing, done: JourneysResult) -> dict[str, dg.MetadataValue]:
    """Where people are in it, as the UI draws it, and why it did not move where it did not."""
    numbers = {
        "in_it_now": summary.now,
        "entered": summary.entered,
        "sent": summary.sent,
        "converted": summary.converted,
    }
    return {
        **{key: dg.MetadataValue.int(int(value or 0)) for key, value in {**numbers, **_counts(done)}.items()},
        "steps": dg.MetadataValue.md(journey_views.chart(drawing)),
        "waiting": dg.MetadataValue.text(done.skipped or done.waiting.get(name, "")),
    }


def _counts(done: JourneysResult) -> dict[str, int]:
    """Of the tick as a whole."""
    decided = {f"tick_messages/{reason}": count for reason, count in done.ticked.decided.items()}
    return {"tick_entered": done.ticked.entered, "tick_moves": done.ticked.moved, **decided}
