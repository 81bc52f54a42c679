"""A project with syncs and no dbt: models are tables made here, the manifest is written by hand, the vendor is real."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from assets import deliveries
from assets.sync_run import SyncResult
from models.clock import Clock
from models.delivery import Plan
from models.settings import Settings
from tests import recorders
from warehouse import batches
from warehouse.duckdb import DuckDB


@dataclass
class Recorder:
    """The shipped vendor, running."""

    running: recorders.Running

    @property
    def url(self) -> str:
        return self.running.url

    def received(self, sync: str) -> list[dict[str, Any]]:
        lines = httpx.get(f"{self.url}/_received").text.splitlines()
        return [row for row in map(json.loads, lines) if row["sync"] == sync]

    def audience(self, sync: str) -> dict[str, Any]:
        """Identity → payload of everyone the vendor holds."""
        held: dict[str, Any] = {}
        for row in self.received(sync):
            if row["op"] == "upsert":
                held[row["identity"]] = row["payload"]
            elif row["op"] == "remove":
                held.pop(row["identity"], None)
        return held

    def hanging(self) -> AbstractContextManager[None]:
        """It takes connections and answers nothing before the end of the block."""
        return self.running.hanging()

    def behave(self, **programme: Any) -> None:
        httpx.put(f"{self.url}/_behaviour", json=programme).raise_for_status()


@dataclass
class World:
    """One project of one target. `day` is the clock; a sync moves it on by an hour."""

    settings: Settings
    recorder: Recorder
    clock: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    above: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def sql(self, *statements: str) -> list[dict[str, Any]]:
        """Run statements in the live warehouse; the last one's rows."""
        self.settings.root.mkdir(parents=True, exist_ok=True)
        with DuckDB(self.settings.warehouse) as warehouse:
            batches.prepare(warehouse)
            rows: list[dict[str, Any]] = []
            for statement in statements:
                rows = warehouse.rows(statement)
            return rows

    def declare(self, model: str, *syncs: dict[str, Any], columns: list[str], pii: tuple[str, ...] = ()) -> None:
        """A model with these syncs, as YAML and in the manifest."""
        self.models[model] = {
            "name": model,
            "columns": [{"name": name, "config": {"meta": {"pii": name in pii}}} for name in columns],
            "config": {"meta": {"syncs": list(syncs)}},
        }
        folder = self.settings.dbt_project / "models"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "models.yml").write_text(yaml.safe_dump({"models": list(self.models.values())}, sort_keys=False))

    @property
    def manifest(self) -> dict[str, Any]:
        return {
            "nodes": {
                f"model.tailrace.{name}": {
                    "name": name,
                    "resource_type": "model",
                    "schema": "main",
                    "alias": name,
                    "original_file_path": f"models/{name}.sql",
                    "patch_path": "tailrace://models/models.yml",
                    "config": model["config"],
                    "columns": {column["name"]: column for column in model["columns"]},
                    "depends_on": {"nodes": [f"model.tailrace.{each}" for each in self.above.get(name, ())]},
                }
                for name, model in self.models.items()
            }
        }

    def plan(self, name: str, **options: Any) -> Plan:
        return deliveries.plan(self.settings, Clock.at(self.clock), name, manifest=self.manifest, **options)

    def sync(self, *names: str, hours: int = 1) -> list[SyncResult]:
        results = deliveries.sync(self.settings, Clock.at(self.clock), names or None, manifest=self.manifest)
        self.clock += timedelta(hours=hours)
        return results

    def apply(self, plan_id: str) -> SyncResult:
        return deliveries.apply(self.settings, plan_id, manifest=self.manifest)

    def release(self, name: str, key: str | None = None) -> int:
        return deliveries.release(self.settings, name, key, manifest=self.manifest)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """Started and ended as a process of its own."""
    with recorders.running(tmp_path / "recorder.sqlite") as running:
        yield Recorder(running)


@pytest.fixture
def world(tmp_path: Path, recorder: Recorder, journal_url: str | None) -> World:
    project = tmp_path / "project"
    project.mkdir()
    (project / "sinks.yml").write_text(
        yaml.safe_dump({"sinks": {"crm": {"sink": "recorder", "options": {"rows": 50}}, "drop": {"sink": "file"}}})
    )
    (project / "policy.yml").write_text("zone: UTC\nsalt: test\n")
    return World(Settings(project, tmp_path / "home", recorder=recorder.url, journal_url=journal_url), recorder)


@pytest.fixture
def prod(world: World) -> World:
    """The same project where everything is for real."""
    return replace(world, settings=replace(world.settings, target="prod"))
