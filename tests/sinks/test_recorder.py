"""The shipped vendor: it keeps what it answered for, does what it is told, and reports what people did."""

import json
import re
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from models.errors import NeedsPerson
from models.sync import Op
from sinks.recorder import RecorderOptions, RecorderSink
from sinks.recorder_behaviour import Feedback, Rates
from sinks.recorder_outcomes import outcomes
from sinks.recorder_server import serve
from sinks.webhook import WebhookOptions, WebhookSink
from tests import recorders
from tests.sinks.desk import Desk, Recorder, people


def crm(**options: object) -> RecorderSink:
    return RecorderSink(RecorderOptions(**{"rows": 10, "connections": 2} | options), {"token": "dev-token"})


def test_a_received_row_is_one_line(desk: Desk, recorder: Recorder) -> None:
    """Sync, op, identity, payload and request are there, the payload as it was sent."""
    desk.deliver(crm(), people(1))
    (line,) = recorder.received()
    assert line["payload"] == {"email": "person0@shop.example", "orders": 0}
    assert {key: line[key] for key in ("sync", "op", "identity")} == {
        "sync": "crm/seg_test",
        "op": "upsert",
        "identity": "person0@shop.example",
    }
    assert len(line["request"]) == 32


def test_an_audience_may_have_any_name(desk: Desk, recorder: Recorder) -> None:
    """Spaces, slashes and letters of any script arrive."""
    assert desk.deliver(crm(audience="Lapsed / ünd 日本?x#y"), people(2)).counts == {"accepted": 2}
    assert len(recorder.received()) == 2


def test_the_audience_is_who_was_upserted_and_not_removed_since(desk: Desk, recorder: Recorder) -> None:
    """The last operation of an identity decides; messages are no members."""
    desk.deliver(crm(), people(4))
    desk.deliver(crm(), people(2, Op.REMOVE).vstack(people(1, first=2)))
    desk.deliver(crm(), people(9, Op.SEND))
    audience = httpx.get(f"{recorder.url}/_audience", params={"sync": "crm/seg_test"}).json()
    assert sorted(audience) == ["person2@shop.example", "person3@shop.example"]
    assert httpx.get(f"{recorder.url}/_audience").status_code == 400


def test_a_share_of_a_columns_values_is_refused_whoever_has_them(desk: Desk, recorder: Recorder) -> None:
    """What the vendor has against an address it has against every row with it, and not against the other."""
    same = people(40, plan=["a", "b"] * 20)
    fates = set()
    for seed in range(8):
        recorder.behave(seed=seed, reject=[{"share": 0.5, "of": "plan"}])
        fates.add(desk.deliver(crm(audience=f"of_{seed}"), same).counts.get("rejected", 0))
    assert fates <= {0, 20, 40}
    assert 20 in fates


@pytest.mark.parametrize("fault", ["empty", "garbage"])
def test_an_unreadable_answer_keeps_its_status(desk: Desk, recorder: Recorder, fault: str) -> None:
    """A refused row is not answered 200, whatever else is wrong with the answer."""
    hook = WebhookSink(WebhookOptions(url="https://hook.example/x"), {"signing": "dev-signing"})
    recorder.behave(rules=[{"do": fault}], reject=[{}])
    assert desk.deliver(hook, people(1)).counts == {"rejected": 1}
    assert recorder.received() == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"rules": [{"do": "explode"}]}, "rules.0.do"),
        ({"latenzy": 1}, "latenzy"),
        ({"rules": [{"do": "lose", "share": 2}]}, "rules.0.share"),
        ("not an object", "object"),
    ],
)
def test_a_bad_programme_is_refused_with_its_reason(recorder: Recorder, body: object, told: str) -> None:
    """400 names the key, and the programme before stays."""
    recorder.behave(latency=0.001)
    answer = httpx.put(f"{recorder.url}/_behaviour", json=body)
    assert (answer.status_code, told in answer.json()["error"]) == (400, True)
    assert httpx.get(f"{recorder.url}/_behaviour").json()["latency"] == 0.001


def test_a_wrong_secret_is_refused(desk: Desk, recorder: Recorder) -> None:
    """Authentication is exercised in dev: a sink with another token gets 401 and nothing is kept."""
    sink = RecorderSink(RecorderOptions(connections=1), {"token": "wrong"})
    summary = desk.deliver(sink, people(3))
    assert "refuses the account" in str(summary.stopped)
    assert recorder.received() == []


def test_what_was_answered_survives_a_killed_recorder(desk: Desk, recorder: Recorder) -> None:
    """Another recorder on the same file knows every row, and goes on counting."""
    desk.deliver(crm(), people(20))
    with recorders.running(recorder.db) as again:
        assert Recorder(again.url, recorder.db).identities() == recorder.identities()


def test_a_sink_that_is_not_there_is_told(recorder: Recorder) -> None:
    """A path without a sink of ours is 404 with its name."""
    answer = httpx.post(f"{recorder.url}/nobody/host/x")
    assert (answer.status_code, "nobody" in answer.json()["error"]) == (404, True)


def test_outcomes_are_files_that_repeat_themselves(desk: Desk, recorder: Recorder, tmp_path: Path) -> None:
    """Reporting writes one whole file of what was received since, after each row's clock, never a partial one."""
    folder = tmp_path / "landing" / "outcomes"
    told = {"folder": str(folder), "seed": 7, "rates": {"delivered": 0.9, "opened": 0.5}}
    desk.deliver(crm(), people(50))
    assert httpx.post(f"{recorder.url}/_outcomes", json=told).json()["outcomes"] > 50
    assert httpx.post(f"{recorder.url}/_outcomes", json=told).json() == {"outcomes": 0}
    desk.deliver(crm(), people(5, Op.REMOVE))
    assert httpx.post(f"{recorder.url}/_outcomes", json=told).json() == {"outcomes": 0}
    (file,) = folder.iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    assert {line["event"] for line in lines} >= {"delivered", "bounced", "opened"}
    assert all(line["at"] > "2026-11-01T09:30:00+00:00" and line["email"] for line in lines)
    assert httpx.post(f"{recorder.url}/_outcomes").status_code == 400


def test_the_programme_can_report_by_itself(desk: Desk, recorder: Recorder, tmp_path: Path) -> None:
    """With `outcomes` in the programme, files appear soon after rows came in."""
    recorder.behave(outcomes={"folder": str(tmp_path / "out"), "seed": 1})
    desk.deliver(crm(), people(5))
    for _ in range(100):
        if list((tmp_path / "out").glob("*.ndjson")):
            return
        httpx.get(f"{recorder.url}/_behaviour")
        time.sleep(0.1)
    pytest.fail("no outcomes")


def test_outcomes_follow_from_one_another() -> None:
    """Opens need a delivery, clicks an open; the same row, seed and clock give the same lines with the same ids."""
    rows = [
        (
            number,
            "crm/a",
            "upsert",
            f"p{number}",
            json.dumps({"profile_id": f"p{number}"}),
            "k",
            "2026-11-01T00:00:00+00:00",
            "recorder",
        )
        for number in range(3000)
    ]
    reporting = Feedback(folder="x", seed=3, rates=Rates(unsubscribed=0.1))
    told = [[line["event"] for line in outcomes(row, reporting)] for row in rows]
    assert told == [[line["event"] for line in outcomes(row, reporting)] for row in rows]
    counts = Counter(event for events in told for event in events)
    assert all(("clicked" not in events or "opened" in events) for events in told)
    assert all(("bounced" in events) == ("delivered" not in events) for events in told)
    assert 0.94 < counts["delivered"] / 3000 < 0.99
    assert 0.3 < counts["opened"] / counts["delivered"] < 0.4
    assert 0.07 < counts["unsubscribed"] / counts["delivered"] < 0.13
    first = list(outcomes(rows[0], reporting))
    assert [line["at"] for line in first] == sorted(line["at"] for line in first)


def test_another_file_is_no_recorders(tmp_path: Path) -> None:
    """A database that is not one is refused by path."""
    path = tmp_path / "recorder.sqlite"
    path.write_text("not a database, but long enough to be mistaken for one " * 9)
    with pytest.raises(NeedsPerson, match=re.escape(str(path))):
        serve(0, path)
