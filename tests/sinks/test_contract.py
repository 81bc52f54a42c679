"""What every sink must do, over all sinks found: limits, refusals, answers of every kind, and the way back.

A new sink needs nothing here: an option without a default shows an example of itself (`examples=[…]`).
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import polars as pl
import pytest
from pydantic import ValidationError

from models.delivery import Outcome, Outcomes
from models.errors import UserError
from models.outcome import Report, Told
from models.sync import Op
from sinks import answers
from sinks.backlog import Chunk, Work, cut
from sinks.base import Batch, BulkSink, Carrier, Fault, HttpSink, Known, Options, Sink
from sinks.recorder_behaviour import Feedback
from sinks.recorder_outcomes import outcomes as reported
from sinks.registry import discover, load
from sinks.reporting import Heard, Reporting
from tests.sinks.desk import AT, CONTACTS, Desk, Scripted, letters, people

SINKS = discover()
EXAMPLES: Mapping[str, dict[str, Any]] = {
    name: {option: field.examples[0] for option, field in kind.Options.model_fields.items() if field.examples}
    for name, kind in SINKS.items()
}


def made(name: str, **options: Any) -> Any:
    """The sink with its dev secrets."""
    kind = SINKS[name]
    given = {option: value for option, value in options.items() if option in kind.Options.model_fields}
    return kind(
        kind.Options(**{**EXAMPLES.get(name, {}), **given}), {secret: f"dev-{secret}" for secret in kind.secrets}
    )


HTTP = sorted(name for name, kind in SINKS.items() if issubclass(kind, HttpSink))
BULK = sorted(name for name, kind in SINKS.items() if issubclass(kind, BulkSink))
OPS = [Op.UPSERT, Op.REMOVE, Op.SEND]


OPERATIONS = [(name, op) for name in HTTP for op in made(name).operations]


def rows(name: str, count: int, op: Op | None = None) -> pl.DataFrame:
    """What a sync of this sink has to send: composed messages where it carries such, else people."""
    channel = SINKS[name].channel
    return letters(count, channel) if channel else people(count, op or first_op(name))


def first_op(name: str) -> Op:
    return next(op for op in OPS if op in made(name).operations)


def names(name: str, wanted: pl.DataFrame) -> list[str]:
    """How the vendor names these rows."""
    return wanted["send_key" if SINKS[name].channel else "email"].to_list()


def batch(sink: Carrier, wanted: pl.DataFrame, op: Op | None = None) -> Batch:
    op = op or Op(wanted["_op"][0])
    chunk = Chunk.of(sink, op, wanted)
    work = Work(chunk, range(len(wanted)))
    key = ("send_key",) if sink.channel else ("email",)
    return Batch("crm/seg", op, "key1", sink.identity(key), AT, work.payloads, chunk.frame, work.offsets)


def logged_in(sink: Any) -> Any:
    """The sink as its vendor knows it."""
    if request := sink.login(AT):
        sink.logged_in(sink.simulate(request, Fault()).response, AT)
    return sink


def walk(sink: Any, sent: Batch) -> tuple[list[Known], Outcomes]:
    """All requests of the batch to the vendor as simulated: what it knows then, and what it said of the rows."""
    known: list[Known] = []
    given: list[httpx.Response] = []
    request = logged_in(sink).request(sent)
    while request is not None:
        heard = sink.simulate(request, Fault())
        known += heard.rows
        given.append(heard.response)
        request = answers.following(sink, sent, given)
    return known, answers.read(sink, sent, given)


def answered(status: int, content: bytes = b"", **headers: str) -> httpx.Response:
    return httpx.Response(status, content=content, headers=headers)


@pytest.mark.parametrize("name", sorted(SINKS))
def test_a_sink_says_what_it_is(name: str) -> None:
    """Account, limits, operations, modes and a description are there, and options refuse what they do not know."""
    kind, sink = SINKS[name], made(name)
    assert isinstance(sink, Sink)
    assert sink.name == name
    assert sink.account
    assert sink.limits.rows >= 1
    assert sink.limits.connections >= 1
    assert sink.operations.keys() <= set(OPS)
    assert kind.modes
    assert issubclass(kind.Options, Options)
    with pytest.raises(ValidationError, match="nonsense"):
        kind.Options(**EXAMPLES.get(name, {}), nonsense=1)
    assert all(field.description for field in kind.Options.model_fields.values())
    assert "dev-" not in sink.account


def test_an_unknown_sink_is_refused_with_those_there_are() -> None:
    """The message names every sink."""
    with pytest.raises(UserError, match=r"file.*recorder.*webhook"):
        load("recoder")


@pytest.mark.parametrize(("name", "op"), OPERATIONS)
def test_request_simulate_outcomes_agree(name: str, op: Op) -> None:
    """The vendor as simulated takes the real requests, knows each row by its identity, and all rows are accepted."""
    sink = made(name)
    wanted = rows(name, 7, op).head(sink.limits.rows)
    odd = pl.Series(["é", "日本", '"', "\\", "\n", None, ""]).head(len(wanted))
    wanted = wanted.with_columns(note=odd) if sink.channel is None else wanted.with_columns(text=odd.fill_null("x"))
    sent = batch(sink, wanted, op)
    known, taken = walk(sink, sent)
    assert [row.identity for row in known] == names(name, wanted)
    assert [row.op for row in known] == [op] * len(wanted)
    for row, payload in zip(known, map(json.loads, sent.payloads), strict=True):
        told = ("to", "text") if sink.channel else payload if op is not Op.REMOVE else ("email",)
        assert all(row.payload[column] == payload[column] for column in told if column in row.payload)
        assert row.payload
    assert {taken[offset].outcome for offset in range(len(wanted))} <= {Outcome.ACCEPTED, Outcome.PENDING}


@pytest.mark.parametrize("name", HTTP)
def test_a_request_without_its_secret_is_refused(name: str) -> None:
    """Another secret than the dev one is 401 or 403, or no sink at all, and the vendor knows nothing."""
    kind = SINKS[name]
    assert issubclass(kind, HttpSink)
    try:
        sink = kind(kind.Options(**EXAMPLES.get(name, {})), dict.fromkeys(kind.secrets, "wrong"))
    except UserError:
        return
    heard = sink.simulate(sink.request(batch(sink, rows(name, 1))), Fault())
    assert heard.response.status_code in answers.UNAUTHORISED
    assert heard.rows == ()


@pytest.mark.parametrize("name", HTTP)
def test_rows_the_vendor_rejects_are_rejected_and_no_others(name: str, offline: Desk) -> None:
    """A fault in two rows ends, split or not, with exactly these rejected and the vendor knowing the rest."""
    known: set[str] = set()
    sink, wanted = logged_in(made(name, connections=1)), rows(name, 9)
    all_names = names(name, wanted)
    bad = {all_names[2], all_names[5]}

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = sink.simulate(request, Fault())
        reject = {offset: "bad" for offset, row in enumerate(heard.rows) if row.identity in bad}
        heard = sink.simulate(request, Fault(reject=reject)) if reject else heard
        known.update(row.identity for row in heard.rows)
        return heard.response

    assert offline.deliver(sink, wanted, transport=Scripted(answer)).counts == {"accepted": 7, "rejected": 2}
    assert known == set(all_names) - bad
    assert {row for row, outcome in offline.last().items() if outcome == "rejected"} == {2, 5}


@pytest.mark.parametrize("name", HTTP)
def test_a_batch_refused_as_a_whole_ends_in_single_rows(name: str, offline: Desk) -> None:
    """A vendor that refuses any batch with a bad row in it takes all the good ones in the end."""
    sink, wanted = logged_in(made(name, connections=1)), rows(name, 8)

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = sink.simulate(request, Fault())
        bad = any(row.identity == names(name, wanted)[4] for row in heard.rows)
        return sink.simulate(request, Fault(refuse="no")).response if bad else heard.response

    assert offline.deliver(sink, wanted, transport=Scripted(answer)).counts == {"accepted": 7, "rejected": 1}
    assert offline.last()[4] == "rejected"


@pytest.mark.parametrize("status", [401, 403, 408, 413, 429, 500, 502, 503, 504, 302])
@pytest.mark.parametrize(("name", "op"), OPERATIONS)
def test_statuses_mean_the_same_for_every_sink(name: str, status: int, op: Op) -> None:
    """401 and 403 stop, 429 and its wait are certain, 413 splits, anything else without a clear word is unknown."""
    sink = made(name)
    read = answers.read(sink, batch(sink, rows(name, 3, op), op), [answered(status, b"<html>", **{"retry-after": "9"})])
    expected = {401: Outcome.RETRY, 403: Outcome.RETRY, 413: Outcome.REJECTED, 429: Outcome.RETRY}
    assert read.default.outcome is expected.get(status, Outcome.UNKNOWN)
    assert read.rows == {}
    assert bool(read.stop) == (status in {401, 403})
    assert read.split == (status == 413)
    assert read.throttled == (status == 429)
    assert status not in {429, 503} or read.retry_after == 9


@pytest.mark.parametrize("name", HTTP)
def test_a_page_instead_of_an_answer_is_unknown(name: str) -> None:
    """A proxy's HTML with status 200 is never taken for success."""
    sink = made(name)
    page = answered(200, b"<!DOCTYPE html><html><body>Welcome</body></html>", **{"content-type": "text/html"})
    assert answers.read(sink, batch(sink, rows(name, 3)), [page]).default.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("content", [b"", b"\x00\xff{]", b"null", b"[]", b"{}", b'{"rows": 1, "taken": "x"}', b"17"])
@pytest.mark.parametrize("status", [200, 202, 400, 409, 422])
@pytest.mark.parametrize("name", HTTP)
def test_no_answer_breaks_the_reader(name: str, status: int, content: bytes) -> None:
    """Whatever comes back, every row has an outcome, and nothing is raised."""
    sink = made(name)
    read = answers.read(sink, batch(sink, rows(name, 3)), [answered(status, content)])
    assert all(isinstance(read[offset].outcome, Outcome) for offset in range(3))


@pytest.mark.parametrize("name", HTTP)
def test_requests_keep_the_limits_in_rows_and_bytes(name: str) -> None:
    """Batches are as large as allowed and no larger, in rows and in bytes of text that is not ASCII."""
    sink = made(name)
    wide = pl.Series(["日本語テキスト" * (number % 900 * 20) for number in range(2000)])
    op, where = first_op(name), "text" if sink.channel else "note"
    chunk = Chunk.of(sink, op, rows(name, 2000).with_columns(wide.alias(where)))
    cuts = list(cut(chunk, sink.limits))
    assert [offset for work in cuts for offset in work.offsets] == list(range(2000))
    for work in cuts:
        if work.settled:  # too large for any request
            assert chunk.sizes[work.offsets[0]] > sink.limits.bytes - sink.limits.envelope
            continue
        sent = Batch("crm/seg", op, "k", ("email",), AT, work.payloads, chunk.frame, work.offsets)
        assert len(sent.payloads) <= sink.limits.rows
        assert len(sent.rows) == len(sent.payloads)
        assert len(logged_in(sink).request(sent).content) <= sink.limits.bytes


@pytest.mark.parametrize("name", HTTP)
def test_exactly_full_batches_are_not_cut_further(name: str) -> None:
    """At the limit of rows it is one batch, one over it is two."""
    sink = made(name)
    most = sink.limits.rows
    for count, batches in ((most, 1), (most + 1, 2)):
        assert len(list(cut(Chunk.of(sink, first_op(name), rows(name, count)), sink.limits))) == batches


@pytest.mark.parametrize("name", HTTP)
def test_the_recorder_can_report_on_what_a_sink_sent(name: str) -> None:
    """Request → simulate → outcomes: each row the vendor knows can be reported with the sync it came from."""
    sink = made(name)
    wanted = rows(name, 3).head(sink.limits.rows)
    known, _ = walk(sink, batch(sink, wanted))
    reporting = Feedback(folder="unused", seed=1)
    lines = [
        line
        for ordinal, row in enumerate(known)
        for line in reported(
            (ordinal, "crm/seg", str(row.op), row.identity, json.dumps(dict(row.payload)), "k", AT.isoformat(), name),
            reporting,
        )
    ]
    assert {line["sync"] for line in lines} == {"crm/seg"}
    assert {line["send_key" if sink.channel else "email"] for line in lines} == set(names(name, wanted))


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_sink_takes_a_whole_delivery_and_taking_it_again_changes_nothing(name: str, offline: Desk) -> None:
    """Every row is accepted; the same plan delivered again leaves what the first left."""
    sink = made(name)
    wanted = people(3, Op.REMOVE).vstack(people(5, first=3))
    first = offline.deliver(sink, wanted, plan_id="same")
    left = {path.name: path.read_bytes() for path in offline.settings.out.rglob("*") if path.is_file()}
    assert offline.deliver(sink, wanted, plan_id="same").counts == first.counts == {"accepted": 8}
    assert {path.name: path.read_bytes() for path in offline.settings.out.rglob("*") if path.is_file()} == left
    assert Counter(offline.last().values()) == {"accepted": 8}


REPORTING = sorted(name for name, kind in SINKS.items() if issubclass(kind, Reporting))


def told_by(kind: type[Reporting]) -> list[Heard]:
    """What the vendor would say of one delivery, as the gateway hears it."""
    contact = CONTACTS[kind.channel or "email"].format(0)  # type: ignore[attr-defined]
    report = Report("e1", Told.DELIVERED, AT, send_key=f"{0:032x}", contact=contact)
    url = "https://t.shop.example/webhooks/x"
    return [
        Heard(
            str(request.url),
            {name.lower(): value for name, value in request.headers.items()} | {"x-tailrace-received": AT.isoformat()},
            request.read(),
        )
        for request in kind.tell(url, [report], AT)
    ]


@pytest.mark.parametrize("name", REPORTING)
def test_what_a_vendor_tells_is_believed_and_understood(name: str) -> None:
    """Told with the dev secrets, it is signed, names the message, and says the same when it is told again."""
    kind = SINKS[name]
    assert issubclass(kind, Reporting)
    secrets = {secret: f"dev-{secret}" for secret in kind.webhook_secrets}
    for heard in told_by(kind):
        assert kind.is_signed(heard, secrets, AT)
        (report,) = kind.reports(heard)
        assert (report.told, report.send_key) == (Told.DELIVERED, f"{0:032x}")
        assert [again.event_id for again in kind.reports(heard)] == [report.event_id]


@pytest.mark.parametrize("name", REPORTING)
def test_what_somebody_else_tells_is_not(name: str) -> None:
    """Another body, another secret, no signature or nonsense in its place: all refused, and nothing is raised."""
    kind = SINKS[name]
    assert issubclass(kind, Reporting)
    secrets = {secret: f"dev-{secret}" for secret in kind.webhook_secrets}
    for heard in told_by(kind):
        assert not kind.is_signed(replace(heard, body=heard.body + b" "), secrets, AT)
        assert not kind.is_signed(heard, dict.fromkeys(secrets, "another"), AT)
        assert not kind.is_signed(replace(heard, headers={}), secrets, AT)
        nonsense = dict.fromkeys(heard.headers, "\x00é not a signature")
        assert not kind.is_signed(replace(heard, headers=nonsense), secrets, AT)
