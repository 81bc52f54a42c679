"""Quotas and paces of accounts: counted in the claim's transaction, exactly, whoever claims; messages, too."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.delivery import Delivery, Outcome, Outcomes, RowOutcome, Summary
from models.journal_place import Place
from models.quota import Quota, WarmUp
from models.sync import Destination, Op
from sinks.allowances import Allowance
from sinks.base import Sink
from sinks.claims import Entry, Grant, Receipt, Request
from sinks.http import deliver
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.recorder import RecorderOptions, RecorderSink
from sinks.writer import Writer
from tests.sinks.desk import AT, HASTY, Desk, Scripted, people
from tests.sinks.vendor import Vendor

pytestmark = pytest.mark.stores

ACCOUNT = "recorder:demo"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def allowance(quota: Quota, now: datetime = AT, account: str = ACCOUNT) -> Allowance:
    return Allowance(account, quota, None, lambda: now)


@pytest.fixture
def journal(place: Place) -> Iterator[Journal]:
    with Journal(place) as opened:
        yield opened


@pytest.fixture
def writer(journal: Journal) -> Iterator[Writer]:
    opened = Writer(journal)
    yield opened
    opened.close()


def delivery(journal: Journal, sync: str = "crm/seg") -> Delivery:
    """An open delivery of this sync."""
    opened = Delivery(f"run of {sync}", "plan", sync, 1, 100_000, "", AT, AT, purpose="marketing")
    journal.open_delivery(opened)
    return opened


def asked(opened: Delivery, first: int, count: int, given: Allowance | None, **fields: object) -> Request:
    return Request(opened, Op.SEND, ((first, count),), 1, AT, allowance=given, **fields)  # type: ignore[arg-type]


def rows_of(grant: Grant) -> int:
    return grant.claim.count if grant.claim else 0


def receipt(grant: Grant, outcomes: Outcomes) -> Entry:
    """What became of a grant's claim, as a delivery writes it."""
    assert grant.claim
    return Entry(Receipt(grant.claim, outcomes, AT, grant.place))


def used(journal: Journal) -> dict[str, int]:
    """Account → rows that count, of all windows."""
    return dict(journal._all("select account, sum(used) from quota_use group by account"))


# --- warming up


def test_a_warm_up_grows_by_the_same_factor_every_day() -> None:
    """From 50 to 51,200 in ten days it doubles daily; before its first day it is 50, after the last 51,200."""
    first = date(2026, 11, 1)
    quota = Quota(None, 51_200, WarmUp(begins=first, days=10, first=50))
    assert [quota.of_day(first + day * DAY) for day in range(11)] == [50 * 2**day for day in range(11)]
    assert (quota.of_day(first - DAY), quota.of_day(first + 400 * DAY)) == (50, 51_200)


@given(st.integers(1, 10_000), st.integers(0, 10_000_000), st.integers(1, 365))
def test_no_day_of_a_warm_up_is_below_the_one_before(first: int, more: int, days: int) -> None:
    """Whatever its numbers, it begins with `first`, never falls, and is `per_day` once its days are over."""
    quota = Quota(None, first + more, WarmUp(begins=AT.date(), days=days, first=first))
    limits = [quota.of_day(AT.date() + day * DAY) or 0 for day in range(days + 1)]
    assert (limits[0], limits[-1]) == (first, first + more)
    assert limits == sorted(limits)


@pytest.mark.parametrize(
    "given",
    [
        {"warm_up": {"begins": AT.date(), "days": 3, "first": 5}},
        {"per_day": 4, "warm_up": {"begins": AT.date(), "days": 3, "first": 5}},
        {"per_hour": 0},
        {"per_hour": True},
        {"per_day": "many"},
        {"per_day": 9, "warm_up": {"begins": "soon", "days": 3, "first": 5}},
    ],
)
def test_numbers_that_are_no_quota_are_refused(given: dict[str, object]) -> None:
    """A warm-up needs something to grow to, and a quota is a whole number from 1 on."""
    with pytest.raises(ValidationError):
        Destination.model_validate({"sink": "recorder", **given})


# --- in the claim


def test_as_many_rows_as_fit_are_granted_and_then_none(journal: Journal, writer: Writer) -> None:
    """Of ten rows eight find a place, the last two are held with their keys free, and the next claim is told why."""
    opened, given = delivery(journal), allowance(Quota(per_hour=8))
    keys = [f"key{number}" for number in range(10)]
    grant = writer.claim(asked(opened, 0, 10, given, send_keys=keys))
    assert grant.claim
    assert (grant.claim.ranges, list(grant.held), grant.settled) == (((0, 8),), [8, 9], {})
    spent = writer.claim(asked(opened, 8, 2, given, send_keys=keys[8:]))
    assert (spent.claim, spent.stopped) == (None, None)
    assert spent.spent == (
        "quota used up: recorder:demo may be sent 8 rows an hour (per_hour); it is free again at "
        "2026-11-01T10:00:00+00:00, the rest goes then"
    )
    assert journal.withdraw(keys, "", AT) == 2


def test_what_does_not_leave_takes_no_place(journal: Journal, writer: Writer) -> None:
    """Messages that are withdrawn or suppressed at the claim leave their place to those behind them."""
    opened, given = delivery(journal), allowance(Quota(per_day=3))
    journal.withdraw(["key1"], "left the segment", AT)
    journal.suppress([("c", "marketing", AT)])
    keys, contacts = [f"key{number}" for number in range(6)], list("abcdef")
    grant = writer.claim(asked(opened, 0, 6, given, send_keys=keys, contacts=contacts))
    assert grant.claim
    assert (grant.claim.ranges, list(grant.held)) == (((0, 1), (3, 2)), [5])
    assert set(grant.settled) == {1, 2}


def test_every_hour_and_every_day_begins_with_a_whole_quota(journal: Journal, writer: Writer) -> None:
    """An hour gives no more than `per_hour`, its next one again as many, until the day has had `per_day`."""
    opened, quota = delivery(journal), Quota(per_hour=10, per_day=25)
    granted = {}
    for hour in (0, 1, 2, 3, 14, 15):  # from 9:30 on
        grants = [writer.claim(asked(opened, 0, 7, allowance(quota, AT + hour * HOUR))) for _ in range(3)]
        granted[hour] = ([rows_of(grant) for grant in grants], str(grants[-1].spent).partition("may be sent ")[2])
    assert granted == {
        0: ([7, 3, 0], "10 rows an hour (per_hour); it is free again at 2026-11-01T10:00:00+00:00, the rest goes then"),
        1: ([7, 3, 0], "10 rows an hour (per_hour); it is free again at 2026-11-01T11:00:00+00:00, the rest goes then"),
        2: ([5, 0, 0], "25 rows a day (per_day); it is free again at 2026-11-02T00:00:00+00:00, the rest goes then"),
        3: ([0, 0, 0], "25 rows a day (per_day); it is free again at 2026-11-02T00:00:00+00:00, the rest goes then"),
        14: ([0, 0, 0], "25 rows a day (per_day); it is free again at 2026-11-02T00:00:00+00:00, the rest goes then"),
        15: (
            [7, 3, 0],
            "10 rows an hour (per_hour); it is free again at 2026-11-02T01:00:00+00:00, the rest goes then",
        ),
    }


def test_a_warming_account_is_told_so(journal: Journal, writer: Writer) -> None:
    """While it warms up the day's own number holds, and who is held reads that it grows."""
    quota = Quota(per_day=200, warm_up=WarmUp(begins=AT.date(), days=2, first=2))
    opened = delivery(journal)
    days = [[writer.claim(asked(opened, 0, 99, allowance(quota, AT + day * DAY))) for _ in "ab"] for day in range(2)]
    assert [[rows_of(grant) for grant in grants] for grants in days] == [[2, 0], [20, 0]]
    assert "2 rows a day (per_day, warming up)" in str(days[0][1].spent)


def test_syncs_of_one_account_share_its_quota_and_another_account_has_its_own(journal: Journal, writer: Writer) -> None:
    """Two syncs together are granted what the account has; who goes to another account is not held by it."""
    quota = Quota(per_hour=10)
    first, second = delivery(journal, "crm/seg_a"), delivery(journal, "crm/seg_b")
    assert rows_of(writer.claim(asked(first, 0, 6, allowance(quota)))) == 6
    assert rows_of(writer.claim(asked(second, 0, 6, allowance(quota)))) == 4
    assert writer.claim(asked(first, 6, 6, allowance(quota))).spent
    assert rows_of(writer.claim(asked(second, 4, 6, allowance(quota, account="recorder:other")))) == 6
    assert used(journal) == {ACCOUNT: 10, "recorder:other": 6}


def test_what_certainly_was_not_processed_gives_its_place_back(journal: Journal, writer: Writer) -> None:
    """After `retry` a place is free again in the hour it was of; a rejected or doubtful row keeps its own."""
    opened, quota = delivery(journal), Quota(per_hour=4)
    grant = writer.claim(asked(opened, 0, 4, allowance(quota)))
    assert grant.claim
    outcomes = Outcomes(RowOutcome(Outcome.RETRY), {1: RowOutcome(Outcome.REJECTED), 2: RowOutcome(Outcome.UNKNOWN)})
    later = allowance(quota, AT + HOUR)
    assert rows_of(writer.claim(asked(opened, 4, 1, later))) == 1
    writer.write([receipt(grant, outcomes)])
    assert rows_of(writer.claim(asked(opened, 5, 9, allowance(quota)))) == 2
    assert rows_of(writer.claim(asked(opened, 7, 9, later))) == 3


def test_hours_that_nobody_asks_for_are_forgotten(journal: Journal, writer: Writer) -> None:
    """A month of hourly claims leaves three days of windows behind."""
    opened, quota = delivery(journal), Quota(per_hour=4)
    for hour in range(24 * 30):
        writer.claim(asked(opened, hour, 1, allowance(quota, AT + hour * HOUR)))
    assert used(journal)[ACCOUNT] <= 24 * 3


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=30), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_an_account_is_granted_exactly_its_quota(claims: list[tuple[int, bool]], per_hour: int) -> None:
    """Whatever is asked for and whatever fails, as much is granted as fits, and what was sent is what counts."""
    with (
        TemporaryDirectory() as folder,
        Journal(Path(folder) / "journal.sqlite") as journal,
        contextlib.closing(Writer(journal)) as writer,
    ):
        opened, given = delivery(journal), allowance(Quota(per_hour=per_hour))
        sent = 0
        for count, fails in claims:
            grant = writer.claim(asked(opened, 0, count, given))
            assert rows_of(grant) == min(count, per_hour - sent)
            if grant.claim:
                outcome = Outcome.RETRY if fails else Outcome.ACCEPTED
                writer.write([receipt(grant, Outcomes.all(outcome))])
                sent += 0 if fails else rows_of(grant)
        assert used(journal).get(ACCOUNT, 0) == sent


# --- between processes


def begun(journal: Journal, sync: str) -> Delivery:
    """An open delivery, once the other process has opened its own."""
    opened = delivery(journal, sync)
    while len(journal.open_deliveries()) < 2:
        time.sleep(0.001)
    return opened


def claims_of(place: Place, sync: str, quota: Quota) -> tuple[int, int]:
    """In a process of its own: claim until nothing is left, failing now and then; rows granted, and given back."""
    granted = back = 0
    with Journal(place) as journal, contextlib.closing(Writer(journal)) as writer:
        opened, given = begun(journal, sync), allowance(quota)
        for attempt in range(100_000):
            grant = writer.claim(asked(opened, granted, 7, given))
            if grant.claim is None:
                break
            granted += rows_of(grant)
            time.sleep(0.001)  # the other's turn
            if attempt % 3 == 0:
                writer.write([receipt(grant, Outcomes.all(Outcome.RETRY))])
                back += rows_of(grant)
    return granted, back


def paced_of(place: Place, sync: str, per_second: float, count: int) -> list[float]:
    """In a process of its own: when each of so many requests may leave."""
    with Journal(place) as journal, contextlib.closing(Writer(journal)) as writer:
        opened, given = begun(journal, sync), Allowance(ACCOUNT, Quota(), per_second, lambda: AT)
        return [in_its_turn(writer, asked(opened, row, 1, given)).leaves_at for row in range(count)]


def messages_of(place: Place, sync: str, messages: Sequence[str]) -> list[str]:
    """In a process of its own: ask for all of them, a few at a time; those that it was granted."""
    granted: list[str] = []
    with Journal(place) as journal, contextlib.closing(Writer(journal)) as writer:
        opened = begun(journal, sync)
        for first in range(0, len(messages), 5):
            keys = messages[first : first + 5]
            grant = writer.claim(asked(opened, first, len(keys), None, send_keys=keys))
            granted += [key for offset, key in enumerate(keys) if offset not in grant.settled]
            time.sleep(0.001)  # the other's turn
    return granted


def in_its_turn(writer: Writer, request: Request) -> Grant:
    """What a connection does: it asks again when the slot is due."""
    if (grant := writer.claim(request)).is_early:
        time.sleep(max(grant.leaves_at - time.monotonic(), 0))
        return writer.claim(replace(request, slot=grant.leaves_at))
    return grant


def in_processes(work: Callable[..., object], *arguments: Sequence[object]) -> list[object]:
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        return list(processes.map(work, *arguments))


def test_two_processes_are_granted_exactly_the_quota(place: Place) -> None:
    """Two processes at once with one journal: what they got and did not give back is the quota, to the row."""
    quota = Quota(per_hour=2_001, per_day=5_000)
    Journal(place).close()
    done = in_processes(claims_of, [place] * 2, ["crm/seg_a", "crm/seg_b"], [quota] * 2)
    assert sum(granted - back for granted, back in done) == 2_001  # type: ignore[misc]
    assert all(granted for granted, _ in done)  # type: ignore[misc]


def test_two_processes_that_want_the_same_messages_share_them(place: Place) -> None:
    """Asked for by both, from both ends, every message is granted to one of them and to one only."""
    messages = [f"message{number}" for number in range(1_000)]
    Journal(place).close()
    done = in_processes(messages_of, [place] * 2, ["mail/seg", "other/seg"], [messages, messages[::-1]])
    first, second = ([*granted] for granted in done)  # type: ignore[misc]
    assert sorted(first + second) == sorted(messages)
    assert len(first) > 100 < len(second)


def test_two_processes_keep_one_pace(place: Place) -> None:
    """The requests of two processes leave one interval apart, but for one that may make up for a lost slot."""
    interval, apart_by = 0.002, 1e-9 if isinstance(place, Path) else 0.01  # the server's clock is a question away
    Journal(place).close()
    done = in_processes(paced_of, [place] * 2, ["crm/seg_a", "crm/seg_b"], [1 / interval] * 2, [150] * 2)
    slots = sorted(slot for leaves in done for slot in leaves)  # type: ignore[attr-defined]
    for apart in (1, 2, 10, 100):
        assert min(b - a for a, b in zip(slots, slots[apart:], strict=False)) >= (apart - 1) * interval - apart_by


def test_nothing_is_claimed_long_before_it_may_leave(journal: Journal, writer: Writer) -> None:
    """A request that would have to wait is told until when, and takes nothing."""
    opened, given = delivery(journal), Allowance(ACCOUNT, Quota(per_hour=10), 0.5, lambda: AT)
    assert [rows_of(writer.claim(asked(opened, row, 1, given))) for row in (0, 1)] == [1, 1]  # one makes up
    early = writer.claim(asked(opened, 2, 1, given))
    assert (early.is_early, early.claim) == (True, None)
    assert 1 < early.leaves_at - time.monotonic() <= 2
    assert writer._connection.execute("select count(*) from claim").fetchone() == (2,)
    other = writer.claim(asked(opened, 3, 1, given))
    assert other.leaves_at == pytest.approx(early.leaves_at + 2), "who asks later has a later slot"
    held = writer.claim(replace(asked(opened, 2, 1, given), slot=early.leaves_at))
    assert (rows_of(held), held.leaves_at) == (1, early.leaves_at)
    assert writer.claim(asked(opened, 4, 1, given)).leaves_at == pytest.approx(other.leaves_at + 2)


def test_a_pace_of_before_the_machine_was_started_holds_nobody(journal: Journal, writer: Writer) -> None:
    """The monotonic clock begins anew with the machine: a slot that was set later than now is no slot."""
    opened = delivery(journal)
    given = Allowance(ACCOUNT, Quota(), 100, lambda: AT)
    writer.claim(asked(opened, 0, 1, given))
    writer._connection.execute("update pace set next_at = next_at + 1e6, set_at = set_at + 1e6")
    assert writer.claim(asked(opened, 1, 1, given)).leaves_at <= time.monotonic()


# --- a delivery


def crm(**options: object) -> RecorderSink:
    given = {"rows": 4, "connections": 2} | options
    return RecorderSink(RecorderOptions(**given), {"token": "dev-token"})  # type: ignore[arg-type]


def sent(
    desk: Desk, sink: Sink, vendor: Vendor, quota: Quota, *, sync: str = "crm/seg_a", rows: int = 20, at: datetime = AT
) -> Summary:
    """Deliver messages to people who are this sync's own."""
    opened = desk.open(people(rows, Op.SEND, first=1_000 * desk.runs), sync=sync)
    desk.delivery = replace(desk.delivery, as_of=at)
    return deliver(
        sink,
        opened,
        desk.delivery,
        desk.journal,
        settings=desk.settings,
        key=["email"],
        limiters=Limiters(seed=1, backoff=HASTY.backoff),
        quota=quota,
        transport=Scripted(vendor),
        patience=HASTY,
        seed=1,
    )


def test_a_delivery_stops_at_the_quota_and_says_when_it_goes_on(offline: Desk) -> None:
    """What fits is sent, the rest was never claimed, and the summary names the quota, the account and the hour."""
    vendor = Vendor(crm())
    summary = sent(offline, crm(), vendor, Quota(per_hour=13))
    assert (summary.counts, summary.unsent) == ({"accepted": 13}, 7)
    assert "recorder:demo may be sent 13 rows an hour (per_hour)" in str(summary.stopped)
    assert "2026-11-01T10:00" in str(summary.stopped)
    assert vendor.taken.total() == 13


def test_two_syncs_of_one_account_go_on_with_what_is_left(offline: Desk) -> None:
    """The second sync gets the rest of the hour, and in the next hour, by the delivery's own clock, all that it has."""
    vendor, quota = Vendor(crm()), Quota(per_hour=30)
    assert sent(offline, crm(), vendor, quota).counts == {"accepted": 20}
    second = sent(offline, crm(), vendor, quota, sync="crm/seg_b")
    assert (second.counts, second.unsent) == ({"accepted": 10}, 10)
    third = sent(offline, crm(), vendor, quota, sync="crm/seg_b", at=AT + HOUR)
    assert (third.counts, third.stopped) == ({"accepted": 20}, None)


def test_a_quota_that_is_just_enough_stops_nobody(offline: Desk) -> None:
    """As many rows as the quota has all go, also where the network failed on the way."""
    vendor = Vendor(crm(), ["refused", "429", "refused"])
    summary = sent(offline, crm(), vendor, Quota(per_day=20))
    assert (summary.counts, summary.stopped) == ({"accepted": 20}, None)
    assert used(offline.journal) == {ACCOUNT: 20}


def test_without_a_quota_nothing_is_counted(offline: Desk) -> None:
    """An account that may be asked without end leaves no trace beside its claims."""
    assert sent(offline, crm(), Vendor(crm()), Quota()).counts == {"accepted": 20}
    assert used(offline.journal) == {}


def test_a_delivery_keeps_the_pace_of_its_account(offline: Desk) -> None:
    """Ten requests at a hundred a second take nine intervals, but for one that may make up for a lost slot."""
    sink = crm(rows=2, per_second=100)
    begun_at = time.monotonic()
    assert sent(offline, sink, Vendor(sink), Quota()).counts == {"accepted": 20}
    assert time.monotonic() - begun_at >= 8 * 0.01
