"""The whole loop on every engine is as on DuckDB: nights with journeys, what is sent and what comes of it, looking."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import httpx
import pytest

from assets import comparison, demo_shop, store
from assets.comparison import Compared
from assets.journeys.backtest import backtest
from assets.past import backfill
from assets.preview import preview
from assets.refresh import refresh
from assets.status import status
from models.clock import Clock, end_of_day
from models.journey import Account
from models.settings import Settings
from orchestration import cli, comparing, environment, journeys, preview_report, sending, why_report
from orchestration.console import silent
from orchestration.project import read_manifest
from sinks.journal_store import connect_to_read
from tests import nights, recorders
from tests.engines.serving import URLS
from warehouse.duckdb_engine import STATE
from warehouse.engine import engine

PEOPLE, NIGHTS = 60, 3  # journeys are published after the first; the third knows what came of what the second sent
JOURNEYS = ("cart_recovery", "post_purchase", "welcome", "win_back")
ORDERS = "mail/message_outbox/post_purchase_transactional"
SYNCS = (
    "crm/sync_contacts",
    "files/seg_one_time_buyers",
    "hook/seg_cart_abandoned",
    "mail/message_outbox/cart_recovery",
    ORDERS,
)
# what a vendor refuses, and whose answers get lost: a sync's as a whole, for the order of its requests is anybody's
REFUSED = [
    {"sync": "crm/sync_contacts", "share": 0.2},
    {"sync": ORDERS, "share": 0.4, "reason": "no such mailbox"},
]
LOST = {"do": "lose", "sync": ORDERS}
RATES = {"delivered": 0.8, "opened": 0.7, "clicked": 0.5, "converted": 0.5, "unsubscribed": 0.2, "complained": 0.1}
NAMED_BY_RUN = {"ingest_file": {"file"}}  # what a vendor says of dead addresses is a file named by the run

# Spark: half an hour, of `make test-spark` without a sample
ALWAYS, NEVER = pytest.mark.sampled(one_of=1), pytest.mark.sampled(one_of=0)
pytestmark = pytest.mark.slow

Shops = tuple[Settings, Settings]


@pytest.fixture(scope="module", params=[pytest.param("postgres", marks=ALWAYS), pytest.param("spark", marks=NEVER)])
def shops(request, tmp_path_factory) -> Iterator[Shops]:
    """Some nights of a shop with its journeys, on DuckDB and on another engine, each with a vendor of its own."""
    folder = tmp_path_factory.mktemp("loop")
    shop = demo_shop.generate(folder / "shop", people=PEOPLE, days=NIGHTS, seed=20)
    on_duckdb = nights.project(folder)
    url = request.getfixturevalue(URLS[request.param])
    there = replace(on_duckdb, home=folder / "other home", warehouse_url=url)
    with recorders.running(folder / "one.sqlite") as one, recorders.running(folder / "other.sqlite") as other:
        both = replace(on_duckdb, recorder=one.url), replace(there, recorder=other.url)
        for settings in both:
            httpx.put(f"{settings.recorder}/_behaviour", json={"reject": REFUSED, "rules": [LOST]}).raise_for_status()
        for ago in reversed(range(NIGHTS)):
            day = shop.last_day - timedelta(days=ago)
            if not ago:
                for settings in both:
                    noon(settings, day)
                take_back(both, folder / "told")
            for settings in both:
                nights.deliver(settings, folder / "shop", day)
                night(settings, day, publishes=ago == NIGHTS - 1)
            if ago:
                take_back(both, folder / "told")
        for settings in both:
            httpx.put(f"{settings.recorder}/_behaviour", json={}).raise_for_status()
        yield both


def night(settings: Settings, day: date, *, publishes: bool) -> None:
    """A refresh, and what there is to send after it."""
    done = refresh(settings, at(day))
    assert done.ok, done
    if publishes:
        for name in JOURNEYS:
            journeys.publish(settings, name, at(day, 1))
    results = sending.sync(settings, at(day), SYNCS, silent)
    assert [result.error for result in results] == [None] * len(SYNCS)


def noon(settings: Settings, day: date) -> None:
    """A tick, and the messages that it was too late for in the night."""
    done = journeys.tick(settings, Clock.at(datetime.combine(day, time(12), UTC)), silent)
    assert [result.error for result in done.synced] == [None] * len(done.synced)


def take_back(shops: Shops, folder: Path) -> None:
    """What came of what the first vendor was told lands in both: with the other, lines would be in another order."""
    body = {"folder": str(folder), "seed": 20, "rates": RATES}
    assert httpx.post(f"{shops[0].recorder}/_outcomes", json=body, timeout=60).raise_for_status().json()["outcomes"]
    for settings in shops:
        for file in folder.iterdir():
            settings.outcomes.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, settings.outcomes)


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
            volatile = {*left_out.get(name, ()), *NAMED_BY_RUN.get(name, ())}
            found.append(comparison.compare(one, other, name, volatile))
    assert len(found) > 40
    return {each.name: each.differing for each in found if not each.is_same}


def heard(settings: Settings) -> list[tuple[str, ...]]:
    """What the vendor was told, in no order: sync, operation, whom, and of contacts what."""
    with urlopen(f"{settings.recorder}/_received") as answer:
        rows = [json.loads(line) for line in answer.read().splitlines()]
    told = [(row["sync"], row["op"], row["identity"], row["payload"]) for row in rows]
    return sorted((*keys, json.dumps(payload) if keys[0].startswith("crm/") else "") for *keys, payload in told)


SHOWN = {  # what of a table is there to be compared
    "profiles": "true",
    "segment_history": "change = 'left'",
    "consent_history": "suppressed",
    "journey_run": "true",
    "journey_transition": "ended is not null",
    "journey_funnel": "true",
    "message_outbox": "decision = 'admitted'",
    "message": "true",
    "deliveries": "outcome = 'unknown'",
    "rejects": "reason like '%no such mailbox'",
    "unknowns": "true",
    "results": "accepted > 0 and rejected > 0",
    "message_results": "delivered > 0 and opened > 0",
    "ingest_file": "file like '%dead-%'",
}


def test_every_table_is_the_same(shops):
    """Profiles, segments, histories, journeys' runs, what was sent and what came of it, and the marts, row by row."""
    assert differing(shops) == {}
    for settings in shops:
        with store.reading(settings) as copy:
            counted = {
                name: copy.rows(f"select count(*) as n from {name} where {which}")[0]["n"]
                for name, which in SHOWN.items()
            }
            (told,) = copy.rows("select sum(bounced) as bounced, sum(unsubscribed) as unsubscribed from results")
        assert all(counted.values()), [name for name, n in counted.items() if not n]
        assert all(told.values()), told


def test_a_vendor_is_told_the_same_and_only_once(shops):
    """The syncs of segments, a file and messages; now there is nothing left to send."""
    assert heard(shops[0]) == heard(shops[1])
    assert {sync for sync, *_ in heard(shops[0])} >= {"crm/sync_contacts", "hook/seg_cart_abandoned", ORDERS}
    for settings in shops:
        results = sending.sync(settings, last(settings), SYNCS, silent)
        assert [(result.error, sum(result.counts.values())) for result in results] == [(None, 0)] * len(SYNCS)
    assert differing(shops) == {}


def test_who_said_no_and_what_settled_is_the_same(shops):
    """Before each request the journal is asked whom to leave out; what came back settled what was unknown."""
    listed, settled = [], []
    for settings in shops:
        with closing(connect_to_read(settings.journal)) as journal:
            listed.append(sorted(journal.execute("select contact, purpose from suppression").fetchall()))
        with engine(settings).open() as warehouse:
            rows = warehouse.rows("select sync, key, epoch, outcome, told, event_id from tailrace.settlement")
            settled.append(sorted(map(str, rows)))
    assert listed[0] == listed[1] != []
    assert settled[0] == settled[1] != []


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
    assert sent["send_key"]
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
    assert sorted(failed) == ["apply"], failed  # no entries wait


def _lasting(said: Any) -> Any:
    """Without what is another every time."""
    if isinstance(said, dict):
        passing = {"runs", "run_id", "plan_id", "seconds", *(["ref"] if said.get("kind") == Account.DELIVERED else [])}
        return {key: _lasting(value) for key, value in said.items() if key not in passing}
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
