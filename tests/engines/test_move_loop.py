"""A shop whose people got mail moves to PostgreSQL: nothing is sent or decided there that was not before."""

from dataclasses import replace
from datetime import timedelta

import pytest

from assets import builds, stages, store
from assets.refresh import refresh
from models.clock import Clock
from models.settings import Settings
from orchestration import comparing, demonstration, journeys, local_recorder, moving, sending
from orchestration.console import silent
from tests import nights

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

SHOP = {"people": 60, "days": 2, "seed": 7}


@pytest.fixture(scope="module")
def moved(tmp_path_factory, database) -> tuple[Settings, Settings]:
    """A home whose demo has run on DuckDB and was moved: as it was before, and as it is after."""
    ports = (local_recorder.free_port(), local_recorder.free_port())
    recorder, gateway = (f"http://127.0.0.1:{port}" for port in ports)
    before = replace(nights.project(tmp_path_factory.mktemp("shop")), recorder=recorder, gateway=gateway)
    _, days = demonstration.run(before, **SHOP, tell=silent)
    assert sum(day.sent for day in days) > 100
    assert moving.move(before, database).differing == ()
    return before, replace(before, warehouse_url=database)


def differing(moved: tuple[Settings, Settings]) -> dict[str, int]:
    """Published tables that are not the same in both, and in how many rows."""
    before, after = moved
    assert after.warehouse_url
    found = comparing.compare(before, f"duckdb://{before.warehouse}", after.warehouse_url)
    assert len(found) > 40
    return {each.name: each.differing for each in found if not each.is_same}


def test_the_night_again_sends_nothing(moved):
    """Refresh, every sync and a tick on the new engine: no plan has anything to send, as none has on the old one."""
    for settings in moved:
        night, tick = later(settings, timedelta()), later(settings, timedelta(microseconds=1))
        assert refresh(settings, night).ok
        with local_recorder.running(settings) as recorded:
            synced = sending.sync(recorded, night, None, silent)
            ticked = journeys.tick(recorded, tick, silent)
        planned = {result.sync: result.plan and result.plan.operations for result in synced}
        assert len(planned) > 5
        assert set(planned.values()) == {0}, planned
        assert ticked.synced == ()
    assert differing(moved) == {}


def test_the_next_day_is_the_same_on_both(moved):
    """Who enters and leaves as time goes on, whose profile it is, and what journeys make of it, goes on alike."""
    clock = later(moved[1], timedelta(days=1))
    for settings in moved:
        done = refresh(settings, clock)
        assert done.ok
        assert done.identity.minted == 0
    assert differing(moved) == {}


def later(settings: Settings, by: timedelta) -> Clock:
    with store.locked(settings), stages.opened(settings) as warehouse:
        last = builds.latest(warehouse, builds.CLOCK)
    assert last
    return Clock.at(last.as_of + by)
