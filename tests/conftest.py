"""The longest tests begin first, so that both workers end at about the same time; signals are as in a terminal."""

import signal

import pytest

# Tests started with `&` ignore SIGINT, which every process they begin inherits. Dagster gives SIGTERM the same meaning,
# so that after the first run in this process nothing it begins could be ended any more.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "test_oracle.py",
    "test_demo.py",
    "test_refresh.py",
    "test_past.py",
    "test_journey_tutorial.py",
    "test_preview.py",
    "test_backfill.py",
    "test_replay.py",
    "test_cdnow.py",
    "test_jobs.py",
    "test_why.py",
    "test_convergence.py",
    "test_outcomes.py",
    "test_looking.py",
    "test_newcomer.py",
    "test_workspace.py",
)
PLACES = {name: place for place, name in enumerate(LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow modules in front, the slowest first; the rest stays in order."""
    items.sort(key=lambda item: PLACES.get(item.path.name, len(PLACES)))
