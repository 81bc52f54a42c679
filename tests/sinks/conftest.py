"""A real recorder in a child process, and a desk that delivers to it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.settings import Settings
from sinks.journal import Journal
from tests.sinks.desk import CHECKOUT, Desk, Recorder

SERVE = """
import pathlib, sys
from sinks.recorder_server import serve
serve(0, pathlib.Path(sys.argv[1]), ready=lambda port: print(port, flush=True))
"""


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    db = tmp_path / "recorder.sqlite"
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(db)], cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert process.stdout
    port = int(process.stdout.readline())
    yield Recorder(f"http://127.0.0.1:{port}", db)
    process.terminate()
    process.wait(10)


@pytest.fixture
def desk(tmp_path: Path, recorder: Recorder) -> Iterator[Desk]:
    settings = Settings(project=tmp_path, home=tmp_path / "home", recorder=recorder.url)
    with Journal(settings.journal) as journal:
        yield Desk(settings, journal)


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Desk]:
    """A desk without a recorder: its transports answer themselves."""
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    with Journal(settings.journal) as journal:
        yield Desk(settings, journal)
