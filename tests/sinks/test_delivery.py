"""The one loop, against the shipped recorder in its own process: what is received is what the receipts say."""

import logging
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import polars as pl
import pytest

from models.delivery import Outcome, Summary
from models.errors import NeedsPerson, StorageFull
from models.settings import Settings
from models.steps import STEPS
from models.sync import Op
from sinks.base import Fault
from sinks.http import deliver
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.recorder import RecorderOptions, RecorderSink
from sinks.transport import Lost, NotSent
from sinks.webhook import WebhookOptions, WebhookSink
from sinks.writer import Writer
from tests.sinks.desk import AT, CHECKOUT, HASTY, Desk, Recorder, Scripted, people


def crm(**options: object) -> RecorderSink:
    given = {"rows": 5, "connections": 2} | options
    return RecorderSink(RecorderOptions(**given), {"token": "dev-token"})


def hook(**options: object) -> WebhookSink:
    given = {"url": "https://hooks.example/in", "connections": 2} | options
    return WebhookSink(WebhookOptions(**given), {"signing": "dev-signing"})


@pytest.mark.stores
def test_every_row_arrives_once_and_has_a_receipt(desk: Desk, recorder: Recorder) -> None:
    """On a good day each row is received once, in requests no larger than the limit, and accepted."""
    summary = desk.deliver(crm(), people(23))
    assert (summary.counts, summary.unsent, summary.stopped) == ({"accepted": 23}, 0, None)
    received = recorder.received("crm/seg_test")
    assert sorted(row["identity"] for row in received) == sorted(f"person{n}@shop.example" for n in range(23))
    assert max(Counter(row["request"] for row in received).values()) == 5
    assert desk.last() == dict.fromkeys(range(23), "accepted")


@pytest.mark.stores
def test_removes_settle_before_upserts_begin(desk: Desk, recorder: Recorder) -> None:
    """Whatever the connections do, no upsert is received before the last remove."""
    recorder.behave(latency=0.01)
    desk.deliver(crm(rows=1, connections=8), people(20, Op.REMOVE).vstack(people(20, Op.UPSERT, first=20)))
    assert [row["op"] for row in recorder.received()] == ["remove"] * 20 + ["upsert"] * 20


def test_a_whole_batch_refusal_is_split_until_the_bad_rows_stand_alone(desk: Desk, recorder: Recorder) -> None:
    """Two bad rows of forty are rejected with the vendor's reason; the other thirty-eight go."""
    bad = {"person7@shop.example", "person31@shop.example"}
    recorder.behave(reject=[{"where": {"email": email}, "whole": True, "reason": "bad address"} for email in bad])
    summary = desk.deliver(crm(rows=40), people(40))
    assert summary.counts == {"accepted": 38, "rejected": 2}
    assert set(recorder.identities()) == {f"person{n}@shop.example" for n in range(40)} - bad
    last = sorted(desk.receipts().to_pylist(), key=lambda row: row["seq"])
    assert {row["row"]: row["reason"] for row in last if row["outcome"] == "rejected"} == dict.fromkeys(
        (7, 31), "bad address"
    )


def test_too_large_is_split_too(desk: Desk, recorder: Recorder) -> None:
    """A 413 halves the batch like any refusal of the whole."""
    recorder.behave(rules=[{"do": "too_large", "at": [1, 2]}])
    assert desk.deliver(crm(rows=8, connections=1), people(8)).counts == {"accepted": 8}
    assert max(Counter(row["request"] for row in recorder.received()).values()) <= 4


def test_rows_rejected_in_a_taken_batch_freeze_nobody_else(desk: Desk, recorder: Recorder) -> None:
    """Partial failures are per row."""
    recorder.behave(seed=3, reject=[{"share": 0.3, "reason": "invalid"}])
    summary = desk.deliver(crm(), people(50))
    assert summary.counts["accepted"] + summary.counts["rejected"] == 50
    assert Counter(desk.last().values()) == summary.counts
    assert len(recorder.received()) == summary.counts["accepted"]


@pytest.mark.parametrize("fault", ["lose", "cut", "garbage", "empty", "html", "error", "late_error", "duplicate"])
def test_an_idempotent_operation_is_tried_again_whatever_happened(desk: Desk, recorder: Recorder, fault: str) -> None:
    """A lost, garbled or failed answer ends accepted in the same run; the receipts say unknown in between."""
    recorder.behave(rules=[{"do": fault, "at": [2]}])
    summary = desk.deliver(crm(connections=2), people(20))
    assert summary.counts == {"accepted": 20}
    assert set(recorder.identities()) == {f"person{n}@shop.example" for n in range(20)}
    if fault != "duplicate":
        assert Counter(desk.receipts()["outcome"].to_pylist()) == {"accepted": 20, "unknown": 5}


@pytest.mark.parametrize("fault", ["lose", "cut", "html", "error", "late_error"])
def test_a_message_of_unknown_fate_is_never_sent_twice(desk: Desk, recorder: Recorder, fault: str) -> None:
    """On a non-idempotent operation what may have been processed is unknown, listed, and left alone."""
    recorder.behave(rules=[{"do": fault, "at": [2, 5]}])
    summary = desk.deliver(hook(), people(12, Op.SEND), sync="hook/seg_test")
    assert summary.counts == {"accepted": 10, "unknown": 2}
    assert max(Counter(recorder.identities()).values()) == 1
    received = set(recorder.identities())
    last = desk.last()
    assert {f"person{row}@shop.example" for row, outcome in last.items() if outcome == "accepted"} <= received


@pytest.mark.parametrize("wait", ["retry-after", "retry-after-date", "reset-epoch", "reset-seconds", "none"])
def test_a_throttling_vendor_is_waited_for(desk: Desk, recorder: Recorder, wait: str) -> None:
    """A 429 is certainly not processed: even a message is sent again, after the wait in any of its dialects."""
    recorder.behave(rules=[{"do": "throttle", "times": 3, "wait": wait, "seconds": 0.05}])
    patient = replace(HASTY, throttled_seconds=20)
    summary = desk.deliver(hook(), people(10, Op.SEND), sync="hook/seg_test", patience=patient)
    assert summary.counts == {"accepted": 10}
    assert max(Counter(recorder.identities()).values()) == 1


def test_a_vendor_that_throttles_for_ever_stops_the_run(desk: Desk, recorder: Recorder) -> None:
    """Past the run's patience the rest is left for the next run, as `retry`, and the summary says why."""
    recorder.behave(rules=[{"do": "throttle", "seconds": 3600}])
    summary = desk.deliver(crm(), people(20))
    assert "throttles" in str(summary.stopped)
    assert summary.counts.get("retry", 0) + summary.unsent == 20
    assert not recorder.received()


@pytest.mark.parametrize("fault", ["unauthorised", "forbidden"])
def test_a_refused_account_stops_the_sync_at_once(desk: Desk, recorder: Recorder, fault: str) -> None:
    """After 401 or 403 no further claim is made; the rows are certainly not processed."""
    recorder.behave(rules=[{"do": fault, "after": 1}])
    summary = desk.deliver(crm(connections=1), people(50))
    assert summary.counts == {"accepted": 5, "retry": 5}
    assert summary.unsent == 40
    assert "refuses the account" in str(summary.stopped)


def test_500_for_ever_ends_after_as_many_unknowns_as_connections(desk: Desk, recorder: Recorder) -> None:
    """Each batch is tried as often as patience allows, then the run stops instead of walking through everything."""
    recorder.behave(rules=[{"do": "error"}])
    summary = desk.deliver(crm(connections=2), people(500))
    assert "in a row ended as unknown" in str(summary.stopped)
    assert set(summary.counts) <= {"unknown", "retry"}  # a batch claimed as the run stopped was not sent
    assert 10 <= sum(summary.counts.values()) <= 20
    assert sum(summary.counts.values()) + summary.unsent == 500


def test_doubt_stays_until_something_is_known(offline: Desk) -> None:
    """A row that may have been processed and is then throttled for good ends unknown, not `retry`."""

    def answer(_request: httpx.Request, ordinal: int) -> httpx.Response:
        return httpx.Response(500 if ordinal == 1 else 429, headers={"retry-after": "3600"} if ordinal > 1 else {})

    summary = offline.deliver(crm(rows=5, connections=1), people(5), transport=Scripted(answer))
    assert summary.counts == {"unknown": 5}
    assert "throttles" in str(summary.stopped)
    assert set(offline.last().values()) == {"unknown"}


def test_as_many_unknown_messages_in_a_row_as_connections_stop_the_sync(desk: Desk, recorder: Recorder) -> None:
    """A vendor that loses every answer hears at most two rounds of messages."""
    recorder.behave(rules=[{"do": "lose"}])
    summary = desk.deliver(hook(connections=3), people(100, Op.SEND), sync="hook/seg_test")
    assert 3 <= summary.counts["unknown"] <= 6
    assert sum(summary.counts.values()) + summary.unsent == 100
    assert len(recorder.received()) == summary.counts["unknown"]


def test_a_slow_vendor_is_given_up_after_the_time_out(desk: Desk, recorder: Recorder) -> None:
    """A message answered too late is unknown, not sent again."""
    recorder.behave(rules=[{"do": "slow", "at": [1], "seconds": 2}])
    summary = desk.deliver(hook(timeout=0.3), people(4, Op.SEND), sync="hook/seg_test")
    assert summary.counts == {"accepted": 3, "unknown": 1}


def test_nobody_listening_claims_nothing(desk: Desk) -> None:
    """Without a recorder in dev the run says how to start one and the journal stays empty."""
    desk.settings = replace(desk.settings, recorder="http://127.0.0.1:9")
    with pytest.raises(NeedsPerson, match="tailrace recorder"):
        desk.deliver(crm(), people(3))
    assert desk.journal.begin_fold(AT) is None


def test_refused_connections_are_certainly_not_processed(offline: Desk) -> None:
    """A message whose connection was refused is tried again and ends as `retry`, never as unknown."""

    def refuse(_request: httpx.Request, _ordinal: int) -> httpx.Response:
        raise NotSent("ConnectError: refused")

    summary = offline.deliver(hook(), people(10, Op.SEND), transport=Scripted(refuse))
    assert set(summary.counts) == {"retry"}
    assert summary.stopped
    assert set(offline.last().values()) == {"retry"}


@pytest.mark.stores
def test_a_paused_sync_stops_at_its_next_claim(offline: Desk) -> None:
    """Pausing from another process holds what is not claimed yet; what is in flight is finished."""

    def pause(request: httpx.Request, ordinal: int) -> httpx.Response:
        if ordinal == 3:
            with Journal(offline.journal.place) as other:
                other.pause("crm/seg_test", AT)
        return RecorderSink.simulate(request, Fault()).response

    summary = offline.deliver(crm(rows=1, connections=1), people(10), transport=Scripted(pause))
    assert summary.stopped == "paused (crm/seg_test)"
    assert summary.counts["accepted"] == 3
    assert summary.unsent == 7


@pytest.mark.stores
def test_a_contact_suppressed_after_the_plan_is_withdrawn(desk: Desk, recorder: Recorder) -> None:
    """Who unsubscribes between plan and claim is not sent to, and has a receipt that says so."""
    since = desk.journal.suppression_position()
    desk.journal.suppress([("hash3", "marketing", AT)])
    contacts = [f"hash{number}" for number in range(10)]
    summary = desk.deliver(crm(), people(10, _contact=contacts), purpose="marketing", suppressed_from=since)
    assert summary.counts == {"accepted": 9, "withdrawn": 1}
    assert "person3@shop.example" not in recorder.identities()
    assert desk.last()[3] == "withdrawn"


@pytest.mark.stores
def test_a_message_withdrawn_before_its_claim_is_not_sent(desk: Desk, recorder: Recorder) -> None:
    """The withdrawal came first, so it wins."""
    desk.journal.withdraw(["key4"], "left the segment", AT)
    keys = [f"key{number}" for number in range(6)]
    summary = desk.deliver(hook(), people(6, Op.SEND, _send_key=keys), sync="hook/seg_test")
    assert summary.counts == {"accepted": 5, "withdrawn": 1}
    assert "person4@shop.example" not in recorder.identities()


@pytest.mark.stores
@pytest.mark.parametrize("rows", [1, 4])
def test_a_message_that_may_be_heard_twice_is_tried_again_under_its_own_key(offline: Desk, rows: int) -> None:
    """After a lost answer an idempotent message goes again and ends accepted; its key stays taken."""

    def answer(_request: httpx.Request, ordinal: int) -> httpx.Response:
        return httpx.Response(503 if ordinal in {2, 3} else 200)

    sink = hook(idempotent={"send": True}, rows=rows, connections=1)
    messages = people(8, Op.SEND, _send_key=[f"key{number}" for number in range(8)])
    assert offline.deliver(sink, messages, transport=Scripted(answer)).counts == {"accepted": 8}
    assert set(offline.last().values()) == {"accepted"}
    assert offline.deliver(sink, messages, transport=Scripted(answer)).counts == {"withdrawn": 8}


def test_a_row_larger_than_any_request_is_rejected_without_one(offline: Desk) -> None:
    """A row that cannot leave is rejected with its size; the rows around it go."""
    scripted = Scripted(lambda request, _: RecorderSink.simulate(request, Fault()).response)
    rows = people(5).with_columns(note=pl.Series(["x", "y", "z" * 2_000_000, "é" * 10, "w"]))
    summary = offline.deliver(crm(rows=500), rows, transport=scripted)
    assert summary.counts == {"accepted": 4, "rejected": 1}
    assert all(len(request.content) <= 1_000_000 for request in scripted.requests)


def test_a_full_journal_raises_and_what_was_received_was_claimed(desk: Desk, recorder: Recorder) -> None:
    """When the journal finds no space StorageFull is raised, and every row received has its claim on the disk."""
    pages = desk.journal._value("pragma page_count")
    opened = desk.open(people(2000))
    writer = Writer(desk.journal)
    writer._connection.execute(f"pragma max_page_count = {pages + 3}")
    with pytest.raises(StorageFull, match="nothing is lost"):
        desk.run(crm(rows=1), opened, writer=writer)
    desk.journal.abandon(desk.delivery.run_id, AT)
    assert 0 < len(recorder.received()) < 2000
    known = {f"person{row}@shop.example" for row in desk.last()}
    assert set(recorder.identities()) <= known


def test_steps_are_said_in_the_order_they_become_durable(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Each request says claimed, sent, answered, received; the spool says spooled before all of them."""
    caplog.set_level(logging.INFO, logger="tailrace.step")
    desk.deliver(crm(connections=1), people(10))
    said = [record.getMessage() for record in caplog.records]
    assert set(said) <= set(STEPS)
    assert said[0] == "spooled"
    assert [name for name in said[1:] if name != "received"][:3] == ["claimed", "sent", "answered"]
    assert Counter(said) == {"spooled": 1, "claimed": 2, "sent": 2, "answered": 2, "received": 2}
    assert not any("@" in str(record.__dict__.get("fields")) for record in caplog.records)


def test_a_lost_answer_has_its_cause_in_the_receipt_and_no_person_in_the_summary(offline: Desk) -> None:
    """Vendors' words stay in receipts; what is shown and logged is ours."""

    def answer(_request: httpx.Request, _ordinal: int) -> httpx.Response:
        return httpx.Response(401, text="no account for person1@shop.example")

    summary = offline.deliver(crm(), people(5), transport=Scripted(answer))
    assert "person1" not in str(summary.stopped)
    assert "person1" in offline.receipts()["reason"].to_pylist()[0]


def test_what_is_tried_again_carries_the_same_key(offline: Desk) -> None:
    """The same rows of a run keep their idempotency key through every attempt."""

    def answer(request: httpx.Request, ordinal: int) -> httpx.Response:
        if ordinal < 3:
            raise Lost("reset")
        return RecorderSink.simulate(request, Fault()).response

    scripted = Scripted(answer)
    assert offline.deliver(crm(rows=5, connections=1), people(5), transport=scripted).counts == {"accepted": 5}
    assert len({request.headers["Idempotency-Key"] for request in scripted.requests}) == 1
    assert len(scripted.requests) == 3


def test_outcome_counts_match_the_receipts(desk: Desk, recorder: Recorder) -> None:
    """Under mixed faults the summary, the last receipts and the receiver agree."""
    recorder.behave(
        seed=5,
        rules=[
            {"do": "lose", "share": 0.1},
            {"do": "error", "share": 0.1},
            {"do": "throttle", "share": 0.1, "seconds": 0.01},
        ],
        reject=[{"share": 0.05, "whole": True}, {"share": 0.05}],
    )
    summary = desk.deliver(crm(connections=8), people(300))
    assert summary.stopped is None
    last = desk.last()
    assert Counter(last.values()) == summary.counts
    accepted = {f"person{row}@shop.example" for row, outcome in last.items() if outcome == Outcome.ACCEPTED}
    assert accepted <= set(recorder.identities())


@pytest.mark.stores
def test_two_syncs_share_a_journal_and_an_account(desk: Desk, recorder: Recorder) -> None:
    """Deliveries of two syncs at once, in two threads, keep their receipts apart and the account's pace together."""
    sinks = [crm(per_second=200), crm(per_second=200, audience="other")]
    limiters = Limiters(seed=1)
    opened = []
    for sync in ("crm/seg_a", "crm/seg_b"):
        spool = desk.open(people(100), sync=sync)
        opened.append((spool, desk.delivery))

    def run(number: int) -> Summary:
        spool, delivery = opened[number]
        with Journal(desk.journal.place) as journal:
            return deliver(
                sinks[number], spool, delivery, journal, settings=desk.settings, key=["email"], limiters=limiters
            )

    started = time.monotonic()
    with ThreadPoolExecutor() as threads:
        summaries = list(threads.map(run, range(2)))
    assert [summary.counts for summary in summaries] == [{"accepted": 100}] * 2
    assert time.monotonic() - started >= (40 - 2) / 200
    fold = desk.journal.begin_fold(AT)
    assert fold
    told: Counter[str] = Counter()
    for delivery, table in desk.journal.receipts(fold):
        told[delivery.sync] += len(table)
    assert told == {"crm/seg_a": 100, "crm/seg_b": 100}
    assert len(recorder.received("crm/seg_a")) == len(recorder.received("crm/seg_b")) == 100


INTERRUPTED = """
import pathlib, sys
from models.settings import Settings
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.recorder import RecorderOptions, RecorderSink
from tests.sinks.desk import Desk, people
home = pathlib.Path(sys.argv[1])
settings = Settings(home, home, recorder=sys.argv[2])
desk = Desk(settings, Journal(settings.journal))
sink = RecorderSink(RecorderOptions(rows=1, connections=4), {"token": "dev-token"})
print("begun", flush=True)
desk.deliver(sink, people(5000))
"""


def test_an_interrupted_run_reads_what_is_in_flight(tmp_path: Path, recorder: Recorder) -> None:
    """Ctrl-C claims nothing more, and every request that left gets its receipt: nothing is in doubt."""
    recorder.behave(latency=0.05)
    home = tmp_path / "child"
    line = [sys.executable, "-c", INTERRUPTED, str(home), recorder.url]
    child = subprocess.Popen(line, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not recorder.received():
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in told
    with Journal(Settings(home, home).journal) as journal:
        assert journal.abandon("run1", AT) == 0
        fold = journal.begin_fold(AT)
        assert fold
        outcomes = Counter(value for _, table in journal.receipts(fold) for value in table["outcome"].to_pylist())
    assert outcomes["accepted"] == len(recorder.received())
    assert set(outcomes) <= {"accepted", "retry"}
