"""Machines that share a journal: one runner a sync, who is late sends nothing more, who is cut off doubles nothing."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg2
import pytest

from models.delivery import Claim, Outcome, Outcomes, RowOutcome
from models.errors import NeedsPerson, WarehouseHeld
from models.journal_place import JournalServer
from sinks import leases
from sinks.base import Fault
from sinks.claims import Entry, Receipt, Request
from sinks.journal import Journal
from sinks.leases import OVER, Lease
from sinks.recorder import RecorderSink
from sinks.wire import LineWire
from sinks.writer import Writer
from tests.sinks.cable import laid
from tests.sinks.desk import AT, CHECKOUT, Desk, Recorder, Scripted, letters, people
from tests.sinks.test_delivery import crm
from tests.sinks.test_journal import DELIVERY, claimed, request
from tests.sinks.test_smtp import batch_of, relay, relaying, smtp

pytestmark = pytest.mark.stores("server")

SYNC = "crm/seg_test"
HERE, THERE = "a machine", "another machine"


def expire(place: JournalServer) -> None:
    """As if its time had gone by."""
    with psycopg2.connect(place.url) as connection:
        connection.cursor().execute(f"update {place.schema}.lease set expires_at = clock_timestamp()")


def test_a_sync_has_one_runner(place: JournalServer) -> None:
    """Who comes second is told who has it; whoever has it next has a higher number; another sync is another's."""
    with leases.taken(place, SYNC, HERE) as first:
        told = rf"{SYNC} is held by process {os.getpid()} on .*its lease ends at"
        with pytest.raises(WarehouseHeld, match=told), leases.taken(place, SYNC, THERE):
            pass
        with leases.taken(place, "crm/seg_other", THERE):
            assert set(leases.holders(place)) == {SYNC, "crm/seg_other"}
        assert first
        assert first.outlives(leases.SECONDS - 5)
    with leases.taken(place, SYNC, THERE) as second:
        assert second
        assert (second.epoch, first.outlives(0)) == (first.epoch + 1, False)
    assert leases.holders(place) == {}


def test_a_lease_is_renewed_and_ends_with_its_time(place: JournalServer) -> None:
    """As long as its process lives nobody else gets it; an expired one is not renewed, and another machine's then."""
    with leases.taken(place, SYNC, HERE, seconds=0.6) as first:
        with pytest.raises(WarehouseHeld), leases.taken(place, SYNC, THERE, wait_seconds=1.2):
            pass
        assert first
        assert first.outlives(0.2)
        expire(place)
        with leases.taken(place, SYNC, THERE, seconds=5) as second:
            time.sleep(0.3)
            assert second
            assert (first.outlives(0), second.outlives(1)) == (False, True)


def test_who_is_late_claims_nothing_and_unsays_nothing(place: JournalServer) -> None:
    """Without its lease a run gets no claim; its answers count unless whoever came after has called them unknown."""
    with Journal(place) as journal, leases.taken(place, "crm/seg", HERE) as lease:
        journal.open_delivery(DELIVERY)
        writer = Writer(journal, lease)
        known, lost = claimed(writer, 0, 2), claimed(writer, 2, 3)
        expire(place)
        assert writer.claim(request(5, 1)).stopped == OVER
        writer.receive(known, Outcomes.all(Outcome.ACCEPTED), AT)
        assert journal.abandon("run1", AT) == 1
        entries = [Entry(Receipt(lost, Outcomes.all(Outcome.ACCEPTED), AT), Request(DELIVERY, *_NEXT))]
        assert [grant and grant.stopped for grant in writer.write(entries)] == [OVER]
        writer.close()
        fold = journal.begin_fold(AT)
        assert fold
        told = [(row["row"], row["outcome"]) for _, table in journal.receipts(fold) for row in table.to_pylist()]
    assert told == [(0, "accepted"), (1, "accepted"), (2, "unknown"), (3, "unknown"), (4, "unknown")]


_NEXT = (request(5, 1).op, ((5, 1),), 1, AT)

RUNNER = """
import logging, os, pickle, signal, sys
from sinks import leases
from sinks.journal import Journal
from tests.sinks.desk import Desk, people
from tests.sinks.test_delivery import crm
settings, machine, sleeps_at = pickle.loads(bytes.fromhex(sys.argv[1]))

class Sleep(logging.Handler):
    left = 5

    def emit(self, record):
        self.left -= record.step == sleeps_at
        if not self.left:
            self.left = -1
            os.kill(os.getpid(), signal.SIGSTOP)

logging.getLogger("tailrace.step").setLevel(logging.INFO)
logging.getLogger("tailrace.step").addHandler(Sleep())
place = settings.journal
with Journal(place) as journal, leases.taken(place, "crm/seg_test", machine, seconds=1.5) as lease:
    desk = Desk(settings, journal)
    opened = desk.open(people(2000))
    print(desk.run(crm(rows=1, connections=1, timeout=0.6), opened, lease=lease).stopped, flush=True)
"""


@contextmanager
def runner(desk: Desk, machine: str, sleeps_at: str = "") -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, which sends SIGSTOP to itself at the fifth such step; killed at the end."""
    given = pickle.dumps((desk.settings, machine, sleeps_at)).hex()
    child = subprocess.Popen([sys.executable, "-c", RUNNER, given], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("step", ["claimed", "answered"])
def test_a_runner_that_slept_past_its_lease_sends_nothing_more(desk: Desk, recorder: Recorder, step: str) -> None:
    """It sleeps before a request leaves or an answer counts, wakes when the sync is another's, and says no more."""
    place = desk.settings.journal
    with runner(desk, HERE, step) as child:
        assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
        with leases.taken(place, SYNC, THERE, wait_seconds=10):
            assert desk.journal.abandon("run1", AT) == 1
            before = recorder.identities()
            child.send_signal(signal.SIGCONT)
            out, _ = child.communicate(timeout=30)
            assert (out.strip(), child.returncode) == (OVER, 0)
            assert recorder.identities() == before
    assert before == [f"person{row}@shop.example" for row in range(4 if step == "claimed" else 5)]
    assert desk.last() == {**dict.fromkeys(range(4), "accepted"), 4: "unknown"}


@pytest.mark.parametrize(
    ("seconds", "lost_at", "heard"),
    [(9.0, b"RCPT", [b"EHLO", b"MAIL", b"RCPT"]), (3.5, b"", [b"EHLO"])],
    ids=["lost while it was spoken", "too short for both replies"],
)
def test_a_message_leaves_only_if_the_lease_outlives_all_its_replies(
    place: JournalServer, seconds: float, lost_at: bytes, heard: list[bytes]
) -> None:
    """It is asked for where the conversation begins and just before DATA, for as long as both replies may take."""

    async def said(lease: Lease) -> tuple[Outcomes, list[bytes]]:
        async with relay({}, lambda line: lease.end() if line[:4] == lost_at else None) as (port, lines):
            sink = smtp(port=port, timeout=2.0)
            async with LineWire(sink, None, lease) as wire:
                outcomes = await wire.send(batch_of(sink, {}), Claim(1, "run1", "send", ((0, 1),), 1, "k"))
            return outcomes, [line[:4] for line in lines]

    with leases.taken(place, SYNC, HERE, seconds=seconds) as lease:
        assert lease
        outcomes, lines = asyncio.run(said(lease))
    assert outcomes.default == RowOutcome(Outcome.RETRY, f"not sent: {OVER}")
    assert [line for line in lines if line != b"QUIT"] == heard


def test_a_lease_reaches_as_far_as_the_longest_conversation(offline: Desk) -> None:
    """A relay whose replies may take longer than the lease has it prolonged, and the message leaves."""
    offline.settings = replace(offline.settings, target="prod")
    with relaying({}) as port, leases.taken(offline.journal.place, SYNC, HERE, seconds=2.0) as lease:
        assert lease
        offline.run(smtp(port=port, timeout=30.0), offline.open(letters(1)), lease=lease)
        assert lease.outlives(2 * 30.0)
    assert offline.last() == {0: "accepted"}


def test_who_sleeps_in_the_midst_of_a_commit_holds_up_nobody_for_ever(place: JournalServer) -> None:
    """The server ends a transaction whose process is silent, and then others have their turn; it wakes to an error."""
    with Journal(place) as journal, Journal(place) as other:
        journal.open_delivery(DELIVERY)
        writer = Writer(journal)
        writer._connection.execute("set idle_in_transaction_session_timeout = '300ms'")

        def sleep_in_it() -> None:
            with writer._connection.transaction() as connection:
                assert other.suppress([("a", "marketing", AT)]) == 1
                connection.execute("select 1")

        with pytest.raises(NeedsPerson, match="the connection to the journal was lost"):
            sleep_in_it()
        assert claimed(writer, 0, 1)
        writer.close()


def test_a_lost_machine_holds_nobody_up_for_long(desk: Desk, recorder: Recorder) -> None:
    """After a runner was killed the same machine goes on at once, and another one when the lease is over."""
    place = desk.settings.journal
    with runner(desk, HERE) as child:
        while not recorder.received():
            time.sleep(0.05)
        child.kill()
        child.wait()
        with pytest.raises(WarehouseHeld), leases.taken(place, SYNC, THERE):
            pass
        with leases.taken(place, SYNC, HERE, seconds=0.5):
            pass
    with runner(desk, HERE, "claimed") as child:
        os.waitpid(child.pid, os.WUNTRACED)
        child.kill()
        child.wait()
        began = time.monotonic()
        with leases.taken(place, SYNC, THERE, wait_seconds=10):
            assert time.monotonic() - began < 3


@pytest.mark.parametrize("at", [1, 3])
def test_a_run_that_loses_its_journal_ends_and_doubles_nothing(offline: Desk, journal_url: str, at: int) -> None:
    """Cut off in mid-run it raises what was lost; every row that left has its claim, and at most one is in doubt."""
    left: list[int] = []
    with laid(journal_url) as (cable, url):
        settings = replace(offline.settings, journal_url=url)
        with Journal(settings.journal) as journal, leases.taken(settings.journal, SYNC, HERE) as lease:
            away = Desk(settings, journal)

            def answer(request: httpx.Request, ordinal: int) -> httpx.Response:
                left.append(ordinal)
                if ordinal == at:
                    cable.cut()
                return RecorderSink.simulate(request, Fault()).response

            opened = away.open(people(9))
            with pytest.raises(NeedsPerson, match=r"no PostgreSQL server answers there|connection to the journal"):
                away.run(crm(rows=1, connections=1), opened, transport=Scripted(answer), lease=lease)
    assert left == list(range(1, at + 1))
    assert offline.journal.abandon("run1", AT) == 1
    outcomes = offline.last()
    assert outcomes == {**dict.fromkeys(range(at - 1), "accepted"), at - 1: "unknown"}


def test_a_server_that_was_started_anew_is_found_again(place: JournalServer, tmp_path: Path) -> None:
    """Connections that the server ended are made anew for the next transaction, and for what is only read."""
    with Journal(place) as journal, Journal(place) as other:
        writer = Writer(journal)
        journal.open_delivery(DELIVERY)
        with psycopg2.connect(place.url) as connection:
            ends = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tailrace journal'"
            connection.cursor().execute(f"{ends} and datname = current_database()")
        assert claimed(writer, 0, 1)
        assert journal.suppress([("a", "marketing", AT)]) == 1
        assert other.suppression_position() == 1
        writer.close()
