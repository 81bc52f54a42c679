"""Runs dbt models in this process, with the clocks as variables and dbt's own printing kept in its log file.

The caller holds the writer's lock and has no connection of its own open: dbt opens the file by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from assets import configuration, packages
from assets.dbt_errors import candidates, engine_words, readable, refusal
from assets.dbt_project import arguments, manifest, run_variables
from assets.sql_mistakes import mistake
from models.clock import Clock
from models.errors import BuildFailed
from models.settings import Settings
from warehouse.engine import engine

FAILED = frozenset({"error", "fail", "runtime error"})


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, seed or test. `message` is ours, with file and line, when it failed."""

    unique_id: str
    status: str  # success, pass, warn, skipped, error, fail
    message: str
    rows: int | None  # what the adapter says it wrote, or the rows a test found
    seconds: float
    model: str  # the model itself, or the one a test is about

    @property
    def name(self) -> str:
        return self.unique_id.split(".")[2]

    @property
    def is_failed(self) -> bool:
        return self.status in FAILED

    @property
    def is_model(self) -> bool:
        return self.unique_id.startswith("model.")


@dataclass(frozen=True)
class BuildResult:
    """What one dbt command did, in the order it did it. `kept`: models left as they were, as nothing changed them."""

    nodes: tuple[NodeResult, ...]
    kept: frozenset[str] = frozenset()

    @property
    def failed(self) -> tuple[NodeResult, ...]:
        return tuple(node for node in self.nodes if node.is_failed)

    @property
    def built(self) -> frozenset[str]:
        """The models that were built and whose own tests passed."""
        done = {node.name for node in self.nodes if node.is_model and node.status == "success"}
        return frozenset(done - {node.model for node in self.failed})

    @property
    def whole(self) -> frozenset[str]:
        """The models that are as of the clock now: built, or left because building gives the same."""
        return self.built | self.kept

    @property
    def reasons(self) -> dict[str, str]:
        """Models that did not come out whole → why: their own error, their test's, or that one above them failed."""
        skipped = [node.name for node in self.nodes if node.is_model and node.status == "skipped"]
        return {
            **dict.fromkeys(skipped, "not built: a model above it failed"),
            **{node.model: node.message for node in self.failed},
        }

    def broken(self, reasons: Mapping[str, str]) -> BuildResult:
        """The same, where these models are broken though they could be built."""
        wrong = {node.unique_id: reasons[node.name] for node in self.nodes if node.is_model and node.name in reasons}
        nodes = [
            replace(node, status="error", message=wrong[node.unique_id]) if node.unique_id in wrong else node
            for node in self.nodes
        ]
        return replace(self, nodes=tuple(nodes))

    def require(self) -> BuildResult:
        """Itself; raises BuildFailed naming every failure."""
        if self.failed:
            raise BuildFailed("\n".join(node.message for node in self.failed))
        return self


def run_dbt(
    settings: Settings,
    clock: Clock,
    select: Sequence[str],
    *,
    full_refresh: bool = False,
    exclude: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
) -> BuildResult:
    """Build models with their tests at `clock`; failures are in the result, anything before that is raised."""
    from assets import dbt_calls  # noqa: PLC0415 - see there

    parsed = manifest(settings)
    passed = {**clock_variables(settings, clock), **run_variables(settings), **(variables or {})}
    # the parse wrote the manifest; writing it again would take as long as building a small model
    options = [*arguments(settings), "--no-write-json", "--vars", json.dumps(passed)]
    call = ["build", *options, "--select", *select]
    left_out = [*exclude, *(f"package:{name}" for name in packages.declared(settings))]
    call += ["--exclude", *left_out] if left_out else []
    call += ["--full-refresh"] if full_refresh else []
    outcome = dbt_calls.invoke(call, engine(settings), parsed)
    if outcome.exception is not None:
        raise refusal(outcome.exception, settings.dbt_project) from outcome.exception
    results = getattr(outcome.result, "results", [])
    return BuildResult(tuple(_node_result(result, settings) for result in results))


def clock_variables(settings: Settings, clock: Clock) -> dict[str, str]:
    """The variables `as_of`, `known_by` and `today`: the start of the last whole day, in the project's zone.

    A day is whole from its last microsecond on, so a run at a day's end and one in the next day look at the same days.
    """
    zone = configuration.policy(settings).zone_info
    after = (clock.as_of + timedelta(microseconds=1)).astimezone(zone)
    today = after.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return {
        "as_of": clock.as_of.isoformat(),
        "known_by": clock.known_by.isoformat(),
        "today": today.isoformat(),
    }


def _node_result(result: Any, settings: Settings) -> NodeResult:
    status, text = str(result.status), str(result.message or "")
    if status in FAILED:
        text = _located(text, settings.dbt_project, result.node.original_file_path)
    rows = result.failures if result.failures is not None else (result.adapter_response or {}).get("rows_affected")
    about = getattr(result.node, "attached_node", None) or result.node.unique_id
    return NodeResult(result.node.unique_id, status, text, rows, float(result.execution_time), about.split(".")[2])


def _located(message: str, project: Path, path: str) -> str:
    """`dbt_project/models/segments/seg_x.sql:7:5: there is no column …`: what failed, where a person edits it."""
    shown, said = f"{project.name}/{path}", engine_words(message)
    if said is not None and (project / path).is_file():
        return str(mistake(said, project / path, shown, candidates(said)))
    return f"{shown}: {readable(message)}"
