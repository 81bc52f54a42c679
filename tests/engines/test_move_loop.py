"""A shop whose people got mail moves to a server: nothing is sent or decided there that was not before."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from assets import builds, demo_shop, stages, store
from assets.refresh import refresh
from assets.sync_run import SyncResult
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import comparing, journeys, moving, sending
from orchestration.console import silent
from tests import nights, recorders

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

PEOPLE, DAYS = 150, 2
SYNCS = (
    "crm/sync_contacts",
    "files/seg_one_time_buyers",
    "hook/seg_cart_abandoned",
    "mail/message_outbox/cart_recovery",
    "mail/message_outbox/post_purchase_transactional",
)


@pytest.fixture(scope="module")
def recorder(tmp_path_factory) -> Iterator[str]:
    with recorders.running(tmp_path_factory.mktemp("vendor") / "recorder.sqlite") as running:
        yield running.url


@pytest.fixture(scope="module", params=["postgres", pytest.param("spark", marks=pytest.mark.sampled(one_of=0))])
def moved(request, tmp_path_factory, recorder) -> tuple[Settings, Settings]:
    """A home that ran on DuckDB, messages and all, and was moved: as it was before, and as it is after."""
    url = request.getfixturevalue("database" if request.param == "postgres" else "catalogue")
    folder = tmp_path_factory.mktemp("shop")
    shop = demo_shop.generate(folder / "shop", people=PEOPLE, days=DAYS, seed=7)
    before = replace(nights.project(folder), recorder=recorder)
    for ago in reversed(range(DAYS)):
        day = shop.last_day - timedelta(days=ago)
        clock = Clock.at(end_of_day(day, UTC))
        nights.deliver(before, folder / "shop", day)
        assert refresh(before, clock).ok
        if ago:
            for name in ("cart_recovery", "post_purchase"):
                journeys.publish(before, name, Clock.at(clock.as_of + timedelta(microseconds=1)))
    sent = _synced(before, clock)
    assert all(result.counts["accepted"] for result in sent), sent
    assert moving.move(before, url).differing == ()
    return before, replace(before, warehouse_url=url)


def differing(moved: tuple[Settings, Settings]) -> dict[str, int]:
    """Published tables that are not the same in both, and in how many rows."""
    before, after = moved
    assert after.warehouse_url
    found = comparing.compare(before, f"duckdb://{before.warehouse}", after.warehouse_url)
    assert len(found) > 40
    return {each.name: each.differing for each in found if not each.is_same}


def test_nothing_is_sent_there_and_the_next_day_is_the_same(moved):
    """A refresh builds everything; no plan has anything to send, no tick anything due; then time goes on alike on both.

    Who enters and leaves, whose profile it is, and what journeys make of it: every published row.
    """
    there = moved[1]
    night = later(there, timedelta())
    assert refresh(there, night).staged.full_refresh
    planned = {result.sync: result.plan and result.plan.operations for result in _synced(there, night)}
    assert planned == dict.fromkeys(SYNCS, 0)
    next_day = later(there, timedelta(days=1))
    for settings in moved:
        assert journeys.tick(settings, later(settings, timedelta(microseconds=1)), silent).synced == ()
        done = refresh(settings, next_day)
        assert done.ok
        assert done.identity.minted == 0
    assert differing(moved) == {}


def _synced(settings: Settings, clock: Clock) -> list[SyncResult]:
    return sending.sync(settings, clock, SYNCS, silent)


def later(settings: Settings, by: timedelta) -> Clock:
    with store.locked(settings), stages.opened(settings) as warehouse:
        last = builds.latest(warehouse, builds.CLOCK)
    assert last
    return Clock.at(last.as_of + by)
