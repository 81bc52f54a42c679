"""When an account is refused its messages go on by the next destination: once, and only what certainly never left."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.delivery import Summary
from models.quota import Quota
from models.settings import Settings
from models.sync import Op
from sinks.base import Limits, Line, LineSink, Operation, Options, Twin
from sinks.composed import Compose, Composed
from sinks.destinations import Outlet
from sinks.http import deliver
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.recorder import RecorderOptions, RecorderSink
from sinks.transport import LetNobodyIn, Transport
from tests.sinks.desk import AT, HASTY, Desk, Scripted, people
from tests.sinks.vendor import WHAT, Vendor

NAMES = ("mail", "backup", "last")
SYNC = "mail/message_outbox/welcome"
SHUT = "401"  # what a script says of an account that is refused


def account(name: str, **options: object) -> RecorderSink:
    given = {"account": name, "rows": 4, "connections": 2} | options
    return RecorderSink(RecorderOptions(**given), {"token": "dev-token"})  # type: ignore[arg-type]


@dataclass
class Vendors:
    """One vendor an account, told apart by the address of a request."""

    scripts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    requests: list[tuple[str, httpx.Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        sinks = {name: account(name, **self.options.get(name, {})) for name in NAMES}
        self.of = {name: Vendor(sink, list(self.scripts.get(name, ()))) for name, sink in sinks.items()}

    def __call__(self, request: httpx.Request, ordinal: int) -> httpx.Response:
        name = request.url.host.partition(".")[0]
        self.requests.append((name, request))
        vendor = self.of[name]
        if vendor.script[:1] == [SHUT]:
            vendor.script.pop(0)
            return httpx.Response(401, text="no such key")
        return vendor(request, ordinal)

    def heard(self) -> dict[str, int]:
        """Vendor → rows it took."""
        return {name: vendor.taken.total() for name, vendor in self.of.items() if vendor.heard}

    @property
    def taken(self) -> Counter[str]:
        """Identity → how often anybody took it."""
        return sum((vendor.taken for vendor in self.of.values()), Counter[str]())


def messages(count: int, first: int = 0) -> pl.DataFrame:
    keys = [f"key{number}" for number in range(first, first + count)]
    return people(count, Op.SEND, _send_key=keys)


def send(
    desk: Desk,
    vendors: Vendors,
    rows: int | pl.DataFrame = 20,
    *,
    by: Sequence[str] = ("mail", "backup"),
    quotas: Mapping[str, Quota] | None = None,
    compose: Compose | None = None,
) -> Summary:
    """Deliver messages by these destinations, in order."""
    opened = desk.open(messages(rows) if isinstance(rows, int) else rows, sync=SYNC)
    quotas = quotas or {}
    own, *others = [Outlet(name, vendors.of[name].sink, quotas.get(name, Quota())) for name in by]
    return delivered(desk, opened, own, others, transport=Scripted(vendors), compose=compose)


def delivered(
    desk: Desk,
    opened: object,
    own: Outlet,
    others: Sequence[Outlet],
    *,
    transport: Transport | None = None,
    compose: Compose | None = None,
) -> Summary:
    return deliver(
        own.sink,
        opened,  # type: ignore[arg-type]
        desk.delivery,
        desk.journal,
        settings=desk.settings,
        key=["email"],
        limiters=Limiters(seed=1, backoff=HASTY.backoff),
        quota=own.quota,
        failover=others,
        transport=transport,
        compose=compose,
        patience=HASTY,
        seed=1,
    )


def went_by(desk: Desk) -> dict[int, str]:
    """Row → the destination of its last receipt."""
    return {row["row"]: row["sink"] for row in sorted(desk.receipts().to_pylist(), key=lambda row: row["seq"])}


def test_a_refusal_of_the_first_request_sends_all_by_the_next(offline: Desk) -> None:
    """A 401 before anything was taken: every message goes by the second, and the summary says why."""
    vendors = Vendors({"mail": [SHUT] * 2})
    summary = send(offline, vendors)
    assert (summary.counts, summary.unsent, summary.stopped) == ({"accepted": 20}, 0, None)
    assert summary.refused == {"mail": "the vendor refuses the account (401): check the secrets of this destination"}
    assert vendors.heard() == {"backup": 20}
    assert set(went_by(offline).values()) == {"backup"}


def test_a_refusal_in_the_middle_moves_the_rest(offline: Desk) -> None:
    """What the first took stays with it, what it refused and what it never saw goes by the second, each once."""
    vendors = Vendors({"mail": ["ok", "ok", SHUT, SHUT]})
    assert send(offline, vendors, 40).counts == {"accepted": 40}
    assert set(vendors.taken.values()) == {1}
    by = went_by(offline)
    for name in ("mail", "backup"):
        sent = {f"person{row}@shop.example" for row, sink in by.items() if sink == name}
        assert sent == set(vendors.of[name].taken)
    assert vendors.heard()["backup"] >= 24


def test_without_a_next_the_run_stops(offline: Desk) -> None:
    """The last account's refusal is the run's: what did not leave ends as `retry`, or was never claimed."""
    vendors = Vendors({"mail": [SHUT] * 2, "backup": ["ok", SHUT, SHUT]})
    summary = send(offline, vendors)
    assert "refuses the account (401)" in str(summary.stopped)
    assert set(summary.refused) == {"mail"}
    assert summary.counts["accepted"] == vendors.heard()["backup"]
    assert set(summary.counts) <= {"accepted", "retry"}
    assert sum(summary.counts.values()) + summary.unsent == 20
    last = Counter(offline.last().values())
    assert last["accepted"] == summary.counts["accepted"]
    assert last["retry"] == summary.counts.get("retry", 0)


def test_the_third_is_next_after_the_second(offline: Desk) -> None:
    """Two refusals, two steps on: in the order of the list."""
    vendors = Vendors({"mail": [SHUT] * 2, "backup": ["ok", SHUT, SHUT]})
    summary = send(offline, vendors, by=NAMES)
    assert (summary.counts, summary.stopped) == ({"accepted": 20}, None)
    assert list(summary.refused) == ["mail", "backup"]
    assert set(vendors.taken.values()) == {1}


def test_a_used_up_quota_moves_the_rest(offline: Desk) -> None:
    """As many as the first account may be sent go by it; the others by the second, within its own quota."""
    vendors = Vendors()
    summary = send(offline, vendors, quotas={"mail": Quota(per_hour=7), "backup": Quota(per_day=10)})
    assert vendors.heard() == {"mail": 7, "backup": 10}
    assert (summary.counts, summary.unsent) == ({"accepted": 17}, 3)
    assert "7 rows an hour" in summary.refused["mail"]
    assert "10 rows a day" in str(summary.stopped)


def test_the_next_run_begins_with_the_first_again(offline: Desk) -> None:
    """Nothing remembers a refusal: who was refused once is asked again in the next run."""
    vendors = Vendors({"mail": [SHUT] * 2})
    send(offline, vendors)
    send(offline, vendors, messages(4, first=100))
    assert vendors.heard() == {"mail": 4, "backup": 20}


@pytest.mark.parametrize("what", ["lost", "cut", "late 500", "garbage"])
@pytest.mark.parametrize("place", [0, 1])
def test_what_may_have_left_never_moves(offline: Desk, what: str, place: int) -> None:
    """A message of unknown fate stays unknown where it went, whether its account is refused before or after."""
    script = [SHUT, SHUT]
    script.insert(place, what)
    vendors = Vendors({"mail": script})
    assert send(offline, vendors, 12).counts == {"unknown": 4, "accepted": 8}
    assert max(vendors.taken.values()) == 1
    assert vendors.heard()["backup"] == 8


def test_a_refused_address_is_final(offline: Desk) -> None:
    """Whom the first vendor rejected the second is not told of."""
    vendors = Vendors({"mail": ["reject", SHUT, SHUT]}, {"mail": {"connections": 1}})
    assert send(offline, vendors, 12).counts == {"rejected": 1, "accepted": 11}
    assert vendors.heard() == {"mail": 3, "backup": 8}
    assert "person0@shop.example" not in vendors.taken


@pytest.mark.parametrize("script", [["429"] * 3, ["refused"] * 3, ["413"], ["whole"]])
def test_other_troubles_are_no_reason_to_go_on(offline: Desk, script: list[str]) -> None:
    """A vendor that throttles, is not reached or takes no whole batch is tried again; nobody else hears of it."""
    vendors = Vendors({"mail": script})
    summary = send(offline, vendors, 16)
    assert summary.refused == {}
    assert set(vendors.heard()) == {"mail"}


def test_a_paused_channel_holds_every_destination(offline: Desk) -> None:
    """Who pauses the channel while the first account is refused holds the second, too."""
    vendors = Vendors({"mail": [SHUT] * 2})

    def pause(request: httpx.Request, ordinal: int) -> httpx.Response:
        with Journal(offline.journal.place) as other:
            other.pause("channel:email", AT)
        return vendors(request, ordinal)

    opened = offline.open(messages(20), sync=SYNC, scopes=("channel:email",))
    own, other = [Outlet(name, vendors.of[name].sink, Quota()) for name in ("mail", "backup")]
    summary = delivered(offline, opened, own, [other], transport=Scripted(pause))
    assert summary.stopped == "paused (channel:email)"
    assert vendors.heard() == {}


def test_messages_are_composed_once_and_cut_anew(offline: Desk) -> None:
    """The second sink is given the texts that the first was given, in requests as large as its own may be."""
    composed: list[int] = []

    def compose(rows: pl.DataFrame) -> Composed:
        composed.extend(rows["_row"])
        frame = rows.select("email", text=pl.format("{}: text " + str(len(composed)), "email"))
        return Composed(frame, {3: "this version of its text was never kept"})

    options = {"mail": {"rows": 2, "connections": 1}, "backup": {"rows": 500}}
    vendors = Vendors({"mail": ["ok", "ok", SHUT]}, options)
    summary = send(offline, vendors, 40, compose=compose)
    assert summary.counts == {"accepted": 39, "rejected": 1}
    assert sorted(composed) == list(range(40))
    assert {row.payload["text"] for name in NAMES for row in vendors.of[name].heard} == {
        f"person{number}@shop.example: text 40" for number in range(40) if number != 3
    }
    assert [name for name, _ in vendors.requests].count("backup") <= 2  # what was tried, and what was not


def test_a_large_delivery_goes_on_chunk_by_chunk(offline: Desk) -> None:
    """Messages of chunks that the first sink took, made and never read arrive all, once."""
    vendors = Vendors({"mail": ["ok"] * 30 + [SHUT] * 2}, {"mail": {"rows": 100}, "backup": {"rows": 500}})
    summary = send(offline, vendors, 20_000)
    assert (summary.counts, summary.stopped) == ({"accepted": 20_000}, None)
    assert set(vendors.taken.values()) == {1}


class _Closed(LineSink):
    """A mail server that knows nobody."""

    Options = Options

    @property
    def account(self) -> str:
        return "smtp:closed"

    @property
    def limits(self) -> Limits:
        return Limits()

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return {Op.SEND: Operation(idempotent=False)}

    async def connect(self, _twin: Twin | None) -> Line:
        raise LetNobodyIn("535 authentication failed")


def test_a_line_that_lets_nobody_in_is_an_account_that_is_refused(offline: Desk) -> None:
    """Also by its own protocol a vendor's refusal of the account moves the messages."""
    offline.settings = replace(offline.settings, target="prod")
    vendors, opened = Vendors(), offline.open(messages(20), sync=SYNC)
    other = Outlet("backup", vendors.of["backup"].sink, Quota())
    own = Outlet("mail", _Closed(Options(), {}), Quota())
    assert delivered(offline, opened, own, [other], transport=Scripted(vendors)).counts == {"accepted": 20}
    assert vendors.heard() == {"backup": 20}


@contextmanager
def desk() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        here = Settings(project=Path(folder), home=Path(folder))
        with Journal(here.journal) as journal:
            yield Desk(here, journal)


some = st.lists(st.sampled_from([*WHAT, SHUT, "ok"]), max_size=5)
scripts = st.builds(lambda before, after: [*before, SHUT, *after], some, some) | some
shapes = st.fixed_dictionaries({"rows": st.sampled_from([1, 3, 8]), "connections": st.integers(1, 4)})
quotas = st.builds(Quota, st.none() | st.integers(1, 20))


@given(st.tuples(scripts, scripts), st.tuples(shapes, shapes), st.tuples(quotas, quotas))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nobody_is_reached_twice_and_every_doubt_is_told(
    scripts: tuple[list[str], list[str]],
    shapes: tuple[dict[str, object], dict[str, object]],
    quotas: tuple[Quota, Quota],
) -> None:
    """Whatever two vendors do: each message at most once, by whom its receipt says, doubts and rejections final."""
    names = NAMES[:2]
    vendors = Vendors(dict(zip(names, scripts, strict=True)), dict(zip(names, shapes, strict=True)))
    with desk() as here:
        summary = send(here, vendors, 20, quotas=dict(zip(names, quotas, strict=True)))
        assert here.journal.abandon(here.delivery.run_id, AT) == 0
        receipts = sorted(here.receipts().to_pylist(), key=lambda row: row["seq"])
    assert max(vendors.taken.values(), default=0) <= 1
    told = {row: [each for each in receipts if each["row"] == row] for row in {each["row"] for each in receipts}}
    for row, each in told.items():
        person, last = f"person{row}@shop.example", each[-1]
        assert {one["outcome"] for one in each[:-1]} <= {"retry"}  # what is told of it otherwise ends it
        assert [one["sink"] for one in each] == sorted((one["sink"] for one in each), key=names.index)
        taken_by = {name for name in names if person in vendors.of[name].taken}
        assert taken_by <= {last["sink"]}
        assert taken_by or last["outcome"] != "accepted"
        assert not taken_by or last["outcome"] in {"accepted", "unknown"}
    assert set(vendors.taken) <= {f"person{row}@shop.example" for row in told}
    assert Counter(each[-1]["outcome"] for each in told.values()) == summary.counts
    assert len(told) + summary.unsent == 20
    assert summary.stopped or (summary.unsent == 0 and "retry" not in summary.counts)
    assert vendors.of["backup"].heard == [] or "mail" in summary.refused
    for name, quota in zip(names, quotas, strict=True):
        assert quota.per_hour is None or vendors.of[name].taken.total() <= quota.per_hour
