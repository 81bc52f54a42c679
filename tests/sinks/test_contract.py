"""What every sink must do, over all sinks found: limits, refusals, answers of every kind, and the way back.

A new sink needs nothing here: an option without a default shows an example of itself (`examples=[…]`).
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import polars as pl
import pytest
from pydantic import ValidationError

from models.delivery import Outcome
from models.errors import UserError
from models.sync import Op
from sinks import answers
from sinks.backlog import Chunk, Work, cut
from sinks.base import Batch, BulkSink, Fault, HttpSink, Options, Sink, discover, load
from sinks.recorder_behaviour import Reporting
from sinks.recorder_outcomes import outcomes as reported
from tests.sinks.desk import AT, Desk, Scripted, people

SINKS = discover()
EXAMPLES: Mapping[str, dict[str, Any]] = {
    name: {option: field.examples[0] for option, field in kind.Options.model_fields.items() if field.examples}
    for name, kind in SINKS.items()
}
HTTP = sorted(name for name, kind in SINKS.items() if issubclass(kind, HttpSink))
BULK = sorted(name for name, kind in SINKS.items() if issubclass(kind, BulkSink))
OPS = [Op.UPSERT, Op.REMOVE, Op.SEND]


def made(name: str, **options: Any) -> Any:
    """The sink with its dev secrets."""
    kind = SINKS[name]
    given = {option: value for option, value in options.items() if option in kind.Options.model_fields}
    return kind(
        kind.Options(**{**EXAMPLES.get(name, {}), **given}), {secret: f"dev-{secret}" for secret in kind.secrets}
    )


def batch(sink: HttpSink, rows: pl.DataFrame, op: Op = Op.UPSERT) -> Batch:
    chunk = Chunk.of(sink, op, rows)
    work = Work(chunk, range(len(rows)))
    return Batch("crm/seg", op, "key1", sink.identity(("email",)), AT, work.payloads, chunk.frame, work.offsets)


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


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", HTTP)
def test_request_simulate_outcomes_agree(name: str, op: Op) -> None:
    """The vendor as simulated takes the real request, knows each row by its identity, and all rows are accepted."""
    sink = made(name)
    rows = people(7, op).with_columns(note=pl.Series(["é", "日本", '"', "\\", "\n", None, ""]))
    sent = batch(sink, rows.head(min(7, sink.limits.rows)), op)
    heard = sink.simulate(sink.request(sent), Fault())
    assert [row.identity for row in heard.rows] == rows["email"].head(len(heard.rows)).to_list()
    assert [row.op for row in heard.rows] == [op] * len(sent.offsets)
    assert [dict(row.payload) for row in heard.rows] == [json.loads(payload) for payload in sent.payloads]
    taken = answers.read(sink, sent, [heard.response])
    assert {taken[offset].outcome for offset in range(len(sent.offsets))} <= {Outcome.ACCEPTED, Outcome.PENDING}


@pytest.mark.parametrize("name", HTTP)
def test_a_request_without_its_secret_is_refused(name: str) -> None:
    """Another secret than the dev one is 401 or 403, and the vendor knows nothing."""
    kind = SINKS[name]
    assert issubclass(kind, HttpSink)
    sink = kind(kind.Options(**EXAMPLES.get(name, {})), dict.fromkeys(kind.secrets, "wrong"))
    heard = sink.simulate(sink.request(batch(sink, people(1))), Fault())
    assert heard.response.status_code in answers.UNAUTHORISED
    assert heard.rows == ()


@pytest.mark.parametrize("name", HTTP)
def test_rows_the_vendor_rejects_are_rejected_and_no_others(name: str, offline: Desk) -> None:
    """A fault in two rows ends, split or not, with exactly these rejected and the vendor knowing the rest."""
    known: set[str] = set()
    bad = {"person2@shop.example", "person5@shop.example"}
    sink = made(name, connections=1)

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = sink.simulate(request, Fault())
        reject = {offset: "bad" for offset, row in enumerate(heard.rows) if row.identity in bad}
        heard = sink.simulate(request, Fault(reject=reject)) if reject else heard
        known.update(row.identity for row in heard.rows)
        return heard.response

    assert offline.deliver(sink, people(9), transport=Scripted(answer)).counts == {"accepted": 7, "rejected": 2}
    assert known == {f"person{number}@shop.example" for number in range(9)} - bad
    assert {row for row, outcome in offline.last().items() if outcome == "rejected"} == {2, 5}


@pytest.mark.parametrize("name", HTTP)
def test_a_batch_refused_as_a_whole_ends_in_single_rows(name: str, offline: Desk) -> None:
    """A vendor that refuses any batch with a bad row in it takes all the good ones in the end."""
    sink = made(name, connections=1)

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = sink.simulate(request, Fault())
        bad = any(row.identity == "person4@shop.example" for row in heard.rows)
        return sink.simulate(request, Fault(refuse="no")).response if bad else heard.response

    assert offline.deliver(sink, people(8), transport=Scripted(answer)).counts == {"accepted": 7, "rejected": 1}
    assert offline.last()[4] == "rejected"


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("status", [401, 403, 408, 413, 429, 500, 502, 503, 504, 302])
@pytest.mark.parametrize("name", HTTP)
def test_statuses_mean_the_same_for_every_sink(name: str, status: int, op: Op) -> None:
    """401 and 403 stop, 429 and its wait are certain, 413 splits, anything else without a clear word is unknown."""
    sink = made(name)
    read = answers.read(sink, batch(sink, people(3), op), [answered(status, b"<html>", **{"retry-after": "9"})])
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
    assert answers.read(sink, batch(sink, people(3)), [page]).default.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("content", [b"", b"\x00\xff{]", b"null", b"[]", b"{}", b'{"rows": 1, "taken": "x"}', b"17"])
@pytest.mark.parametrize("status", [200, 202, 400, 409, 422])
@pytest.mark.parametrize("name", HTTP)
def test_no_answer_breaks_the_reader(name: str, status: int, content: bytes) -> None:
    """Whatever comes back, every row has an outcome, and nothing is raised."""
    sink = made(name)
    read = answers.read(sink, batch(sink, people(3)), [answered(status, content)])
    assert all(isinstance(read[offset].outcome, Outcome) for offset in range(3))


@pytest.mark.parametrize("name", HTTP)
def test_requests_keep_the_limits_in_rows_and_bytes(name: str) -> None:
    """Batches are as large as allowed and no larger, in rows and in bytes of text that is not ASCII."""
    sink = made(name)
    wide = pl.Series(["日本語テキスト" * (number % 900 * 20) for number in range(2000)])
    chunk = Chunk.of(sink, Op.UPSERT, people(2000).with_columns(note=wide))
    cuts = list(cut(chunk, sink.limits))
    assert [offset for work in cuts for offset in work.offsets] == list(range(2000))
    for work in cuts:
        sent = Batch("crm/seg", Op.UPSERT, "k", ("email",), AT, work.payloads, chunk.frame, work.offsets)
        assert len(sent.payloads) <= sink.limits.rows
        assert len(sent.rows) == len(sent.payloads)
        assert len(sink.request(sent).content) <= sink.limits.bytes
    assert not any(work.settled for work in cuts)


@pytest.mark.parametrize("name", HTTP)
def test_exactly_full_batches_are_not_cut_further(name: str) -> None:
    """At the limit of rows it is one batch, one over it is two."""
    sink = made(name)
    most = sink.limits.rows
    for count, batches in ((most, 1), (most + 1, 2)):
        assert len(list(cut(Chunk.of(sink, Op.UPSERT, people(count)), sink.limits))) == batches


@pytest.mark.parametrize("name", HTTP)
def test_the_recorder_can_report_on_what_a_sink_sent(name: str) -> None:
    """Request → simulate → outcomes: each row the vendor knows can be reported with the sync it came from."""
    sink = made(name)
    heard = sink.simulate(sink.request(batch(sink, people(3))), Fault())
    reporting = Reporting(folder="unused", seed=1)
    lines = [
        line
        for ordinal, row in enumerate(heard.rows)
        for line in reported(
            (ordinal, "crm/seg", str(row.op), row.identity, json.dumps(dict(row.payload)), "k", AT.isoformat()),
            reporting,
        )
    ]
    assert {line["sync"] for line in lines} == {"crm/seg"}
    assert {line["email"] for line in lines} == {row.identity for row in heard.rows}


@pytest.mark.parametrize("name", BULK)
def test_a_bulk_sink_takes_a_whole_delivery_and_taking_it_again_changes_nothing(name: str, offline: Desk) -> None:
    """Every row is accepted; the same plan delivered again leaves what the first left."""
    sink = made(name)
    rows = people(3, Op.REMOVE).vstack(people(5, first=3))
    first = offline.deliver(sink, rows, plan_id="same")
    left = {path.name: path.read_bytes() for path in offline.settings.out.rglob("*") if path.is_file()}
    assert offline.deliver(sink, rows, plan_id="same").counts == first.counts == {"accepted": 8}
    assert {path.name: path.read_bytes() for path in offline.settings.out.rglob("*") if path.is_file()} == left
    assert Counter(offline.last().values()) == {"accepted": 8}
