"""A real recorder in a child process, and a desk that delivers to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.settings import Settings
from sinks.journal import Journal
from tests import recorders
from tests.sinks.desk import Desk, Recorder


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    db = tmp_path / "recorder.sqlite"
    with recorders.running(db) as running:
        yield Recorder(running.url, db)


@pytest.fixture
def desk(tmp_path: Path, recorder: Recorder, journal_url: str | None) -> Iterator[Desk]:
    settings = Settings(project=tmp_path, home=tmp_path / "home", recorder=recorder.url, journal_url=journal_url)
    with Journal(settings.journal) as journal:
        yield Desk(settings, journal)


@pytest.fixture
def offline(tmp_path: Path, journal_url: str | None) -> Iterator[Desk]:
    """A desk without a recorder: its transports answer themselves."""
    settings = Settings(project=tmp_path, home=tmp_path / "home", journal_url=journal_url)
    with Journal(settings.journal) as journal:
        yield Desk(settings, journal)
