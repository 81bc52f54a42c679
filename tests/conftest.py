"""The longest tests begin first, so that both workers end at about the same time."""

import pytest

LONGEST = (
    "test_backfill.py",
    "test_cdnow.py",
    "test_demo.py",
    "test_past.py",
    "test_replay.py",
    "test_newcomer.py",
    "test_workspace.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow modules in front, each kept together; the rest stays in order."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
