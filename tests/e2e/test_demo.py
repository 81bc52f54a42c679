"""The loop on the demo shop shows what the independent count finds in the same files."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from assets import configuration, stages, store
from assets.dbt_project import read_manifest
from assets.demo_shop import generate
from assets.messages.sent import sent
from assets.refresh import RefreshResult, refresh
from assets.status import status
from models.clock import Clock, end_of_day
from models.errors import UserError
from models.settings import Settings
from orchestration import demonstration, local_gateway, local_recorder
from orchestration.environment import child
from tests import parsed
from tests.e2e import independent
from tests.journeys import observed
from tests.journeys.oracle import Oracle
from tests.sampling import sampled

ROOT = Path(__file__).parents[2]
PEOPLE = 2_000
NIGHTS = sampled(30, 10)
OUTCOMES = ("delivered", "opened", "clicked", "bounced", "unsubscribed", "converted")
TYPES = ("user_id", "crm_id", "email", "phone", "anonymous_id")


@dataclass
class Loop:
    """A project of its own, run to the end of a day, beside the plain count of the same files."""

    settings: Settings
    day: date
    results: list[RefreshResult]
    days: list[demonstration.Day] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path, day: date) -> Loop:
        settings = Settings(project=parsed.project(folder / "project"), home=folder / "home")
        return cls(parsed.target_into(settings), day, [])

    def refresh(self) -> None:
        self.results.append(refresh(self.settings, Clock.at(end_of_day(self.day, UTC))))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with store.reading(self.settings) as warehouse:
            return warehouse.rows(sql)

    def value(self, sql: str) -> Any:
        return next(iter(self.rows(sql)[0].values()))

    def counted(self) -> dict[str, Any]:
        return independent.count(self.settings.landing, self.day, self.aliases())

    def aliases(self) -> dict[str, independent.Node]:
        """Whom a profile id in an outcome means: no more than that is taken from the loop."""
        return independent.aliases(self.rows("select identifier_type, identifier, profile_id from profile_map"))

    def persons(self) -> dict[frozenset[independent.Node], independent.Person]:
        """The plain count's people by their identifiers."""
        as_of = datetime.combine(self.day, time.max, UTC)
        landed = independent.land(self.settings.landing, self.aliases())
        events = [event for event in landed.events if event.at <= as_of]
        return {frozenset(person.identifiers): person for person in independent.people(events)}

    def identities(self) -> dict[str, frozenset[independent.Node]]:
        """The loop's profiles: id → identifiers."""
        found: dict[str, set[independent.Node]] = {}
        for row in self.rows("select identifier_type, identifier, profile_id from profile_map"):
            if row["identifier_type"] in TYPES:
                found.setdefault(row["profile_id"], set()).add((row["identifier_type"], row["identifier"]))
        return {profile_id: frozenset(nodes) for profile_id, nodes in found.items()}


def check_everything(loop: Loop) -> None:
    """Every figure and every person of the loop is the plain count's."""
    counted, persons, identities = loop.counted(), loop.persons(), loop.identities()
    assert loop.value("select count(*) from events") == counted["events"]
    bad = loop.rows("select source, file, count(*) as lines from quarantine group by all")
    assert {row["file"]: row["lines"] for row in bad} == counted["quarantined"]
    assert set(identities.values()) == set(persons)
    as_of = datetime.combine(loop.day, time.max, UTC)
    for row in loop.rows("select * from profiles"):
        person = persons[identities[row["profile_id"]]]
        assert (row["email"], row["orders"], row["revenue"]) == (person.email, len(person.orders), person.revenue)
        assert row["last_order_at"] == person.last_order_at
        assert row["last_seen_at"] == person.last_seen_at
    check_consent(loop, persons, identities)
    for segment in independent.SEGMENTS:
        members = {identities[row["profile_id"]] for row in loop.rows(f"select profile_id from {segment}")}
        expected = {nodes for nodes, person in persons.items() if segment in independent.segments(person, as_of)}
        assert members == expected, segment


def check_consent(loop: Loop, persons: dict, identities: dict) -> None:
    decided = {
        (nodes, *key): granted
        for nodes, person in persons.items()
        for key, (granted, _) in independent.consent(person).items()
    }
    found = {
        (identities[row["profile_id"]], row["channel"], row["contact_point"], row["purpose"]): row["granted"]
        for row in loop.rows("select * from consent")
    }
    assert found == decided


CONTACTS = """\
contact_id,email,phone,first_name,last_name,country,time_zone,marketing_opt_in,updated_at
C700001,fay@moved.example,,Fay,A,DE,,true,2026-09-01T08:00:00+00:00
C700001,fay@moved.example,+49 1512 3456789,Fay,A,DE,,true,2026-09-20T08:00:00+00:00
C700002,gus@moved.example,,Gus,B,DE,,true,2026-09-01T08:00:00+00:00
C700002,gus.new@moved.example,,Gus,B,DE,,true,2026-09-20T08:00:00+00:00
C700003,hal@moved.example,,Hal,C,DE,,false,2026-09-01T08:00:00+00:00
C700003,hal.new@moved.example,,Hal,C,DE,,false,2026-09-20T08:00:00+00:00
C700003,hal@moved.example,,Hal,C,DE,,true,2026-09-21T08:00:00+00:00
C700003,hal.new@moved.example,,Hal,C,DE,,false,2026-09-22T08:00:00+00:00
"""


WORDS: list[dict[str, str]] = [
    {"channel": "Email ", "purpose": " MARKETING"},
    {"channel": "e-mail", "purpose": "marketing"},
    {"channel": "", "purpose": "marketing"},
    {"purpose": "marketing"},
    {},
]


def land_awkward_consent(landing: Path) -> None:
    """What the shop's own files have no case of: contacts that change after they unsubscribed, a no in other words."""
    (landing / "crm/2026-09-30-moved.csv").write_text(CONTACTS)
    (landing / "outcomes").mkdir()
    told = {"event": "unsubscribed", "sync": "crm/seg_x", "profile_id": None, "at": "2026-09-10T08:00:00+00:00"}
    lines = [{"id": name, "email": f"{name}@moved.example", **told} for name in ("fay", "gus")]
    (landing / "outcomes/1.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = [record for number, about in enumerate(WORDS) for record in said_yes_then_no(number, about)]
    words = "".join(json.dumps(record) + "\n" for record in said)
    (landing / "shop/2026-09-30-words.ndjson.gz").write_bytes(gzip.compress(words.encode()))


def said_yes_then_no(number: int, about: dict[str, str]) -> list[dict[str, Any]]:
    """One person's yes to both channels on the first day, and their no, said so, a week later."""
    decided = [
        ("Granted", "2026-09-01T08:00:00Z", {"channel": "email", "purpose": "marketing"}),
        ("Granted", "2026-09-01T08:00:00Z", {"channel": "SMS", "purpose": "marketing"}),
        ("Granted", "2026-09-15T08:00:00Z", {"channel": "pigeon", "purpose": "marketing"}),
        ("Withdrawn", "2026-09-08T08:00:00Z", about),
    ]
    person = {
        "type": "track",
        "userId": f"words-{number}",
        "traits": {"email": f"words{number}@moved.example", "phone": f"+49 1512 98765{number:02}"},
    }
    return [
        {
            **person,
            "id": f"words-{number}-{place}",
            "event": f"Consent {word}",
            "at": at,
            "sentAt": at,
            "properties": said,
        }
        for place, (word, at, said) in enumerate(decided)
    ]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """2,000 people, thirty days, and the awkward cases of consent; one refresh at the end."""
    loop = Loop.at(tmp_path_factory.mktemp("demo"), date(2026, 9, 30))
    generate(loop.settings.landing, people=PEOPLE)
    land_awkward_consent(loop.settings.landing)
    loop.refresh()
    return loop


def test_the_loop_shows_what_the_files_hold(month: Loop) -> None:
    """Events, bad lines, people, orders, money, consent and every segment's members agree with the plain count."""
    assert month.results[0].ok
    check_everything(month)


def test_money_adds_up(month: Loop) -> None:
    """Over all profiles, orders and revenue less refunds are to the cent what the files say."""
    counted = month.counted()
    total = month.rows(
        "select sum(orders) as orders, sum(revenue) as revenue, max(last_order_at) as last from profiles"
    )
    assert total[0]["orders"] == counted["orders"]
    assert total[0]["revenue"] == Decimal(counted["revenue"])
    assert total[0]["last"].isoformat() == counted["last_order_at"]


def test_copies_are_recorded_with_both_names(month: Loop) -> None:
    """The file that landed twice is loaded once, and the ingest says which is a copy of which."""
    copies = [copy for result in month.results[0].ingested for copy in result.copies]
    assert [(copy.file, copy.copy_of) for copy in copies] == [
        ("shop/2026-09-07-again.ndjson.gz", "shop/2026-09-06.ndjson.gz")
    ]


def test_late_events_are_counted(month: Loop) -> None:
    """What came more than a day after it happened is counted by source and day, as many as the plain count finds."""
    counted = month.counted()["late"]
    assert counted > 0
    assert month.value("select sum(late) from event_arrivals where source = 'shop'") == counted
    assert month.value("select sum(events) from event_arrivals") == month.counted()["events"]
    shown = {row["name"]: row["late"] for row in status(month.settings, None, read_manifest(month.settings)).sources}
    assert shown["shop"] == counted


def test_every_segment_of_a_shop_has_members(month: Loop) -> None:
    """No segment that shop and contact data can fill is empty, and none holds everyone."""
    everyone = month.value("select count(*) from profiles")
    for segment in set(independent.SEGMENTS) - {"seg_engaged"}:
        assert 0 < month.value(f"select count(*) from {segment}") < everyone, segment


@pytest.mark.slow
def test_day_by_day_is_the_same(tmp_path: Path) -> None:
    """Files that land day by day, each refreshed at its day's end, give on every day what its files hold so far."""
    days, first = 7, date(2026, 9, 1)
    written = generate(tmp_path / "shop", people=400, days=days)
    loop = Loop.at(tmp_path, first)
    changes: Counter[str] = Counter()
    for day in range(days):
        loop.day = first + timedelta(days=day)
        for path in written.files:
            if path.name.startswith(loop.day.isoformat()):
                target = loop.settings.landing / path.parent.name / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        loop.refresh()
        check_everything(loop)
        changes["merged"] += loop.results[-1].identity.merged if day else 0
    assert changes["merged"] > 10, "second devices and contacts find their person"
    moved = loop.rows("select segment, change, count(*) as n from segment_history group by all")
    assert {row["segment"] for row in moved if row["change"] == "left"} >= {"seg_cart_abandoned", "seg_never_bought"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """What `tailrace demo` does, on 500 people: thirty nights (CI's sample: the last twelve) of the whole loop."""
    loop = Loop.at(tmp_path_factory.mktemp("whole"), date(2026, 9, 30))
    ports = (local_recorder.free_port(), local_recorder.free_port())
    recorder, gateway = (f"http://127.0.0.1:{port}" for port in ports)
    loop.settings = replace(loop.settings, recorder=recorder, gateway=gateway)
    _, loop.days = demonstration.run(loop.settings, people=500, days=30, seed=7, nights=NIGHTS, tell=lambda *_: None)
    return loop


@pytest.mark.slow
def test_the_loop_closes(demo: Loop) -> None:
    """After deliveries and what came of them, everything is what the files with the outcomes hold."""
    check_everything(demo)
    assert demo.value("select count(*) from seg_engaged") > 0


@pytest.mark.slow
def test_results_are_what_was_sent_and_what_came_back(demo: Loop) -> None:
    """`results` has what the vendor of each sync took each day, and what the plain count finds in the outcome files."""
    taken: Counter[tuple[str, date]] = Counter()
    told: Counter[tuple[str, date, str]] = Counter()
    for row in demo.rows("select * from results"):
        taken[row["sync"], row["result_date"]] += row["accepted"]
        for outcome in OUTCOMES:
            told[row["sync"], row["result_date"], outcome] += row[outcome]
    expected = Counter(
        (result.sync, day.day)
        for day in demo.days
        for result in (*day.noon, *day.synced)
        for _ in range(result.counts.get("accepted", 0))
    )
    assert +taken == +expected
    syncs = {row["send_key"]: row["sync"] for row in demo.rows("select send_key, sync from message")}
    found = independent.reported(demo.settings.landing, demo.day, syncs)
    assert +told == Counter({key: n for key, n in found.items() if key[2] in OUTCOMES})
    assert sum(n for (_, _, outcome), n in told.items() if outcome == "unsubscribed") > 0


@pytest.mark.slow
def test_the_vendor_holds_the_segment(demo: Loop) -> None:
    """Each audience at the vendor is the model's members, where it asks for consent those whose consent stands."""
    with local_recorder.running(demo.settings) as here:
        lines = httpx.get(f"{here.recorder}/_received").text.splitlines()
    for model in ("seg_lapsed", "seg_high_value", "seg_high_value_lapsed", "sync_contacts"):
        held: dict[str, bool] = {}
        for row in (row for row in map(json.loads, lines) if row["sync"] == f"crm/{model}"):
            held[row["identity"]] = row["op"] == "upsert"
        consents = "where email_marketing" if model != "seg_high_value" else ""
        members = demo.rows(
            f"select profile_id from {model} inner join (select profile_id, email_marketing from profiles) as consents "
            f"using (profile_id) {consents}"
        )
        assert {identity for identity, is_in in held.items() if is_in} == {row["profile_id"] for row in members}, model


@pytest.fixture(scope="module")
def account(demo: Loop) -> Oracle:
    """The oracle's own account of the thirty days, and no difference from the engine's, person by person."""
    with store.locked(demo.settings), stages.opened(demo.settings) as warehouse:
        policy = configuration.policy(demo.settings)
        assert not observed.differences(warehouse, policy)
        return observed.account(warehouse, policy)


@pytest.mark.slow
def test_journeys_are_where_the_oracle_says(account: Oracle) -> None:
    """All four journeys ran, and people left them in every way that thirty days of a shop bring about."""
    assert {run.journey for run in account.runs} == {"welcome", "cart_recovery", "post_purchase", "win_back"}
    ends = {each.ended for run in account.runs for each in run.transitions}
    assert ends >= {"goal", "exit_step", "exit_condition", "completed"}
    reasons = {decision.reason for decision in account.decisions}
    assert reasons >= {None, "holdout", "global_holdout", "no_contact", "no_consent"}


@pytest.mark.slow
def test_what_was_mailed_is_what_was_admitted(demo: Loop, account: Oracle) -> None:
    """Each message at the recorder was admitted and came once; who is held out hears of their own orders only."""
    with local_recorder.running(demo.settings) as here:
        lines = map(json.loads, httpx.get(f"{here.recorder}/_received").text.splitlines())
        keys = Counter(row["identity"] for row in lines if "/message_outbox/" in row["sync"])
    admitted = {one.send_key: one for one in account.decisions if one.decision == "admitted"}
    assert keys.keys() <= admitted.keys()
    assert set(keys.values()) == {1}
    arms = {run.run_id: run.arm for run in account.runs}
    assert {arms[admitted[key].run_id] for key in keys if admitted[key].purpose == "marketing"} == {"treated"}
    made = {row["send_key"]: row["template"] for row in demo.rows("select send_key, template from message")}
    assert {made[key] for key in keys} >= {
        "cart_push",
        "cart_reminder",
        "order_taken",
        *(["welcome"] if NIGHTS == 30 else []),
    }


@pytest.mark.slow
def test_nobody_is_mailed_who_must_not_be(demo: Loop, account: Oracle) -> None:
    """Whom the recorder heard of: nobody without consent, suppressed, in quiet hours, past expiry, or over a cap."""
    policy = configuration.policy(demo.settings)
    with local_recorder.running(demo.settings) as here:
        lines = map(json.loads, httpx.get(f"{here.recorder}/_received").text.splitlines())
        heard = [row for row in lines if "/message_outbox/" in row["sync"]]
    decided = {one.send_key: one for one in account.decisions if one.decision == "admitted"}
    made = {row["send_key"]: row["profile_id"] for row in demo.rows("select send_key, profile_id from message")}
    consents, profiles = (
        sorted(demo.rows(f"select * from {name}"), key=lambda row: row["as_of"])
        for name in ("consent_history", "profile_history")
    )
    marketing: dict[str, list[tuple[datetime, str]]] = {}
    for row in heard:
        one, left = decided[row["identity"]], datetime.fromisoformat(row["as_of"])
        profile_id, contact = made[row["identity"]], (one.channel, row["payload"]["to"])
        mine = [each for each in consents if each["profile_id"] == profile_id and each["as_of"] <= left]
        last = {each["purpose"]: each for each in mine if (each["channel"], each["contact_point"]) == contact}
        assert not any(each["suppressed"] for each in last.values() if each["granted"] is not None), row
        assert left < one.expires_at, row
        if one.purpose == "transactional":
            continue
        assert last["marketing"]["granted"], row
        held = [each for each in profiles if each["profile_id"] == profile_id and each["as_of"] <= left]
        zone = (held[-1]["time_zone"] if held else None) or policy.recipient_zone
        assert time(8) <= left.astimezone(ZoneInfo(zone)).time() < time(21), row
        marketing.setdefault(account.root(one.unit, account.now.as_of), []).append((one.not_before, one.channel))
    assert policy.quiet_hours
    assert (policy.quiet_hours.begin, policy.quiet_hours.end) == (time(21), time(8))
    assert len(marketing) > 50
    for person, moments_sent in marketing.items():
        for cap in policy.caps:
            moments = sorted(at for at, channel in moments_sent if cap.channel in (None, channel))
            crowded = zip(moments, moments[cap.max :], strict=False)
            assert all(later - first >= cap.per for first, later in crowded), person


@pytest.mark.slow
def test_message_results_are_what_the_vendors_and_the_files_say(demo: Loop) -> None:
    """Each message counts once in each column, as the recorder took it and the outcome files tell of it."""
    with local_recorder.running(demo.settings) as here:
        lines = map(json.loads, httpx.get(f"{here.recorder}/_received").text.splitlines())
        sent = {row["identity"] for row in lines if "/message_outbox/" in row["sync"]}
    as_of = datetime.combine(demo.day, time.max, UTC)
    told: dict[str, set[str]] = {}
    for event in independent.land(demo.settings.landing).events:
        key = event.data.get("send_key") if event.source == "outcomes" else None
        if key in sent and event.at <= as_of:
            name = "machine_opened" if event.data.get("machine") else event.data["event"]
            told.setdefault(name, set()).add(key)
    read = told.get("opened", set()) | told.get("clicked", set())
    expected = {
        "sent": len(sent),
        "delivered": len(told["delivered"] | read | told["machine_opened"]),
        "opened": len(read),
        "clicked": len(told["clicked"]),
        "machine_opened": len(told["machine_opened"]),
        "bounced": len(told.get("bounced", ())),
        "unsubscribed": len(told.get("unsubscribed", ())),
    }
    summed = ", ".join(f"sum({name}) as {name}" for name in expected)
    assert demo.rows(f"select {summed} from message_results") == [expected]
    languages = {row["locale"] for row in demo.rows("select distinct locale from message_results")}
    assert languages == {"en", "de"}


@pytest.mark.slow
def test_an_app_that_is_gone_leaves_the_profile(demo: Loop) -> None:
    """A token that the vendor called dead is suppressed and on no profile, unless it was registered again since."""
    dead = demo.rows(
        "select json_extract_string(properties, '$.contact') as token, max(occurred_at) as died_at from events "
        "where name = 'Message Bounced' and json_extract_string(properties, '$.channel') = 'push' group by all"
    )
    assert dead, "a quarter of the apps are gone"
    held = {row["push_token"] for row in demo.rows("select push_token from profiles where push_token is not null")}
    told = demo.rows(
        "select json_extract_string(properties, '$.push_token') as token, max(occurred_at) as at from events "
        "where name in ('Identified', 'Signed Up') group by all"
    )
    registered = {row["token"]: row["at"] for row in told}
    assert not {row["token"] for row in dead if registered[row["token"]] <= row["died_at"]} & held
    said = demo.rows("select contact_point from consent where channel = 'push' and suppressed")
    assert {row["contact_point"] for row in said} == {row["token"] for row in dead}


@pytest.mark.slow
def test_a_message_is_shown_and_tried_out(demo: Loop) -> None:
    """`message` shows what somebody would get, masked; `--send-to` goes by the destination, and no sync knows of it."""
    person = demo.value("select max(profile_id) from profiles where email is not null and orders > 0")
    with local_recorder.running(demo.settings) as here:
        shown = _ran(here, "message", "order_taken", person, "--json")
        assert (shown["template"], shown["subject"], shown["unsubscribe_url"]) == (
            "order_taken",
            shown["subject"],
            None,
        )
        assert "***@" in shown["to"]
        assert shown["html"].startswith("<!doctype html>")
        tried = _ran(here, "message", "welcome", person, "--locale", "de", "--send-to", "me@shop.example", "--json")
        assert (tried["locale"], tried["sent_by"]) == ("de", "mail")
        lines = map(json.loads, httpx.get(f"{here.recorder}/_received?sync=mail/test").text.splitlines())
        tested = next(lines)
        assert (tested["payload"]["to"], next(lines, None)) == ("me@shop.example", None)
        assert tried["profile_id"] == "", "nothing that comes back of it is about the person"
        assert person not in json.dumps(tested)
    assert demo.value("select count(*) from deliveries where sync = 'mail/test'") == 0


@pytest.mark.slow
def test_what_was_sent_can_be_shown(demo: Loop) -> None:
    """`sent` makes the very message that the vendor got, of every channel and language; no other key has one."""
    with local_recorder.running(demo.settings) as here:
        lines = map(json.loads, httpx.get(f"{here.recorder}/_received").text.splitlines())
        got = {row["identity"]: row["payload"] for row in lines if "/message_outbox/" in row["sync"]}
        shown = _ran(here, "sent", min(got), "--json")
    assert "***" in shown["to"]
    assert (shown["outcome"], shown["send_key"]) == ("accepted", min(got))
    seen: Counter[tuple[str, str | None]] = Counter()
    with store.locked(demo.settings), stages.opened(demo.settings) as warehouse:
        for send_key in sorted(got):
            made = sent(demo.settings, warehouse, send_key).message
            if seen[made.template or "", made.locale] < 3:
                told = {name: getattr(made, name) for name in ("to", "subject", "text") if name in got[send_key]}
                assert told == {name: got[send_key][name] for name in told}, send_key
            seen[made.template or "", made.locale] += 1
        with pytest.raises(UserError, match="no message has the send_key 'x'"):
            sent(demo.settings, warehouse, "x")
    assert len(seen) > 6


@pytest.mark.slow
def test_results_are_the_mart(demo: Loop) -> None:
    """`tailrace results` sums what `message_results` has, by what it is asked for."""
    by_channel = {row["channel"]: row["sent"] for row in _ran(demo.settings, "results", "--by", "channel", "--json")}
    mart = demo.rows("select channel, sum(sent) as sent from message_results group by channel")
    assert by_channel == {row["channel"]: row["sent"] for row in mart}
    assert by_channel.keys() >= {"email", "push"}


def _ran(settings: Settings, *command: str) -> Any:
    """What a command says as JSON."""
    ran = subprocess.run(
        [sys.executable, "-m", "orchestration", *command],
        cwd=ROOT,
        env={**os.environ, **child(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.slow
def test_every_link_out_is_alive(demo: Loop) -> None:
    """Links of messages that were sent open at the gateway, whatever has happened since; another is not found."""
    with local_recorder.running(demo.settings) as recorded, local_gateway.running(recorded) as here:
        lines = map(json.loads, httpx.get(f"{here.recorder}/_received").text.splitlines())
        texts = [row["payload"]["text"] for row in lines if row["sync"].startswith("offers/message_outbox/")]
        links = {link for text in texts for link in re.findall(r"http://127\.0\.0\.1:\d+/\S+", text)}
        assert len(links) >= 2 * len(texts) > 20
        for link in sorted(links)[:40]:
            page = httpx.get(link)
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), link
        assert httpx.get(min(links)[:-2] + "AA").status_code == 404


@pytest.mark.slow
def test_a_cart_is_brought_to_mind_unless_the_order_came(demo: Loop) -> None:
    """No reminder is about a cart whose order was known to have come within its four hours."""
    reminded = demo.rows(
        "select json_extract_string(run.properties, '$.cart_id') as cart_id, run.entered_at from journey_transition as "
        "sent inner join journey_run as run on sent.run_id = run.run_id "
        "where sent.journey = 'cart_recovery' and sent.detail = 'cart_reminder'"
    )
    ordered = {
        row["cart_id"]: row["occurred_at"]
        for row in demo.rows(
            "select json_extract_string(properties, '$.cart_id') as cart_id, occurred_at, known_at from events "
            "where name = 'Order Completed' and known_at <= occurred_at + interval '1 day'"
        )
    }
    in_time = [
        row
        for row in reminded
        if row["cart_id"] in ordered and ordered[row["cart_id"]] <= row["entered_at"] + timedelta(hours=4)
    ]
    assert reminded
    assert not in_time


@pytest.mark.slow
def test_the_demo_again_sends_nothing(demo: Loop) -> None:
    """Running the demo a second time delivers no row."""
    _, days = demonstration.run(demo.settings, people=500, days=30, seed=7, tell=lambda *_: None)
    assert [day.sent for day in days] == [0]


@pytest.mark.slow
def test_what_the_readme_says_next_works(demo: Loop) -> None:
    """The commands that the README shows after the demo run on what the demo made, as they are written there."""
    typed = (ROOT / "README.md").read_text().split("```sh\n")[2].split("```")[0].splitlines()
    commands = [shlex.split(line, comments=True) for line in typed if line.startswith(".venv/bin/tailrace ")]
    assert [command[1] for command in commands] == ["status", "plan", "sql"]
    for command in commands:
        ran = subprocess.run(
            [sys.executable, "-m", "orchestration", *command[1:]],
            cwd=ROOT,
            env={**os.environ, **child(demo.settings)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), command
        assert len(ran.stdout.splitlines()) > 1, command
