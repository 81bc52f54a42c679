"""One first sync, planned and delivered by this process alone, which prints its own peak of memory in MB.

python benchmarks/plan_and_deliver.py FOLDER RECORDER MEMORY_LIMIT      FOLDER is made by `prepare`
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import yaml

from assets import deliveries
from models.clock import Clock
from models.settings import Settings
from warehouse.duckdb import DuckDB

AT = datetime(2026, 3, 1, tzinfo=UTC)
SINKS = {"sinks": {"crm": {"sink": "recorder", "options": {"rows": 500, "connections": 8}}}}
SYNC = {"sink": "crm", "audience": "Everybody", "key": ["email"]}


def settings_of(folder: Path, recorder: str, memory_limit: str | None = None) -> Settings:
    return Settings(folder / "project", folder / "home", recorder=recorder, memory_limit=memory_limit)


def prepare(folder: Path, rows: str, columns: list[str]) -> None:
    """A project whose only model is the table `seg_everybody`: the rows that `rows` selects."""
    settings = settings_of(folder, "")
    (settings.dbt_project / "models").mkdir(parents=True)
    settings.root.mkdir(parents=True)
    model = {
        "name": "seg_everybody",
        "columns": [{"name": name} for name in columns],
        "config": {"meta": {"syncs": [SYNC]}},
    }
    (settings.project / "sinks.yml").write_text(yaml.safe_dump(SINKS))
    (settings.project / "policy.yml").write_text("zone: UTC\nsalt: bench\n")
    (settings.dbt_project / "models" / "models.yml").write_text(yaml.safe_dump({"models": [model]}))
    (folder / "manifest.json").write_text(json.dumps(manifest(model)))
    with DuckDB(settings.warehouse) as warehouse:
        warehouse.execute(f"create table seg_everybody as {rows}")


def manifest(model: dict[str, object]) -> dict[str, object]:
    """What dbt would write of it."""
    listed = model["columns"]
    assert isinstance(listed, list)
    node = {
        **model,
        "resource_type": "model",
        "schema": "main",
        "alias": model["name"],
        "original_file_path": f"models/{model['name']}.sql",
        "patch_path": "tailrace://models/models.yml",
        "columns": {column["name"]: column for column in listed},
    }
    return {"nodes": {f"model.tailrace.{model['name']}": node}}


def main(folder: Path, recorder: str, memory_limit: str) -> None:
    settings = settings_of(folder, recorder, memory_limit)
    (result,) = deliveries.sync(settings, Clock.at(AT), manifest=json.loads((folder / "manifest.json").read_text()))
    assert result.ok, result
    assert result.plan
    assert result.counts == {"accepted": result.plan.upsert}, result.counts
    print(peak())


def peak() -> float:
    """The most that was in memory, in MB. Not getrusage's figure: that one begins at the parent's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
