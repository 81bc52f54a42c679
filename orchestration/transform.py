"""dbt models as Dagster assets, built by the same functions as `tailrace refresh`.

Every segment and payload model is a step of its own, so that one that breaks stops only what hangs on it; staging,
profiles and marts are a step each.
"""

from collections.abc import Callable, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from assets import builds, configuration, stages, staging, store
from assets.measures import count_late, measure
from assets.warehouse import BuildResult
from models.clock import Clock
from models.settings import Settings
from orchestration import run_clock
from orchestration.project import Manifest, Node, models
from orchestration.translation import Translator
from warehouse.base import Warehouse
from warehouse.engine import engine

ALONE = frozenset({"segments", "syncs"})
POOL = "warehouse"
LAST = {"dagster/priority": "-10"}  # of the steps that could run, these wait for all others, broken ones or not
FIRST: Mapping[str, str] = {}
UNIQUE_ID = "dagster_dbt/unique_id"  # where dagster-dbt keeps a node's id

Stage = Callable[[Clock], BuildResult]
Events = Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]


def assets(settings: Settings, manifest: Manifest) -> list[dg.AssetsDefinition]:
    """Every model and seed of the project."""
    first = [node for node in models(manifest, "staging", "identity") if node["name"] in _first(settings)]
    alone = models(manifest, *ALONE)
    people = [node for node in models(manifest, "identity", "profiles") if node not in first]
    marts = models(manifest, "marts")
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    step = _Steps(settings, manifest)
    made = [
        step("staging", [*first, *seeds], lambda clock: _stage(settings, clock)),
        step("profiles", people, lambda clock: stages.make_people(settings, clock)),
        *(step(node["name"], [node], _alone(settings, node["name"])) for node in alone),
    ]
    if marts:
        made.append(step("marts", marts, lambda clock: stages.build_marts(settings, clock), LAST))
    return made


def _first(settings: Settings) -> frozenset[str]:
    """The models that `staging.stage` builds."""
    names = (stages.LOG, stages.EVENTS, stages.IDENTIFIERS)
    return frozenset(f"stg_{name}" for name in configuration.sources(settings)) | frozenset(names)


def _stage(settings: Settings, clock: Clock) -> BuildResult:
    """Staging, which opens a refresh: a clock before the last one's is refused here."""
    with stages.opened(settings) as opened:
        builds.begin(opened, clock)
    return staging.stage(settings, clock).result


def _alone(settings: Settings, name: str) -> Stage:
    return lambda clock: stages.build_segments(settings, clock, [name])


class _Steps:
    """Makes one step of some models and the stage that builds them."""

    def __init__(self, settings: Settings, manifest: Manifest) -> None:
        self.settings, self.manifest = settings, manifest
        self.translator = Translator(tuple(configuration.sources(settings)))

    def __call__(
        self, name: str, nodes: list[Node], stage: Stage, tags: Mapping[str, str] = FIRST
    ) -> dg.AssetsDefinition:
        @dbt_assets(
            manifest=self.manifest,
            select=" ".join(map(_selector, nodes)),
            name=name,
            dagster_dbt_translator=self.translator,
            op_tags=dict(tags),
            pool=POOL,
        )
        def build(context: dg.AssetExecutionContext) -> Events:
            yield from self._build(context, stage)

        return build

    def _build(self, context: dg.AssetExecutionContext, stage: Stage) -> Events:
        """Run the stage, say what became of each model and test, and fail when one did."""
        specs = {str(spec.metadata[UNIQUE_ID]): spec for spec in _selected(context)}
        clock = run_clock.of(context, self.settings)
        with store.locked(self.settings, how="building"):
            done = stage(clock)
            broken = {node.model for node in done.failed} | set(done.reasons)
            whole = {uid: spec for uid, spec in specs.items() if self.manifest["nodes"][uid]["name"] not in broken}
            # not read-only: where a thread of dbt's has yet to close its connection, another mode is refused
            with engine(self.settings).open() as opened:
                measured = {uid: self._measured(opened, uid) for uid in whole}
        rebuilt = {node.unique_id for node in done.nodes}
        for uid, spec in whole.items():
            yield dg.MaterializeResult(asset_key=spec.key, metadata={**measured[uid], "rebuilt": uid in rebuilt})
        yield from _check_results(context, done)
        if done.failed:
            raise dg.Failure("\n".join(node.message for node in done.failed))

    def _measured(self, opened: Warehouse, uid: str) -> dict[str, Any]:
        """Counts of a table. Of views only events are read."""
        node = self.manifest["nodes"][uid]
        if node["name"] == stages.EVENTS:
            counted = count_late(opened, f'"{node["schema"]}"."{node["name"]}"')
            return {f"late/{source}": late for source, (_, late) in counted.items()}
        if node["config"]["materialized"] in {"view", "ephemeral"}:
            return {}
        found = measure(opened, f'"{node["schema"]}"."{node.get("alias") or node["name"]}"')
        return {"dagster/row_count": found.rows}


def _selector(node: Node) -> str:
    """Dbt's selector of exactly this node: a bare name would also select a folder of that name."""
    return f"fqn:{'.'.join(node['fqn'])}"


def _selected(context: dg.AssetExecutionContext) -> list[dg.AssetSpec]:
    """What this step is asked for, those above first: Dagster refuses another order."""
    specs = {key: context.assets_def.get_asset_spec(key) for key in context.selected_asset_keys}
    above = {key: [dep.asset_key for dep in spec.deps] for key, spec in specs.items()}
    return [specs[key] for key in TopologicalSorter(above).static_order() if key in specs]


def _check_results(context: dg.AssetExecutionContext, done: BuildResult) -> Iterator[dg.AssetCheckResult]:
    """The dbt tests that ran, as the checks they are in Dagster."""
    ran = {node.unique_id: node for node in done.nodes}
    for spec in context.assets_def.check_specs:
        node = ran.get(str((spec.metadata or {}).get(UNIQUE_ID)))
        if spec.key in context.selected_asset_check_keys and node is not None and node.status != "skipped":
            metadata: dict[str, Any] = {"rows": node.rows or 0, "message": node.message}
            yield dg.AssetCheckResult(
                passed=node.status == "pass",
                asset_key=spec.asset_key,
                check_name=spec.name,
                severity=dg.AssetCheckSeverity.WARN if node.status == "warn" else dg.AssetCheckSeverity.ERROR,
                metadata=metadata,
            )
