"""The working copy's models as SQL, compiled by dbt beside the published copy: no lock, and nothing is written to it.

Creating what they say belongs in scratch.py.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assets import dbt_project, lineage, warehouse
from assets.dbt_errors import refusal
from assets.parsed import Node, Project
from models.clock import Clock
from models.errors import ConfigError
from models.settings import Settings
from warehouse.engine import engine


@dataclass(frozen=True)
class Model:
    """One model at one clock. `sql` names relations as they are called in the live warehouse."""

    unique_id: str
    name: str
    file: Path  # what a person edits
    shown: str  # the same, as they call it
    is_view: bool
    sql: str


def compile_models(settings: Settings, clock: Clock, node_ids: Collection[str]) -> tuple[Model, ...]:
    """These models at `clock`, those above first. Raises ConfigError for one that dbt cannot compile.

    The published copy must exist: it, or the live tables, answer what macros ask of the warehouse. Incremental models
    are compiled whole: they are created elsewhere, where there is nothing of them yet.
    """
    from assets import dbt_calls  # noqa: PLC0415 - see there

    parsed = dbt_project.project(settings)
    if not node_ids:
        return ()
    chosen = [f"fqn:{'.'.join(parsed.nodes[node_id].fqn)}" for node_id in node_ids]
    variables = {**warehouse.clock_variables(settings, clock), **dbt_project.run_variables(settings)}
    passed = json.dumps({**variables, "aside": True})
    call = ["compile", *_arguments(settings), "--full-refresh", "--vars", passed, "--select", *chosen]
    outcome = dbt_calls.invoke(call, engine(settings), dbt_project.manifest(settings))
    if outcome.exception is not None:
        raise refusal(outcome.exception, settings.dbt_project) from outcome.exception
    results: list[Any] = getattr(outcome.result, "results", [])
    texts = {result.node.unique_id: str(result.node.compiled_code) for result in results}
    return tuple(_model(settings, parsed, node_id, texts.get(node_id, "")) for node_id in in_order(parsed, node_ids))


def above(parsed: Project, names: Collection[str]) -> set[str]:
    """These models and all above them that are relations of their own: no seeds, nothing that is only inlined."""
    own = {lineage.unique_id(parsed, name) for name in names}
    found = own.union(*(lineage.ancestors(parsed, node_id) for node_id in own))
    return {node_id for node_id in found & parsed.nodes.keys() if _is_relation(parsed.nodes[node_id])}


def _is_relation(node: Node) -> bool:
    return node.resource_type == "model" and node.materialized != "ephemeral"


def in_order(parsed: Project, node_ids: Collection[str]) -> list[str]:
    """The same nodes, each after all that are above it."""
    wanted = frozenset(node_ids)
    depth = {node_id: len(lineage.ancestors(parsed, node_id)) for node_id in wanted}
    return sorted(wanted, key=lambda node_id: (depth[node_id], node_id))


def _model(settings: Settings, parsed: Project, node_id: str, sql: str) -> Model:
    node = parsed.nodes[node_id]
    file = settings.dbt_project / node.file
    shown = str(file.relative_to(settings.project))
    if not sql.strip():
        message = "holds no SQL"
        raise ConfigError(message, file=shown)
    return Model(node_id, node.name, file, shown, node.materialized == "view", sql)


def _arguments(settings: Settings) -> list[str]:
    """As every dbt command has them, but with a profile that writes nothing and waits for no writer."""
    folder = settings.dbt_target / "compiled"
    output = {**engine(settings).profile(reads_published=True), "threads": dbt_project.THREADS}
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"tailrace": {"target": "compiled", "outputs": {"compiled": output}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile, sort_keys=False))
    place = ["--profiles-dir", str(folder), "--target", "compiled", "--target-path", str(folder)]
    return [*dbt_project.arguments(settings), *place, "--no-write-json"]
