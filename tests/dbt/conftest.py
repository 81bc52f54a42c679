"""A project of one's own: the checkout's files copied, so that a test may change them, and an empty home."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets import dbt_project, store
from models.clock import Clock, end_of_day
from models.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = ("sources.yml", "sinks.yml", "policy.yml")


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The project parsed once: a copy of its manifest saves every test four seconds."""
    folder = tmp_path_factory.mktemp("parsed")
    settings = Settings(project=_copied(folder), home=folder / "home")
    dbt_project.manifest(settings)
    return settings


@pytest.fixture
def settings(parsed: Settings, tmp_path: Path) -> Settings:
    """A copied project with an empty home."""
    made = Settings(project=_copied(tmp_path), home=tmp_path / "home")
    shutil.copytree(parsed.dbt_target, made.dbt_target)
    return made


def _copied(folder: Path) -> Path:
    shutil.copytree(ROOT / "dbt_project", folder / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    for name in FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    return folder


Land = Callable[[str, Sequence[Mapping[str, Any]]], Path]


@pytest.fixture
def land(settings: Settings) -> Land:
    """Write lines as one NDJSON file of a source: `land('shop/1.ndjson', [{…}])`."""

    def write(name: str, lines: Sequence[Mapping[str, Any]]) -> Path:
        path = settings.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


@pytest.fixture
def ask(settings: Settings) -> Callable[[str], list[dict[str, Any]]]:
    """Ask the published copy."""

    def rows(sql: str) -> list[dict[str, Any]]:
        with store.reading(settings) as warehouse:
            return warehouse.rows(sql)

    return rows


@pytest.fixture
def night() -> Callable[[int], Clock]:
    """The clock of the night after a day of January 2026: its last microsecond."""
    return lambda number: Clock.at(end_of_day(datetime(2026, 1, number, tzinfo=UTC).date(), UTC))
