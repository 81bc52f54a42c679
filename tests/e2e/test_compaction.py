"""A shop whose home is kept small goes on as the one that is not: nothing is sent, decided or shown otherwise."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assets import demo_shop, ledger_compaction, small_batches, store
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
        nights.deliver(settings, folder / "shop", day)
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


def test_a_plan_is_what_it_was(homes, monkeypatch):
    """What was planned before can be applied after: where a ledger ends is part of what a plan was made of."""
    monkeypatch.setattr(ledger_compaction, "MANY_BATCHES", 1)
    settings = homes[0]
    with store.writing(settings) as warehouse:
        known = warehouse.rows("select relation from tailrace.ledger order by relation")
        ends = {str(row["relation"]): last(warehouse, str(row["relation"])) for row in known}
    assert compacting.compact(settings).ledgers
    with store.writing(settings) as warehouse:
        assert {relation: last(warehouse, relation) for relation in ends} == ends


def last(warehouse, relation):
    """Where a ledger ends."""
    return warehouse.rows(f"select _epoch, _seq from {relation} order by _epoch desc, _seq desc limit 1")


def test_a_sync_that_has_not_ended_is_left_alone(homes):
    """Its receipts come yet."""
    with store.writing(homes[1]) as warehouse:
        batch = batches.Batch(warehouse, "open/one more")
        columns = "sync, destination, config, ledger, planned, identity, journal_id, epoch, row_count, as_of, opened_at"
        run = f"select 'one more' as run_id, {columns} from tailrace.delivery_opened where sync = '{SYNCS[0]}' limit 1"
        batch.append("tailrace.delivery_opened", run)
        batch.commit(datetime.now(UTC))
    assert compacting.compact(homes[1]).left == (SYNCS[0],)
