"""The thread that folds while a delivery sends."""

import time
from contextlib import contextmanager

import pytest

from assets import folding
from models.errors import NeedsPerson


def folds_in(monkeypatch, world, error, turns) -> int:
    """How often it opened the warehouse, which fails by `error` each time; so many turns are waited for."""
    opened = 0

    @contextmanager
    def failing(*_args, **_options):
        nonlocal opened
        opened += 1
        raise error
        yield

    monkeypatch.setattr(folding, "EVERY_SECONDS", 0.001)
    monkeypatch.setattr(folding, "writing", failing)
    with folding.Folding(world.settings):
        deadline = time.monotonic() + 30
        while opened < turns and time.monotonic() < deadline:
            time.sleep(0.001)
    return opened


def test_a_warehouse_that_is_away_for_a_while_is_no_failure(monkeypatch, world) -> None:
    """A server that is begun again meanwhile: folding goes on, and what was sent counts."""
    assert folds_in(monkeypatch, world, NeedsPerson("the server is gone"), 3) >= 3


def test_a_mistake_of_ours_is_raised(monkeypatch, world) -> None:
    """At the end of the block, so that what was sent is closed first."""
    with pytest.raises(KeyError):
        folds_in(monkeypatch, world, KeyError("ours"), 1)
