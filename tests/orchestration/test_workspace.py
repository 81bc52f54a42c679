"""Dagster's own commands on workspace.yaml, and `tailrace ui` as a process manager starts and ends it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from models.settings import Settings
from orchestration import dagster_home, local_recorder
from orchestration.environment import child

ROOT = Path(__file__).resolve().parents[2]
UI = """
import sys
from orchestration.cli import run
sys.exit(run(["ui", "--port", sys.argv[1], "--json"]))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """The checkout as it is, in a home of its own, where nothing was ever run."""
    return Settings(ROOT, tmp_path, recorder=f"http://127.0.0.1:{local_recorder.free_port()}", environ=dict(os.environ))


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.HTTPError:
        return False


def test_dagster_validates_the_workspace(home: Settings) -> None:
    """`dagster definitions validate -w workspace.yaml` loads the code location, without a warehouse and a secret."""
    ran = subprocess.run(
        [Path(sys.executable).parent / "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        env=child(home, DAGSTER_HOME=str(dagster_home.prepare(home))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Validation successful for code location orchestration.definitions" in ran.stdout + ran.stderr
    assert not home.warehouse.exists()


def test_the_ui_says_where_it_is_and_ends_with_all_it_started(home: Settings) -> None:
    """The one line on stdout has the addresses, both answer, and after Ctrl-C neither does: exit code 0."""
    command = [sys.executable, "-c", UI, str(local_recorder.free_port())]
    with (home.home / "ui.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=child(home), stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    try:
        said = json.loads(process.stdout.readline())
        recorder = f"{said['recorder']}/_behaviour"
        deadline = time.monotonic() + 180
        while not answers(said["url"]):
            assert process.poll() is None, (home.home / "ui.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert answers(recorder)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert (process.returncode, rest) == (0, "")
    assert not answers(said["url"])
    assert not answers(recorder)
