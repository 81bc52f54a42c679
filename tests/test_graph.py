"""The asset graph is one text file; `python tests/test_graph.py` writes it anew, to be read before it is committed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from models.settings import Settings
from orchestration.code_location import build

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = Path(__file__).with_name("graph.txt")


def drawn(home: Path) -> str:
    """The graph of the project as it is checked out: assets with what is above them, then what runs them."""
    repository = build(Settings(project=ROOT, home=home)).get_repository_def()
    return "\n".join([*_assets(repository), "", *_runs(repository)]) + "\n"


def _assets(repository: dg.RepositoryDefinition) -> Iterator[str]:
    graph = repository.asset_graph
    for key in sorted(graph.get_all_asset_keys(), key=str):
        node = graph.get(key)
        yield f"{key.to_user_string()}  [{node.group_name}; {', '.join(node.owners)}]"
        for parent in sorted(node.parent_keys, key=str):
            yield f"    < {parent.to_user_string()}"
        for check in sorted(graph.get_check_keys_for_assets({key}), key=str):
            yield f"    ? {check.name}"


def _runs(repository: dg.RepositoryDefinition) -> Iterator[str]:
    for job in sorted(repository.get_all_jobs(), key=lambda job: job.name):
        if not job.name.startswith("__"):
            yield f"job {job.name}"
            yield from (f"    {name}" for name in sorted(node.name for node in job.graph.nodes))
    for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name):
        yield f"schedule {schedule.name}: {schedule.cron_schedule} {schedule.execution_timezone}"
    for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name):
        yield f"sensor {sensor.name}: every {sensor.minimum_interval_seconds} s"


def test_the_graph_is_as_it_was_reviewed(tmp_path: Path) -> None:
    """What depends on what, who owns it, how it is checked and what runs it changes only together with this file."""
    assert drawn(tmp_path) == SNAPSHOT.read_text()


def test_the_loop_closes_through_time_not_through_the_graph(tmp_path: Path) -> None:
    """Nothing at or before the segments reads what came of deliveries, the history of segments or their results."""
    graph = build(Settings(project=ROOT, home=tmp_path)).get_repository_def().asset_graph
    segments = {key for key in graph.get_all_asset_keys() if key.path[0] == "segments"}
    above = {parent for key in segments for parent in graph.get_ancestor_asset_keys(key)}
    assert segments
    assert not {
        key.to_user_string() for key in above if key.path[0] in {"sync", "segment_history", "marts", "tailrace"}
    } - {"tailrace/phone"}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        SNAPSHOT.write_text(drawn(Path(folder)))
    sys.stdout.write(f"{SNAPSHOT} is new\n")
