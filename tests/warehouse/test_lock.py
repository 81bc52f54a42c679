"""One writer at a time, and a lock that dies with its process."""

import os
import subprocess
import sys
import time

import pytest

from models.errors import UserError, WarehouseHeld
from warehouse.lock import hold

HOLD = """
import sys, time
from pathlib import Path
from warehouse.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_who_comes_second_is_told_by_whom_it_is_held(tmp_path, holder):
    """The message has the holder's process id."""
    with pytest.raises(WarehouseHeld, match=f"held by process {holder.pid}"), hold(tmp_path / "lock"):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path, holder):
    """SIGKILL frees it, without anything to clean up."""
    holder.kill()
    holder.wait()
    with hold(tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_waiting_ends_when_the_holder_does(tmp_path, holder):
    """Within the time given, the second gets it as soon as it is free."""
    started = time.monotonic()
    holder.terminate()
    with hold(tmp_path / "lock", wait_seconds=30):
        assert time.monotonic() - started < 20


def test_waiting_has_an_end(tmp_path, holder):
    """After the time given, it is refused."""
    started = time.monotonic()
    with pytest.raises(WarehouseHeld), hold(tmp_path / "lock", wait_seconds=0.3):
        pass
    assert 0.3 <= time.monotonic() - started < 10
    assert holder.poll() is None


def test_a_folder_that_cannot_be_written_is_the_users_mistake(tmp_path):
    """A file where the folder should be: the message names the setting to look at."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(UserError, match="is TAILRACE_HOME right"), hold(tmp_path / "home" / "lock"):
        pass
