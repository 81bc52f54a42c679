"""Who is who, who is in which segment since when, and the copy people read: the Python assets of `refresh`."""

from collections.abc import Iterable, Sequence

import dagster as dg

from assets import configuration, publish, stages, store
from assets.fingerprints import fingerprints
from models.settings import Settings
from models.sync import Sync
from orchestration import keys, run_clock
from orchestration.changes import FINGERPRINTS
from orchestration.transform import LAST, POOL
from warehouse.engine import engine


def profile_map(settings: Settings) -> dg.AssetsDefinition:
    """Identity, between the events it reads and the people made of them."""

    @dg.asset(
        key=keys.PROFILE_MAP,
        deps=[dg.AssetKey(["identity", stages.IDENTIFIERS])],
        group_name="identity",
        owners=["team:data"],
        kinds={"python"},
        pool=POOL,
        description="Who an identifier belongs to. One row an identifier type and identifier; its history is kept.",
    )
    def resolve(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with store.locked(settings, how="building"):
            done = stages.identify(settings, run_clock.of(context, settings))
        return dg.MaterializeResult(
            metadata={"minted": done.minted, "merged": done.merged, "identifiers": done.identifiers}
        )

    return resolve


def suppressions(settings: Settings) -> dg.AssetsDefinition:
    """Whoever said no, as the last decision before a request reads it."""

    @dg.asset(
        key=keys.SUPPRESSIONS,
        deps=[dg.AssetKey(["identity", "consent"])],
        group_name="deliveries",
        owners=["team:data"],
        kinds={"python"},
        pool=POOL,
        description="Contact points that may not be written to, as keyed hashes in the delivery journal.",
    )
    def hand_over(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with store.locked(settings, how="building"):
            added = stages.hand_over_suppressions(settings, run_clock.of(context, settings))
        return dg.MaterializeResult(metadata={"added": added})

    return hand_over


def histories(settings: Settings, segments: Iterable[str]) -> list[dg.AssetsDefinition]:
    """One asset a segment: an asset that depended on all would be skipped when one fails."""
    return [_history(settings, segment) for segment in segments]


def _history(settings: Settings, segment: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.history(segment),
        deps=[dg.AssetKey(["segments", segment])],
        group_name="segment_history",
        owners=["team:marketing"],
        kinds={"python"},
        pool=POOL,
        description=f"Who entered and left {segment}, when and why. One row an entry and change; never rewritten.",
    )
    def record(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with store.locked(settings, how="building"):
            done = stages.record_segments(settings, run_clock.of(context, settings), [segment])[0]
        return dg.MaterializeResult(
            metadata={"entered": done.entered, "left": done.left, "cause": done.cause, "advanced": done.advanced}
        )

    return record


def published(settings: Settings, syncs: Sequence[Sync]) -> dg.AssetsDefinition:
    """It comes last and waits for nobody: what is whole is published, whatever else is broken.

    Its metadata has what each of the `syncs` would send now, for the sensor that launches those that changed.
    """

    @dg.asset(
        key=keys.PUBLISHED,
        deps=[keys.log("segment_history"), keys.log("deliveries")],
        group_name="publish",
        owners=["team:data"],
        kinds={engine(settings).name},
        pool=POOL,
        op_tags={**LAST, "dagster/priority": "-20"},
        description="The copy that people, notebooks and the console read while the warehouse has its one writer.",
    )
    def copy(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with store.locked(settings, how="building"), stages.opened(settings) as warehouse:
            names = publish.publish(settings, warehouse)
            as_of = run_clock.of(context, settings).as_of
            due = fingerprints(warehouse, configuration.policy(settings), syncs, as_of)
        context.log.info("published %s", ", ".join(names) or "nothing: nothing changed")
        return dg.MaterializeResult(metadata={"changed": list(names), FINGERPRINTS: due})

    return copy


def logs(segments: Iterable[str], syncs: Iterable[dg.AssetKey]) -> list[dg.AssetSpec]:
    """What Python keeps for ever, as the graph shows it: no step writes it as a whole, so none waits for every part."""
    about = {"segment_history": [keys.history(segment) for segment in segments], "deliveries": list(syncs)}
    about |= {name: [keys.log("deliveries")] for name in ("message", "sync_runs", "rejects", "unknowns")}
    words = {
        "segment_history": "Every entry to and departure from every segment.",
        "deliveries": "What became of every operation of every sync.",
        "message": "What every message was made of.",
        "sync_runs": "How every run of every sync went.",
        "rejects": "What waits because the vendor refused it for good.",
        "unknowns": "What the vendor may have processed, and nothing has settled since.",
        "journey_audience": "Who entered or left an audience by a step of a journey.",
        "phone": "Phone numbers as written, and in E.164.",
    }
    return [
        dg.AssetSpec(keys.log(name), deps=about.get(name, []), description=text, group_name="kept")
        for name, text in words.items()
    ]
