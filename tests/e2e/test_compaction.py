"""A shop whose home is kept small goes on as the one that is not: nothing is sent, decided or shown otherwise."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from assets import demo_shop, ledger_compaction, runner, small_batches, store
from assets.refresh import refresh
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import compacting, comparing, journeys, sending
from orchestration.console import silent
from tests import nights, recorders
from warehouse import batches

pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]

PEOPLE, DAYS = 100, 3
SYNCS = ("crm/sync_contacts", "hook/seg_cart_abandoned", "mail/message_outbox/cart_recovery")


@pytest.fixture(scope="module")
def recorder(tmp_path_factory) -> Iterator[str]:
    with recorders.running(tmp_path_factory.mktemp("vendor") / "recorder.sqlite") as running:
        yield running.url


@pytest.fixture(scope="module")
def homes(tmp_path_factory, recorder) -> tuple[Settings, Settings]:
    """Two nights, messages and all; then one home is kept small, and the third night comes over both."""
    folder = tmp_path_factory.mktemp("shop")
    shop = demo_shop.generate(folder / "shop", people=PEOPLE, days=DAYS, seed=7)
    left = replace(nights.project(folder), recorder=recorder)

    def night(settings: Settings, ago: int) -> None:
        day = shop.last_day - timedelta(days=ago)
        clock = Clock.at(end_of_day(day, UTC))
        for file in (folder / "shop").glob(f"*/{day}*"):
            place = settings.landing / file.relative_to(folder / "shop")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        assert refresh(settings, clock).ok
        assert all(result.ok for result in sending.sync(settings, clock, SYNCS, silent))

    night(left, 2)
    for name in ("cart_recovery", "post_purchase", "welcome"):
        journeys.publish(left, name, Clock.at(end_of_day(shop.last_day - timedelta(days=2), UTC)))
    night(left, 1)
    small = replace(left, home=folder / "small")
    shutil.copytree(left.home, small.home)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(small_batches, "MANY", 2)
        patched.setattr(ledger_compaction, "MANY_BATCHES", 1)
        done = compacting.compact(small)
    assert done.merged > 50
    assert done.ledgers
    assert not done.left
    for settings in (left, small):
        night(settings, 0)
    return left, small


def test_what_comes_after_is_the_same(homes):
    """Every published row of the night after: who enters and leaves, what is decided, sent and asked."""
    left, small = homes
    found = comparing.compare(left, f"duckdb://{left.warehouse}", f"duckdb://{small.warehouse}")
    assert len(found) > 40
    assert {each.name: each.differing for each in found if not each.is_same} == {}


def test_every_log_can_be_merged_or_its_batches_are_named_later(homes):
    """A log that is new is one or the other, and somebody has thought about which."""
    apart = ("raw.", "tailrace.ledger_", "tailrace.planned_", "tailrace.segment_day", "tailrace.derived_profile")
    with store.writing(homes[0]) as warehouse:
        unsorted = {
            log for log in batches.logs(warehouse) if log not in small_batches.LOGS and not log.startswith(apart)
        }
    assert unsorted == {"tailrace.ingest_file", "tailrace.quarantine"}  # with the raw rows, in their batch


def test_a_sync_under_way_is_left_alone(homes):
    """Its ledger is its own."""
    with runner.running(homes[1], SYNCS[0]):
        assert compacting.compact(homes[1]).left == (SYNCS[0],)
    assert compacting.compact(homes[1]).left == ()
