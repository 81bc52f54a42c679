"""The whole loop on Spark is as on DuckDB: nights with journeys, what is sent and what is not sent again, looking."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, timedelta
from typing import Any
from urllib.request import urlopen

import pytest

from assets import comparison, demo_shop, store
from assets.comparison import Compared
from assets.journeys.backtest import backtest
from assets.past import backfill
from assets.preview import preview
from assets.refresh import refresh
from assets.status import status
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import cli, comparing, environment, journeys, preview_report, sending, why_report
from orchestration.console import silent
from orchestration.project import read_manifest
from tests import nights, recorders
from warehouse.duckdb_engine import STATE

PEOPLE, NIGHTS = 40, 2  # a statement takes tenths of a second, whatever it is about
JOURNEYS = ("cart_recovery", "post_purchase", "welcome", "win_back")
SYNCS = (
    "crm/sync_contacts",
    "files/seg_one_time_buyers",
    "hook/seg_cart_abandoned",
    "mail/message_outbox/cart_recovery",
    "mail/message_outbox/post_purchase_transactional",
)

# twenty minutes: `make test-spark` without a sample
pytestmark = [pytest.mark.slow, pytest.mark.sampled("module", one_of=0)]

Shops = tuple[Settings, Settings]


@pytest.fixture(scope="module")
def shops(tmp_path_factory, catalogue) -> Iterator[Shops]:
    """Some nights of a shop with its journeys, on DuckDB and on Spark, each with a vendor of its own."""
    folder = tmp_path_factory.mktemp("loop")
    shop = demo_shop.generate(folder / "shop", people=PEOPLE, days=NIGHTS, seed=20)
    on_duckdb = nights.project(folder)
    on_spark = replace(on_duckdb, home=folder / "other home", warehouse_url=catalogue)
    with recorders.running(folder / "one.sqlite") as one, recorders.running(folder / "other.sqlite") as other:
        both = replace(on_duckdb, recorder=one.url), replace(on_spark, recorder=other.url)
        for settings in both:
            for ago in reversed(range(NIGHTS)):
                day = shop.last_day - timedelta(days=ago)
                nights.deliver(settings, folder / "shop", day)
                done = refresh(settings, at(day))
                assert done.ok, done
                if ago == NIGHTS - 1:
                    for name in JOURNEYS:
                        journeys.publish(settings, name, at(day, 1))
        yield both


def at(day: date, microseconds: int = 0) -> Clock:
    return Clock.at(end_of_day(day, UTC) + timedelta(microseconds=microseconds))


def last(settings: Settings) -> Clock:
    with store.reading(settings) as copy:
        return Clock.at(copy.rows("select max(as_of) as as_of from segment_evaluation")[0]["as_of"])


def differing(shops: Shops) -> dict[str, int]:
    """Published tables that are not the same in both, and in how many rows."""
    left_out, found = comparing.volatile(read_manifest(shops[0])), list[Compared]()
    with store.reading(shops[0]) as one, store.reading(shops[1]) as other:
        for name in sorted({*one.relations("main"), *other.relations("main")} - {STATE}):
            found.append(comparison.compare(one, other, name, left_out.get(name, ())))
    assert len(found) > 40
    return {each.name: each.differing for each in found if not each.is_same}


def heard(settings: Settings) -> list[tuple[str, ...]]:
    """What the vendor was told, in no order: sync, operation, whom, and of contacts what."""
    with urlopen(f"{settings.recorder}/_received") as answer:
        rows = [json.loads(line) for line in answer.read().splitlines()]
    told = [(row["sync"], row["op"], row["identity"], row["payload"]) for row in rows]
    return sorted((*keys, json.dumps(payload) if keys[0].startswith("crm/") else "") for *keys, payload in told)


def test_every_table_is_the_same(shops):
    """Profiles, segments, histories, journeys' runs, their outbox and the marts, row by row."""
    assert differing(shops) == {}
    with store.reading(shops[1]) as copy:
        for name in ("profiles", "segment_history", "journey_run", "journey_transition", "message_outbox"):
            assert copy.rows(f"select count(*) as n from {name}")[0]["n"] > 0, name


def test_a_vendor_is_told_the_same_and_only_once(shops):
    """The syncs of segments, a file and messages; then there is nothing left to send, and the ledgers are the same."""
    for expected in (True, False):
        for settings in shops:
            results = sending.sync(settings, last(settings), SYNCS, silent)
            assert [result.error for result in results] == [None] * len(SYNCS)
            sent = {result.sync: sum(result.counts.values()) for result in results if result.counts}
            assert bool(sum(sent.values())) is expected, sent
    assert heard(shops[0]) == heard(shops[1])
    assert differing(shops) == {}


def test_a_tick_at_once_has_nothing_to_do(shops):
    """And a refresh at the same clock changes nothing."""
    for settings in shops:
        clock = last(settings)
        assert journeys.tick(settings, Clock.at(clock.as_of + timedelta(microseconds=1)), silent).synced == ()
        done = refresh(settings, clock)
        assert (done.staged.built, done.identity.skipped) == (False, True)


def test_looking_is_the_same(shops):
    """A preview, a person's account, what is known of segments and sources."""
    said = []
    for settings in shops:
        with store.reading(settings) as copy:
            person = copy.rows("select min(unit_id) as who from journey_run")[0]["who"]
        told = why_report.ask(settings, person, None, show_pii=True)
        found = status(settings, last(settings), read_manifest(settings))
        previewed = preview_report.document(preview(settings, None, "seg_high_value", show_pii=True))
        said.append((told.lines, found.segments, previewed))
        assert told.lines
    assert said[0] == said[1]


def test_the_past_is_the_same(shops):
    """A day worked out anew, and a journey's backtest over it."""
    said = []
    for settings in shops:
        day = last(settings).as_of.date()
        done = asdict(backfill(settings, last(settings), day, day, known_by="day-end"))
        tested = backtest(settings, "win_back", day - timedelta(days=NIGHTS - 1), day)
        with store.reading(settings) as copy:
            days = sorted(map(str, copy.rows("select day, segment, profile_id from segment_days")))
        said.append((done, tested.document(), days))
    assert said[0] == said[1]


def test_commands_say_the_same(shops, monkeypatch, capsys):
    """Whatever looks, decides or repairs; ids of runs and of plans, and who ran what when, aside."""
    day = last(shops[0]).as_of.date()
    with store.reading(shops[0]) as copy:
        (who,) = copy.rows("select min(email) as email from profiles where email is not null")
        (sent,) = copy.rows("select min(send_key) as send_key from message")
    assert sent["send_key"], "the test of what a vendor is told comes before this one, and sends"
    lines = [
        ("refresh", "--as-of", day),
        ("tick", "--as-of", day),
        ("status",),
        ("doctor",),
        ("sql", "select profile_id, email, orders, revenue, last_order_at from profiles order by profile_id"),
        ("journeys",),
        ("journeys", "cart_recovery"),
        ("why", who["email"], "--show-pii"),
        ("results",),
        ("message", "welcome", who["email"], "--as-of", day),
        ("sent", sent["send_key"], "--show-pii"),
        ("backtest", "welcome", "--from", day, "--to", day),
        ("preview", "seg_high_value"),
        ("plan", "crm/sync_contacts", "--as-of", day),
        ("pause", "crm/sync_contacts"),
        ("resume", "crm/sync_contacts"),
        ("release", "crm/sync_contacts"),
        ("apply", "journey:win_back"),
        ("sync", "crm/sync_contacts", "--as-of", day),
        ("take-over",),
    ]
    said = []
    for settings in shops:
        for name, value in environment.child(settings).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        said.append([])
        for line in lines:
            code = cli.run([*map(str, line), "--json"])
            said[-1].append((line, code, _lasting(json.loads(capsys.readouterr().out))))
    for (line, *one), (_, *other) in zip(*said, strict=True):
        assert _unlike(one, other) == [], line
    failed = {line[0]: found for line, code, found in said[0] if code}
    assert sorted(failed) == ["apply", "release"], failed  # nothing waits for either


def _lasting(said: Any) -> Any:
    """Without what is another every time."""
    if isinstance(said, dict):
        return {
            key: _lasting(value) for key, value in said.items() if key not in ("runs", "run_id", "plan_id", "seconds")
        }
    return [*map(_lasting, said)] if isinstance(said, list) else said


def _unlike(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return [each for key in keys for each in _unlike(one.get(key), other.get(key), f"{place}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [each for number, pair in pairs for each in _unlike(*pair, f"{place}.{number}")]
    return [] if one == other else [f"{place}: {one} and {other}"]


def test_readers_see_nothing_of_a_compaction(shops):
    """Afterwards all is as it was: nothing is sent again, and nothing that is published is another."""
    for settings in shops:
        done = nights.kept_small(settings)
        assert done.merged > 10
        assert not done.left
        assert [sum(result.counts.values()) for result in sending.sync(settings, last(settings), SYNCS, silent)] == [
            0
        ] * len(SYNCS)
    assert differing(shops) == {}
