"""The demo's nights, outcomes and messages included, show what vendors, files and the oracle say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from assets import configuration, stages, store
from assets.messages.sent import sent
from models.errors import UserError
from models.settings import Settings
from orchestration import demonstration, local_gateway, local_recorder
from orchestration.environment import child
from tests.e2e import independent
from tests.e2e.loop import Loop, check_everything
from tests.journeys import observed
from tests.journeys.oracle import Oracle
from tests.sampling import sampled

ROOT = Path(__file__).parents[2]
NIGHTS = sampled(30, 10)
pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]  # `.ci/run` runs the demo itself, too
OUTCOMES = ("delivered", "opened", "clicked", "bounced", "unsubscribed", "converted")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """What `tailrace demo` does, on 500 people: thirty nights (CI's sample: the last ten) of the whole loop."""
    loop = Loop.at(tmp_path_factory.mktemp("whole"), date(2026, 9, 30))
    ports = (local_recorder.free_port(), local_recorder.free_port())
    recorder, gateway = (f"http://127.0.0.1:{port}" for port in ports)
    loop.settings = replace(loop.settings, recorder=recorder, gateway=gateway)
    _, loop.days = demonstration.run(loop.settings, people=500, days=30, seed=7, nights=NIGHTS, tell=lambda *_: None)
    return loop


def test_the_loop_closes(demo: Loop) -> None:
    """After deliveries and what came of them, everything is what the files with the outcomes hold."""
    check_everything(demo)
    assert demo.value("select count(*) from seg_engaged") > 0


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


def test_journeys_are_where_the_oracle_says(account: Oracle) -> None:
    """All four journeys ran, and people left them in every way that thirty days of a shop bring about."""
    assert {run.journey for run in account.runs} == {"welcome", "cart_recovery", "post_purchase", "win_back"}
    ends = {each.ended for run in account.runs for each in run.transitions}
    assert ends >= {"goal", "exit_step", "exit_condition", "completed"}
    reasons = {decision.reason for decision in account.decisions}
    assert reasons >= {None, "holdout", "global_holdout", "no_contact", "no_consent"}


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


def test_the_demo_again_sends_nothing(demo: Loop) -> None:
    """Running the demo a second time delivers no row."""
    _, days = demonstration.run(demo.settings, people=500, days=30, seed=7, tell=lambda *_: None)
    assert [day.sent for day in days] == [0]


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("README.md", ["status", "plan", "sql"]),
        ("docs/quick-start.md", ["status", "sql", "sql", "plan", "preview", "refresh", "plan"]),
    ],
)
def test_what_the_pages_say_next_works(demo: Loop, page: str, says: list[str]) -> None:
    """The commands that the README and the quick start show after the demo run on what it made, as written there."""
    blocks = [block.split("```")[0] for block in (ROOT / page).read_text().split("```sh\n")[1:]]
    typed = [line for block in blocks for each in block.splitlines() for line in each.split(" && ")]
    commands = [shlex.split(line.removeprefix(".venv/bin/"), comments=True) for line in typed]
    commands = [command[1:] for command in commands if command[:1] == ["tailrace"] and command[-1] != "PLAN_ID"]
    assert [command[0] for command in commands][: len(says)] == says
    for command in commands[: len(says)]:
        ran = subprocess.run(
            [sys.executable, "-m", "orchestration", *command],
            cwd=ROOT,
            env={**os.environ, **child(demo.settings)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), command
        assert len(ran.stdout.splitlines()) > 1, command
