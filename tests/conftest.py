"""The longest tests begin first, so that both workers end at about the same time; signals are as in a terminal."""

import os
import shutil
import signal
import tempfile

import pytest

from tests.parsed import FOLDER
from tests.sampling import is_left_out

# Tests started with `&` ignore SIGINT, which every process they begin inherits. Dagster gives SIGTERM the same meaning,
# so that after the first run in this process nothing it begins could be ended any more.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "test_demo.py",
    "test_jobs.py",
    "test_oracle.py",
    "test_refresh.py",
    "test_journey_tutorial.py",
    "test_backfill.py",
    "test_past.py",
    "test_replay.py",
    "test_versions.py",
    "test_preview.py",
    "test_restored.py",
    "test_crowds.py",
    "test_convergence.py",
    "test_left_behind.py",
    "test_newcomer.py",
    "test_shop.py",
    "test_outcomes.py",
    "test_withdrawal.py",
    "test_workspace.py",
    "test_looking.py",
    "test_cdnow.py",
    "test_at_once.py",
    "test_why.py",
    "test_move_loop.py",
    "test_company_project.py",
    "test_newcomer_postgres.py",
)
PLACES = {name: place for place, name in enumerate(LONGEST)}


def pytest_configure(config: pytest.Config) -> None:
    """One folder for what all workers of a run parse once."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="tailrace-parsed-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(FOLDER)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow modules in front, the slowest first; the rest stays in order. Of a sample's modules some tests."""
    left_out = [item for item in items if item.get_closest_marker("sampled") and is_left_out(item.nodeid)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: PLACES.get(item.path.name, len(PLACES)))
