"""The small project of badges, built once and copied for each test."""

from pathlib import Path

import pytest

from tests.journeys import badges
from tests.journeys.badges import Badges


@pytest.fixture(scope="session")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Badges:
    return badges.build(tmp_path_factory.mktemp("badges"))


@pytest.fixture
def shop(refreshed: Badges, tmp_path: Path) -> Badges:
    return badges.copied(refreshed, tmp_path)
