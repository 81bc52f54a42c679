"""Two processes that would run one sync at the same time."""

import json
import subprocess
import sys
import time

import pytest

from assets.sync_run import LOCK_SECONDS
from models.errors import WarehouseHeld
from tests.nights import ROOT

pytestmark = pytest.mark.sampled

X, Y = "crm/seg_x", "crm/seg_y"
ROWS = 40
RUN = """
import json, sys; from datetime import datetime; from pathlib import Path
from assets import deliveries; from models.clock import Clock; from models.settings import Settings
project, home, recorder, at, manifest = sys.argv[1:]
settings, clock = Settings(Path(project), Path(home), recorder=recorder), Clock.at(datetime.fromisoformat(at))
(done,) = deliveries.sync(settings, clock, ["crm/seg_x"], manifest=json.loads(manifest))
sys.exit(str(done.error or done.stopped) if not done.ok else 0)
"""


@pytest.fixture
def slow(world):
    """Two segments, one a request a row, and a vendor that takes longer than a run waits for another."""
    world.sql(
        f"create table seg_x as select 'p' || i as profile_id from range({ROWS}) as numbers (i)",
        "create table seg_y as select 'q' as profile_id",
    )
    world.declare("seg_x", {"sink": "crm", "audience": "x", "rows": 1, "connections": 1}, columns=["profile_id"])
    world.declare("seg_y", {"sink": "crm", "audience": "y"}, columns=["profile_id"])
    world.recorder.behave(latency=3 * LOCK_SECONDS / ROWS)
    return world


def other(world) -> subprocess.Popen[str]:
    """Another process that runs the sync of seg_x."""
    here = world.settings
    given = (here.project, here.home, here.recorder, world.clock.isoformat(), json.dumps(world.manifest))
    command = [sys.executable, "-c", RUN, *map(str, given)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def wait_for_rows(world) -> None:
    deadline = time.monotonic() + 60
    while not world.recorder.received(X):
        assert time.monotonic() < deadline, "nothing arrives"
        time.sleep(0.05)


def test_one_of_two_runs_of_a_sync_delivers_and_the_other_says_so(slow) -> None:
    """Who comes second is told that the sync runs, sends none of it, and still does the other syncs."""
    with other(slow) as first:
        wait_for_rows(slow)
        refused, done = slow.sync()
        assert first.poll() is None, "it was over too soon to tell anything"
        assert isinstance(refused.error, WarehouseHeld)
        assert X in str(refused.error)
        assert done.counts == {"accepted": 1}
        assert slow.plan(X).audience == ROWS  # planning goes on, and folds what has come back
        assert (first.wait(timeout=60), first.stderr and first.stderr.read()) == (0, "")
    assert len(slow.recorder.received(X)) == ROWS
    assert slow.plan(X).operations == 0


def test_two_runs_that_start_together_send_each_row_once(slow) -> None:
    """Whoever wins, every row arrives exactly once, and the next run has nothing to send."""
    started = [other(slow), other(slow)]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert sorted(process.returncode for process in started) in ([0, 0], [0, 1]), said
    assert len(slow.recorder.received(X)) == ROWS
    (again,) = slow.sync(X)
    assert (again.ok, again.counts) == (True, {})


def test_a_killed_first_run_is_gone_on_with(slow) -> None:
    """The lease dies with its process, and the rest of a first run is no sudden growth; once it is whole, that is."""
    with other(slow) as first:
        wait_for_rows(slow)
        first.kill()
    slow.recorder.behave()
    (result,) = slow.sync(X)
    assert result.ok
    assert len(slow.recorder.audience(X)) == ROWS
    slow.sql(f"insert into seg_x select 'r' || i from range({4 * ROWS}) as numbers (i)")
    (result,) = slow.sync(X)
    assert "max_add" in str(result.error)
