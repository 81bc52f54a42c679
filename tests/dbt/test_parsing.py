"""The project is parsed by one process at a time: who comes meanwhile waits, and reads it whole."""

import subprocess
import sys

import pytest

from tests import nights

PROGRAM = """
import sys
from pathlib import Path
from assets.dbt_project import project
from models.settings import Settings
print(len(project(Settings(Path(sys.argv[1]), Path(sys.argv[2]))).nodes))
"""

pytestmark = pytest.mark.slow


def test_processes_that_begin_at_once_read_it_whole(tmp_path):
    """On a home that never parsed it, as after it was given another warehouse."""
    settings = nights.project(tmp_path)
    line = [sys.executable, "-c", PROGRAM, str(settings.project), str(tmp_path / "another home")]
    begun = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=300) for process in begun]
    assert [error for (_, error), process in zip(said, begun, strict=True) if process.returncode] == []
    assert len({out for out, _ in said}) == 1
