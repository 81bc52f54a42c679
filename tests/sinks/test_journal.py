"""The journal: claims, receipts and folds survive whatever the machine does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from models.delivery import Claim, Delivery, Outcome, Outcomes, RowOutcome
from models.journal_place import JournalServer, Place
from models.sync import Op
from sinks.claims import Entry, Request
from sinks.journal import INTERRUPTED, Journal
from sinks.message_keys import TAKEN
from sinks.suppression import dead
from sinks.writer import SUPPRESSED, Writer
from tests.sinks.desk import AT, CHECKOUT

pytestmark = pytest.mark.stores

DELIVERY = Delivery("run1", "plan1", "crm/seg", 1, 1000, "run1.parquet", AT, AT, purpose="marketing")


@pytest.fixture
def journal(place: Place) -> Iterator[Journal]:
    with Journal(place) as opened:
        opened.open_delivery(DELIVERY)
        yield opened


@pytest.fixture
def writer(journal: Journal) -> Iterator[Writer]:
    opened = Writer(journal)
    yield opened
    opened.close()


def request(first: int, count: int, op: Op = Op.UPSERT, **fields: object) -> Request:
    return Request(DELIVERY, op, ((first, count),), 1, AT, **fields)  # type: ignore[arg-type]


def claimed(writer: Writer, first: int, count: int, op: Op = Op.UPSERT, **fields: object) -> Claim:
    claim = writer.claim(request(first, count, op, **fields)).claim
    assert claim
    return claim


def rows(journal: Journal) -> pa.Table:
    fold = journal.begin_fold(AT)
    assert fold
    return pa.concat_tables([table for _, table in journal.receipts(fold)])


def test_a_journal_keeps_its_id_and_another_has_another(journal: Journal, tmp_path: Path) -> None:
    """The id is made once, is random, and stays with the journal."""
    with Journal(journal.place) as again, Journal(tmp_path / "another.sqlite") as another:
        assert again.id == journal.id != another.id


def test_a_receipt_is_one_row_a_spool_row(journal: Journal, writer: Writer) -> None:
    """Ranges and exceptions expand to every row of the claim, each with its own outcome."""
    claim = claimed(writer, 100, 500)
    writer.receive(
        claim, Outcomes(RowOutcome(Outcome.ACCEPTED), {7: RowOutcome(Outcome.REJECTED, "no such person", "p7")}), AT
    )
    table = rows(journal)
    assert table["row"].to_pylist() == list(range(100, 600))
    assert table.slice(7, 1).to_pylist() == [
        {
            "row": 107,
            "op": "upsert",
            "outcome": "rejected",
            "reason": "no such person",
            "provider_id": "p7",
            "attempt": 1,
            "seq": claim.seq,
            "recorded_at": AT,
            "sink": "",
        }
    ]
    assert table["outcome"].to_pylist().count("accepted") == 499


def test_abandoned_claims_become_unknown_once(journal: Journal, writer: Writer) -> None:
    """A claim without a receipt gets `unknown`, one with a receipt keeps it, and doing it again adds nothing."""
    answered, open_ = claimed(writer, 0, 2), claimed(writer, 2, 3)
    writer.receive(answered, Outcomes.all(Outcome.ACCEPTED), AT)
    assert (journal.abandon("run1", AT), journal.abandon("run1", AT)) == (1, 0)
    table = rows(journal).to_pylist()
    assert [row["outcome"] for row in table] == ["accepted"] * 2 + ["unknown"] * 3
    assert {row["reason"] for row in table if row["seq"] == open_.seq} == {INTERRUPTED}


def test_a_fold_is_the_same_until_it_is_ended(journal: Journal, writer: Writer) -> None:
    """What arrives after a fold began waits for the next; an ended fold stays readable for a restored warehouse."""
    writer.receive(claimed(writer, 0, 5), Outcomes.all(Outcome.ACCEPTED), AT)
    first = journal.begin_fold(AT)
    writer.receive(claimed(writer, 5, 5), Outcomes.all(Outcome.ACCEPTED), AT)
    assert first
    assert journal.begin_fold(AT) == first
    journal.end_fold(first.number, AT)
    second = journal.begin_fold(AT)
    assert second
    assert (second.number, second.first) == (first.number + 1, first.last + 1)
    journal.end_fold(second.number, AT)
    assert journal.begin_fold(AT) is None
    assert journal.folds() == [first, second]
    assert sum(len(table) for fold in journal.folds() for _, table in journal.receipts(fold)) == 10


def test_pruning_keeps_numbers_growing(journal: Journal, writer: Writer) -> None:
    """Old folded receipts go, the latest fold stays, and neither claims nor folds are numbered again."""
    for first in (0, 5):
        last = claimed(writer, first, 5)
        writer.receive(last, Outcomes.all(Outcome.ACCEPTED), AT)
        fold = journal.begin_fold(AT)
        assert fold
        journal.end_fold(fold.number, AT)
    assert journal.prune(AT.replace(year=2027)) == 1
    assert [fold.number for fold in journal.folds()] == [2]
    assert claimed(writer, 10, 5).seq == last.seq + 1


def test_a_renewed_journal_is_another_and_remembers_what_may_not_leave(journal: Journal, writer: Writer) -> None:
    """It has another id and nothing to fold, its runs are over, its claims count on, and messages stay claimed."""
    before, claim = journal.id, claimed(writer, 0, 1, Op.SEND, send_keys=["a"])
    journal.suppress([("a", "marketing", AT)])
    journal.renew(AT)
    assert Journal(journal.place).id == journal.id != before
    assert (journal.begin_fold(AT), journal.folds(), journal.open_deliveries()) == (None, [], [])
    journal.open_delivery(Delivery("run2", "plan2", "crm/seg", 2, 9, "", AT, AT))
    grant = writer.claim(
        Request(Delivery("run2", "", "", 2, 9, "", AT, AT), Op.SEND, ((0, 2),), 1, AT, None, ["a", "b"])
    )
    assert grant.claim
    assert (grant.claim.seq, grant.settled) == (claim.seq + 1, {0: RowOutcome(Outcome.WITHDRAWN, TAKEN)})
    assert journal.suppression_position() == 1


def test_a_renewed_journal_keeps_what_was_not_folded(journal: Journal, writer: Writer) -> None:
    """Receipts after the last fold are folded by the new id; what comes to claims of before is written no more."""
    writer.receive(claimed(writer, 0, 5), Outcomes.all(Outcome.ACCEPTED), AT)
    folded = journal.begin_fold(AT)
    assert folded
    journal.end_fold(folded.number, AT)
    writer.receive(claimed(writer, 5, 5), Outcomes.all(Outcome.ACCEPTED), AT)
    open_, newest = claimed(writer, 10, 5), claimed(writer, 15, 5)
    journal.renew(AT, folded.last)
    for claim in (open_, newest):
        writer.receive(claim, Outcomes.all(Outcome.ACCEPTED), AT)
    assert journal.abandon("run1", AT) == 0
    fold = journal.begin_fold(AT)
    assert fold
    assert [row for _, table in journal.receipts(fold) for row in table["row"].to_pylist()] == [5, 6, 7, 8, 9]
    journal.end_fold(fold.number, AT)
    assert (journal.begin_fold(AT), journal.kept_runs()) == (None, {"run1"})


def test_pause_holds_the_next_claim_and_resume_frees_it(journal: Journal, writer: Writer) -> None:
    """A paused sync, or `all`, is not granted a claim, whichever process paused it."""
    for scope in ("crm/seg", "all"):
        Journal(journal.place).pause(scope, AT)
        assert writer.claim(request(0, 1)).stopped == f"paused ({scope})"
        assert journal.resume(scope, AT)
    assert claimed(writer, 0, 1)
    assert not journal.resume("all", AT)


def test_an_overtaken_or_closed_run_claims_nothing(journal: Journal, writer: Writer) -> None:
    """Once a later epoch of the sync has begun, or the run is closed, no claim is granted."""
    later = Delivery("run2", "plan2", "crm/seg", 2, 1, "run2.parquet", AT, AT)
    journal.open_delivery(later)
    assert writer.claim(request(0, 1)).claim is None
    assert writer.claim(Request(later, Op.UPSERT, ((0, 1),), 1, AT)).claim
    journal.close_delivery("run2", AT)
    assert writer.claim(Request(later, Op.UPSERT, ((0, 1),), 1, AT)).stopped
    assert journal.last_epoch("crm/seg") == 2


def test_who_was_suppressed_since_the_plan_is_withdrawn(journal: Journal, writer: Writer) -> None:
    """Contacts suppressed for the purpose after the plan's position never leave, but a removal of them does."""
    contacts = ["a", "b", None]
    assert journal.suppress([("b", "other", AT), ("a", "marketing", AT)]) == 2
    since = journal.suppression_position()
    planned = Delivery("run1", "plan1", "crm/seg", 1, 9, "", AT, AT, purpose="marketing", suppressed_from=since)
    asked = Request(planned, Op.UPSERT, ((0, 3),), 1, AT, contacts=contacts)
    assert not writer.claim(asked).settled
    assert journal.suppress([("b", "marketing", AT), ("a", "marketing", AT)]) == 1
    grant = writer.claim(asked)
    assert grant.claim
    assert grant.claim.ranges == ((0, 1), (2, 1))
    assert grant.settled == {1: RowOutcome(Outcome.WITHDRAWN, SUPPRESSED)}
    assert writer.claim(Request(planned, Op.REMOVE, ((0, 3),), 1, AT, contacts=contacts)).settled == {}


def test_who_is_dead_gets_nothing_whatever_it_is_for(journal: Journal, writer: Writer) -> None:
    """Nobody who calls a contact point dead has to know of every purpose there is."""
    planned = Delivery("run1", "plan1", "crm/seg", 1, 9, "", AT, AT, purpose="news", suppressed_from=0)
    journal.suppress(dead("a", [], AT))
    grant = writer.claim(Request(planned, Op.SEND, ((0, 2),), 1, AT, contacts=["a", "b"]))
    assert grant.settled == {0: RowOutcome(Outcome.WITHDRAWN, SUPPRESSED)}


def test_a_long_list_holds_up_nobody(journal: Journal, writer: Writer) -> None:
    """While many contacts are added, claims are granted: the journal is never held for all of them."""

    def contacts() -> Iterator[tuple[str, str, datetime]]:
        for number in range(25_000):
            if number % 6_000 == 5_999:
                claimed(writer, number, 1)
            yield f"contact{number}", "marketing", AT

    assert journal.suppress(contacts()) == 25_000


def test_a_message_is_claimed_or_withdrawn_whichever_is_first(journal: Journal, writer: Writer) -> None:
    """Claim and withdrawal insert the same key: the first wins and the other is told."""
    assert journal.withdraw(["left"], "left the segment", AT) == 1
    grant = writer.claim(request(0, 2, Op.SEND, send_keys=["left", "stays"]))
    assert grant.settled == {0: RowOutcome(Outcome.WITHDRAWN, "left the segment")}
    assert journal.withdraw(["left", "stays"], "too late", AT) == 0
    again = writer.claim(request(5, 1, Op.SEND, send_keys=["stays"]))
    assert (again.claim, again.settled) == (None, {0: RowOutcome(Outcome.WITHDRAWN, TAKEN)})


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.REJECTED])
def test_a_message_that_certainly_did_not_leave_is_free_again(
    journal: Journal, writer: Writer, outcome: Outcome
) -> None:
    """After `retry` or `rejected` the key can be claimed or withdrawn again; after anything else it stays taken."""
    keys = ["a", "b", "c"]
    claim = claimed(writer, 0, 3, Op.SEND, send_keys=keys)
    writer.receive(claim, Outcomes(RowOutcome(outcome), {1: RowOutcome(Outcome.UNKNOWN)}), AT)
    assert journal.withdraw(["a", "b"], "", AT) == 1
    claim = claimed(writer, 2, 1, Op.SEND, send_keys=["c"])
    writer.receive(claim, Outcomes(RowOutcome(Outcome.ACCEPTED)), AT)
    assert journal.withdraw(["c"], "", AT) == 0
    assert journal.release(["a", "b"]) == 1
    assert claimed(writer, 1, 1, Op.SEND, send_keys=["b"])


def test_a_message_on_its_way_that_did_not_leave_is_withdrawn_after_all(journal: Journal, writer: Writer) -> None:
    """What was to be taken back while in flight does not go again when the vendor turned it away or did not answer."""
    claim = claimed(writer, 0, 3, Op.SEND, send_keys=["a", "b", "c"])
    assert journal.withdraw(["a", "c"], "left the segment", AT) == 0
    writer.receive(claim, Outcomes(RowOutcome(Outcome.RETRY), {2: RowOutcome(Outcome.UNKNOWN)}), AT)
    grant = writer.claim(request(0, 3, Op.SEND, send_keys=["a", "b", "c"]))
    assert grant.claim
    assert grant.claim.ranges == ((1, 1),)
    assert grant.settled == dict.fromkeys((0, 2), RowOutcome(Outcome.WITHDRAWN, "left the segment"))


def test_release_frees_no_message_that_was_taken_back(journal: Journal, writer: Writer) -> None:
    """Of messages that may have left a person may send again those that nobody took back meanwhile."""
    claim = claimed(writer, 0, 2, Op.SEND, send_keys=["a", "b"])
    assert journal.withdraw(["a"], "left the segment", AT) == 0
    writer.receive(claim, Outcomes.all(Outcome.UNKNOWN), AT)
    assert journal.release(["a", "b"]) == 1
    grant = writer.claim(request(5, 2, Op.SEND, send_keys=["a", "b"]))
    assert grant.claim
    assert grant.claim.ranges == ((6, 1),)
    assert grant.settled == {0: RowOutcome(Outcome.WITHDRAWN, TAKEN)}


CHILD = """
import sys, pathlib, datetime
from models.delivery import Delivery, Outcome, Outcomes
from models.journal_place import JournalServer
from models.sync import Op
from sinks.journal import Journal
from sinks.claims import Request
from sinks.writer import Writer
at = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
given = sys.argv[1:]
journal = Journal(JournalServer(*given) if len(given) > 1 else pathlib.Path(*given))
delivery = Delivery("run1", "plan1", "crm/seg", 1, 1000, "run1.parquet", at, at)
journal.open_delivery(delivery)
writer = Writer(journal)
for row in range(100000):
    claim = writer.claim(Request(delivery, Op.UPSERT, ((row, 1),), 1, at)).claim
    print(f"claimed {row}\\n", end="", flush=True)  # in one piece, whatever the buffering: it is killed any time
    writer.receive(claim, Outcomes.all(Outcome.ACCEPTED), at)
    print(f"received {row}\\n", end="", flush=True)
"""


@pytest.mark.parametrize("after", [1, 2, 7, 40])
def test_a_killed_process_loses_nothing_it_was_told_is_written(place: Place, after: int) -> None:
    """After SIGKILL every claim and receipt that was confirmed is there, and at most one claim has no receipt."""
    given = [place.url, place.schema] if isinstance(place, JournalServer) else [str(place)]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *given], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    told = [child.stdout.readline().split() for _ in range(after)]
    os.kill(child.pid, signal.SIGKILL)
    told += [line.split() for line in child.stdout.read().splitlines()]
    child.wait()
    with Journal(place) as journal:
        unknown = journal.abandon("run1", AT)
        outcomes = {row["row"]: row["outcome"] for row in rows(journal).to_pylist()}
    assert unknown <= 1
    assert {int(row) for _, row in told} <= set(outcomes)
    assert all(outcomes[int(row)] == "accepted" for said, row in told if said == "received")


def test_many_waiting_entries_share_a_commit(journal: Journal, writer: Writer) -> None:
    """Claims posted at once by many connections come back all, each with its own number."""
    grants = writer.write([Entry(request=request(number, 1)) for number in range(200)])
    assert len({grant.claim.seq for grant in grants if grant and grant.claim}) == 200
