"""Messages whose time passes between plan and claim: past their expiry, or in the quiet hours of their recipient."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import polars as pl
import pytest

from models.delivery import Delivery, Outcome, Outcomes, RowOutcome
from models.sync import Op
from sinks.claims import Grant, Request, Times
from sinks.journal import Journal
from sinks.transport import NotSent
from sinks.webhook import WebhookOptions, WebhookSink
from sinks.writer import EXPIRED, QUIET, Writer
from tests.sinks.desk import AT, Desk, Scripted, people
from tests.sinks.test_file import files, read

pytestmark = pytest.mark.stores

HOUR, SOON = timedelta(hours=1), timedelta(seconds=0.3)
KEYS = ["a", "b", "c", "d"]
KIND = pl.Datetime("us", "UTC")


def hook(**options: object) -> WebhookSink:
    given = {"url": "https://hooks.example/in", "connections": 1} | options
    return WebhookSink(WebhookOptions(**given), {"signing": "dev-signing"})


def messages(expires_at: Sequence[datetime | None], quiet_at: Sequence[datetime | None]) -> pl.DataFrame:
    """Spool rows of messages with these times, and keys `a`, `b` and so on."""
    times = {"_expires_at": pl.Series(expires_at, dtype=KIND), "_quiet_at": pl.Series(quiet_at, dtype=KIND)}
    return people(len(expires_at), Op.SEND, _send_key=KEYS[: len(expires_at)], **times)


def claim(journal: Journal, now: datetime, *, in_doubt: bool = False) -> Grant:
    """Ask for `a` … `d`: at `AT + HOUR` one expires, of another the quiet hours begin, of the third both."""
    delivery = Delivery("run1", "plan1", "crm/seg", 1, 9, "", AT, AT)
    journal.open_delivery(delivery)
    then = AT + HOUR
    times = Times([then, None, then, None], [None, then, then, None], lambda: now)
    asked = Request(delivery, Op.SEND, ((0, 4),), 1, AT, send_keys=KEYS, times=times, in_doubt=in_doubt)
    writer = Writer(journal)
    try:
        grant = writer.claim(asked)
        if grant.claim:
            writer.receive(grant.claim, Outcomes.all(Outcome.RETRY), AT)  # so that the next may have the keys
        return grant
    finally:
        writer.close()


def test_the_claim_looks_at_the_clock(offline: Desk) -> None:
    """From the very moment on it expires a message is withdrawn, and in quiet hours it waits for another run."""
    assert claim(offline.journal, AT + HOUR - timedelta(microseconds=1)).settled == {}
    grant = claim(offline.journal, AT + HOUR)
    expired, quiet = RowOutcome(Outcome.WITHDRAWN, EXPIRED), RowOutcome(Outcome.RETRY, QUIET)
    assert grant.settled == {0: expired, 1: quiet, 2: expired}
    assert grant.claim
    assert grant.claim.ranges == ((3, 1),)
    settled = [row for row in offline.receipts().to_pylist() if row["reason"]]
    assert {(row["row"], row["outcome"], row["attempt"]) for row in settled} == {
        (0, "withdrawn", 0),
        (1, "retry", 0),
        (2, "withdrawn", 0),
    }


def test_what_did_not_leave_has_a_free_key(offline: Desk) -> None:
    """A message that was late may be claimed by the run that plans it again, or be taken back before."""
    claim(offline.journal, AT + HOUR)
    assert offline.journal.withdraw(KEYS, "left the segment", AT) == len(KEYS)


def test_what_may_have_left_stays_in_doubt(offline: Desk) -> None:
    """A late message whose attempt before had no answer does not go again, and is not said to have stayed here."""
    settled = claim(offline.journal, AT + HOUR, in_doubt=True).settled
    assert {offset: (row.outcome, row.reason) for offset, row in settled.items()} == {
        0: (Outcome.UNKNOWN, EXPIRED),
        1: (Outcome.UNKNOWN, QUIET),
        2: (Outcome.UNKNOWN, EXPIRED),
    }


@pytest.mark.parametrize("rows", [1, 2])
def test_a_slow_delivery_mails_nobody_late(offline: Desk, rows: int) -> None:
    """The clock of a delivery in dev goes on from its `as_of`: what it reaches too late does not leave."""

    def answer(_request: httpx.Request, _ordinal: int) -> httpx.Response:
        time.sleep(SOON.total_seconds())
        return httpx.Response(200)

    soon = AT + SOON
    late = messages([soon, None, soon, None], [soon, None, None, soon])
    scripted = Scripted(answer)
    summary = offline.deliver(hook(rows=rows), late, transport=scripted)
    assert (summary.counts, summary.unsent, summary.stopped) == ({"accepted": 2, "withdrawn": 1, "retry": 1}, 0, None)
    assert not any(b"_at" in request.content for request in scripted.requests)
    again = messages([None, None, None, None], [None, None, None, None])
    assert offline.deliver(hook(), again, transport=Scripted(answer)).counts == {"accepted": 2, "withdrawn": 2}


def test_the_real_clock_counts_in_prod(offline: Desk) -> None:
    """Live, a delivery is as late as it really is, whatever its plan is as of."""
    settings = replace(offline.settings, target="prod")
    with Journal(settings.journal) as journal:
        late = messages([AT + HOUR, AT + 3 * HOUR], [None, None])
        scripted = Scripted(lambda _request, _ordinal: httpx.Response(200))
        summary = Desk(settings, journal).deliver(hook(), late, transport=scripted, clock=lambda: AT + 2 * HOUR)
    assert summary.counts == {"withdrawn": 1, "accepted": 1}


@pytest.mark.parametrize(("answer", "outcome"), [(NotSent("refused"), "retry"), (httpx.Response(503), "unknown")])
def test_every_attempt_looks_at_the_clock(offline: Desk, answer: object, outcome: str) -> None:
    """What goes again after a while is late like anything else; where it may have been heard it is unknown."""

    def first(_request: httpx.Request, ordinal: int) -> httpx.Response:
        assert ordinal == 1, "a second request left"
        time.sleep(SOON.total_seconds())
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx.Response)
        return answer

    one = messages([None], [AT + SOON])
    summary = offline.deliver(hook(idempotent={"send": True}), one, transport=Scripted(first))
    assert (summary.counts, summary.stopped) == ({outcome: 1}, None)
    assert [(row["attempt"], row["outcome"]) for row in offline.receipts().to_pylist()] == [(1, outcome), (0, outcome)]


def test_a_late_message_is_not_in_the_file(offline: Desk) -> None:
    """A sink that takes all at once asks the same."""
    rows = messages([AT, None, None], [None, AT, None])
    counts = offline.deliver(files(), rows, plan_id="p").counts
    assert counts == {"accepted": 1, "withdrawn": 1, "retry": 1}
    assert read(offline.settings.out / "crm__seg_test-p.csv")["orders"].to_list() == [2]
