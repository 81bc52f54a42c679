"""A project of one's own: the checkout's files copied, so that a test may change them, and an empty home."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets import store
from models.clock import Clock, end_of_day
from models.settings import Settings
from tests import parsed


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A copied project with an empty home."""
    return parsed.target_into(Settings(project=parsed.project(tmp_path), home=tmp_path / "home"))


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
