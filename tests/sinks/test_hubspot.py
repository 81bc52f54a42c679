"""HubSpot: contacts and then a list, in one chain; partial answers, refused batches, chains that break."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import httpx
import polars as pl
import pytest
from pydantic import ValidationError

from models.delivery import Outcome, Outcomes
from models.sync import Op
from sinks import answers
from sinks.backlog import Chunk, cut
from sinks.base import Batch, Fault, Known
from sinks.hubspot import HubspotOptions, HubspotSink
from sinks.transport import Lost
from tests.sinks.desk import AT, Desk, Recorder, Scripted, people

LIST = "https://api.hubapi.com/crm/v3/lists/1234/memberships"
CONTACTS = "https://api.hubapi.com/crm/v3/objects/contacts/batch"
NO_PROPERTY = (
    'Property values were not valid: [{"isValid":false,"message":"Property \\"tier\\" does not exist",'
    '"error":"PROPERTY_DOESNT_EXIST","name":"tier"}]'
)
Answer = Callable[[httpx.Request, int], httpx.Response]


def crm(**options: Any) -> HubspotSink:
    given = {"list_id": "1234", "portal": "12345678", "connections": 1} | options
    return HubspotSink(HubspotOptions(**given), {"token": "dev-token"})


def batch(sink: HubspotSink, rows: pl.DataFrame, op: Op = Op.UPSERT) -> Batch:
    chunk = Chunk.of(sink, op, rows)
    return Batch("crm/seg", op, "k", sink.identity(("id",)), AT, chunk.payloads, chunk.frame, range(len(rows)))


def chain(sink: HubspotSink, sent: Batch, *faults: Fault) -> tuple[list[httpx.Response], list[Known]]:
    """All answers of an operation, and what the vendor knows after them."""
    given: list[httpx.Response] = []
    known: list[Known] = []
    request: httpx.Request | None = sink.request(sent)
    while request is not None:
        heard = sink.simulate(request, faults[len(given)] if len(given) < len(faults) else Fault())
        given.append(heard.response)
        known.extend(heard.rows)
        request = answers.following(sink, sent, given)
    return given, known


def read(sink: HubspotSink, sent: Batch, *bodies: Any, status: int = 200) -> Outcomes:
    return answers.read(sink, sent, [httpx.Response(status, json=body) for body in bodies])


def found(*numbers: int, **more: Any) -> dict[str, Any]:
    """HubSpot's results without trace ids, each found by its property."""
    results = [{"id": f"10{n}", "properties": {"email": f"Person{n}@shop.example"}} for n in numbers]
    return {"status": "COMPLETE", "results": results} | more


def outcomes(read: Outcomes, count: int) -> Sequence[Outcome]:
    return [read[offset].outcome for offset in range(count)]


def programmed(known: list[Known] | None = None, fault: Callable[[httpx.Request, int], Fault | None] | None = None):
    """A vendor that does as `fault` says of a request, and otherwise as documented."""

    def answer(request: httpx.Request, ordinal: int) -> httpx.Response:
        heard = HubspotSink.simulate(request, (fault and fault(request, ordinal)) or Fault())
        if known is not None:
            known.extend(heard.rows)
        return heard.response

    return Scripted(answer)


def test_an_upsert_writes_contacts_and_puts_their_records_on_the_list() -> None:
    """Two requests as documented: properties as text by the id property, then the record ids that were answered."""
    sink = crm()
    sent = batch(sink, people(1, first=7).with_columns(firstname=pl.lit("日本"), phone=pl.lit(None)))
    first = sink.request(sent)
    assert (first.method, str(first.url)) == ("POST", f"{CONTACTS}/upsert")
    assert first.headers["authorization"] == "Bearer dev-token"
    assert json.loads(first.content)["inputs"] == [
        {
            "id": "person7@shop.example",
            "idProperty": "email",
            "objectWriteTraceId": "ROW-0",
            "properties": {"orders": "7", "firstname": "日本", "phone": ""},
        }
    ]
    second = sink.following(sent, [httpx.Response(200, json=found(7))])
    assert second is not None
    assert (second.method, str(second.url), json.loads(second.content)) == ("PUT", f"{LIST}/add", ["107"])
    assert read(sink, sent, found(7), {"recordsIdsAdded": ["107"]})[0].provider_id == "107"


def test_a_remove_reads_the_contact_and_takes_it_from_the_list() -> None:
    """Nothing but what finds the contact is sent; the contact itself stays."""
    sink = crm(id_property="customer_no")
    rows = people(1, Op.REMOVE).with_columns(customer_no=pl.lit(17), orders=pl.lit(None))
    sent = batch(sink, rows, Op.REMOVE)
    first = sink.request(sent)
    assert (first.method, str(first.url)) == ("POST", f"{CONTACTS}/read")
    assert json.loads(first.content) == {
        "idProperty": "customer_no",
        "properties": ["customer_no"],
        "inputs": [{"id": "17"}],
    }
    answer = {"results": [{"id": "5", "properties": {"customer_no": "17"}}]}
    second = sink.following(sent, [httpx.Response(200, json=answer)])
    assert second is not None
    assert (str(second.url), json.loads(second.content)) == (f"{LIST}/remove", ["5"])


def test_values_are_written_as_hubspot_reads_them() -> None:
    """ISO 8601 in UTC, true and false, several values with semicolons, and an empty text where there is none."""
    rows = people(2).with_columns(
        at=pl.Series([datetime(2026, 11, 1, 9, 30, 0, 5000, UTC), None]).dt.convert_time_zone("Asia/Tokyo"),
        naive=pl.Series([datetime(2026, 11, 1, 9, 30), None]),  # noqa: DTZ001 - the warehouse's own, in UTC
        day=pl.Series([date(2026, 11, 1), None]),
        vip=pl.Series([True, None]),
        spent=pl.Series([12.5, None]),
        tags=pl.Series([["a", "b"], None]),
        address=pl.Series([{"city": "Köln"}, None]),
    )
    sink = crm()
    full, empty = (json.loads(payload) for payload in batch(sink, rows).payloads)
    assert full == {
        "email": "person0@shop.example",
        "orders": "0",
        "at": "2026-11-01T09:30:00.005Z",
        "naive": "2026-11-01T09:30:00.000Z",
        "day": "2026-11-01",
        "vip": "true",
        "spent": "12.5",
        "tags": "a;b",
        "address": '{"city":"Köln"}',
    }
    assert {value for name, value in empty.items() if name not in {"email", "orders"}} == {""}


@pytest.mark.parametrize("op", [Op.UPSERT, Op.REMOVE])
def test_every_row_is_known_once_after_its_chain(op: Op) -> None:
    """With its operation, its identity and what was sent of it, in any alphabet."""
    sink = crm()
    rows = people(3, op).with_columns(email=pl.Series(["a@shop.example", "é@日本.example", "A|b@shop.example"]))
    sent = batch(sink, rows, op)
    given, known = chain(sink, sent)
    assert [(row.op, row.identity) for row in known] == [(op, email) for email in rows["email"]]
    assert [dict(row.payload) for row in known] == [json.loads(payload) for payload in sent.payloads]
    assert outcomes(answers.read(sink, sent, given), 3) == [Outcome.ACCEPTED] * 3


def test_the_list_at_the_recorder_ends_as_the_model(desk: Desk, recorder: Recorder) -> None:
    """Who entered is there with their last row, who left is not: through the wire, chains and all."""
    sink = crm(connections=4)
    desk.deliver(sink, people(250))
    leave = people(30, Op.REMOVE)
    come = people(240, first=20).with_columns(orders=pl.lit(99, pl.Int64))
    assert desk.deliver(sink, leave.head(20).vstack(come)).counts == {"accepted": 260}
    audience = httpx.get(f"{recorder.url}/_audience", params={"sync": "crm/seg_test"}).json()
    assert audience == {
        f"person{n}@shop.example": {"email": f"person{n}@shop.example", "orders": "99"} for n in range(20, 260)
    }


@pytest.mark.parametrize("context", [{"objectWriteTraceId": ["ROW-1"]}, {"ids": ["PERSON1@shop.example"]}])
def test_a_207_rejects_the_rows_it_names_and_lists_the_others(context: dict[str, list[str]]) -> None:
    """Named by their trace id or by their identity; the reason is HubSpot's."""
    sink = crm()
    sent = batch(sink, people(3))
    errors = [{"category": "VALIDATION_ERROR", "message": "invalid e-mail", "context": context}]
    partial = found(0, 2, numErrors=1, errors=errors)
    second = sink.following(sent, [httpx.Response(207, json=partial)])
    assert second is not None
    assert json.loads(second.content) == ["100", "102"]
    told = read(sink, sent, partial, {"recordsIdsAdded": ["100", "102"]}, status=207)
    assert outcomes(told, 3) == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.ACCEPTED]
    assert told[1].reason == "VALIDATION_ERROR: invalid e-mail"


def test_the_simulated_vendor_rejects_rows_in_a_207(offline: Desk) -> None:
    """A programmed fault in one contact is its alone, and it is never put on the list."""
    known: list[Known] = []

    def fault(request: httpx.Request, _ordinal: int) -> Fault | None:
        return Fault(reject={3: "bad"}) if "upsert" in request.url.path else None

    assert offline.deliver(crm(), people(5), transport=programmed(known, fault)).counts == {
        "accepted": 4,
        "rejected": 1,
    }
    assert {row.identity for row in known} == {f"person{n}@shop.example" for n in (0, 1, 2, 4)}
    assert offline.last()[3] == "rejected"


def test_an_answer_without_any_contact_ends_the_chain(offline: Desk) -> None:
    """Where every row was rejected the list is not asked."""
    scripted = programmed(fault=lambda _request, _ordinal: Fault(reject={0: "bad", 1: "bad"}))
    assert offline.deliver(crm(), people(2), transport=scripted).counts == {"rejected": 2}
    assert len(scripted.requests) == 1


def test_a_batch_refused_as_a_whole_is_halved(offline: Desk) -> None:
    """One invalid e-mail refuses a hundred contacts with 400: it ends alone, and the others are on the list."""
    known: list[Known] = []

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        if b'"person4@' in request.content:
            return HubspotSink.simulate(request, Fault(refuse="Property values were not valid")).response
        heard = HubspotSink.simulate(request, Fault())
        known.extend(heard.rows)
        return heard.response

    assert offline.deliver(crm(), people(8), transport=Scripted(answer)).counts == {"accepted": 7, "rejected": 1}
    assert sorted(row.identity for row in known) == [f"person{n}@shop.example" for n in range(8) if n != 4]


def test_a_contact_that_is_not_there_is_off_the_list() -> None:
    """A remove of what HubSpot does not know is accepted, and of the others only those found are taken off."""
    sink = crm()
    sent = batch(sink, people(3, Op.REMOVE), Op.REMOVE)
    gone = {
        "category": "OBJECT_NOT_FOUND",
        "message": "Could not get some",
        "context": {"ids": [f"person{n}@shop.example" for n in (0, 2)]},
    }
    told = read(sink, sent, found(1, errors=[gone]), {"recordIdsRemoved": ["101"]}, status=207)
    assert outcomes(told, 3) == [Outcome.ACCEPTED] * 3
    assert told[0].reason == "there is no such contact"
    nobody = read(sink, sent, found(errors=[gone | {"context": {"ids": list(sent.frame["email"])}}]), status=207)
    assert outcomes(nobody, 3) == [Outcome.ACCEPTED] * 3


@pytest.mark.parametrize("op", [Op.UPSERT, Op.REMOVE])
def test_a_record_that_the_list_misses_is_tried_again(offline: Desk, op: Op) -> None:
    """HubSpot found it a moment ago: only its row begins the chain again."""

    def fault(request: httpx.Request, ordinal: int) -> Fault | None:
        return Fault(reject={1: "missing"}) if "memberships" in request.url.path and ordinal < 4 else None

    scripted = programmed(fault=fault)
    assert offline.deliver(crm(), people(3, op), transport=scripted).counts == {"accepted": 3}
    assert len(json.loads(scripted.requests[2].content)["inputs"]) == 1
    assert len(scripted.requests) == 4


@pytest.mark.parametrize("missing", [None, [], ["100"]])
def test_a_list_may_leave_out_what_is_empty(missing: list[str] | None) -> None:
    """Who was a member already is in no part of the answer, and accepted."""
    sink = crm()
    body = {} if missing is None else {"recordIdsMissing": missing}
    expected = Outcome.RETRY if missing else Outcome.ACCEPTED
    assert outcomes(read(sink, batch(sink, people(1)), found(0), body), 1) == [expected]


def test_a_row_that_the_answer_leaves_out_is_unknown() -> None:
    """Neither found nor told of: never taken for done, unless all are counted and only their names differ."""
    sink = crm()
    sent = batch(sink, people(3))
    told = read(sink, sent, found(0, 2), {"recordIdsMissing": ["102"]})
    assert outcomes(told, 3) == [Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.RETRY]
    assert outcomes(read(sink, sent, found(0, 7, 2), {}), 3) == [Outcome.ACCEPTED] * 3
    assert outcomes(read(sink, sent, found(0, 7, 2), {"recordIdsMissing": ["107"]}), 3) == [Outcome.UNKNOWN] * 3


def test_an_error_about_nobody_we_sent_is_unknown() -> None:
    """An answer that names other rows than were sent says nothing of them."""
    sink = crm()
    errors = [{"message": "no", "context": {"ids": ["stranger@shop.example"]}}]
    assert outcomes(read(sink, batch(sink, people(2)), found(errors=errors), status=207), 2) == [Outcome.UNKNOWN] * 2


def test_half_a_chain_is_never_success() -> None:
    """Contacts alone are no members."""
    sink = crm()
    assert outcomes(read(sink, batch(sink, people(2)), found(0, 1)), 2) == [Outcome.UNKNOWN] * 2


@pytest.mark.parametrize("broken", ["lost", 500, 429, b"<html>", b"{"])
def test_a_chain_that_breaks_is_begun_again(offline: Desk, broken: Any) -> None:
    """Whatever happens to the list's answer, the same contacts are upserted again and end on the list."""
    known: list[Known] = []

    def answer(request: httpx.Request, ordinal: int) -> httpx.Response:
        if ordinal == 2:
            assert "memberships" in request.url.path
            if broken == "lost":
                raise Lost("reset")
            return httpx.Response(broken) if isinstance(broken, int) else httpx.Response(200, content=broken)
        heard = HubspotSink.simulate(request, Fault())
        known.extend(heard.rows)
        return heard.response

    scripted = Scripted(answer)
    assert offline.deliver(crm(), people(3), transport=scripted).counts == {"accepted": 3}
    paths = [request.url.path.rpartition("/")[2] for request in scripted.requests]
    assert paths == ["upsert", "add", "upsert", "add"]
    assert {row.identity for row in known} == {f"person{n}@shop.example" for n in range(3)}


@pytest.mark.parametrize("status", [400, 404])
def test_a_list_that_cannot_be_changed_stops(offline: Desk, status: int) -> None:
    """Not there, or not static: nobody is rejected for it, and the message names the option."""

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        if "memberships" in request.url.path:
            return httpx.Response(status, json={"status": "error", "message": "no"})
        return HubspotSink.simulate(request, Fault()).response

    summary = offline.deliver(crm(), people(250), transport=Scripted(answer))
    assert "check `list_id`" in str(summary.stopped)
    assert summary.counts == {"retry": 100}


@pytest.mark.parametrize("status", [400, 207])
def test_a_column_that_is_no_property_stops(status: int) -> None:
    """The mapping is wrong for every row: none is rejected for it."""
    sink = crm()
    sent = batch(sink, people(2))
    each = [{"message": NO_PROPERTY, "context": {"objectWriteTraceId": [f"ROW-{n}"]}} for n in range(2)]
    coded = {"message": "no", "errors": [{"code": "PROPERTY_DOESNT_EXIST", "message": "tier"}]}
    for body in [coded, {"message": NO_PROPERTY}] if status == 400 else [found(errors=each)]:
        told = read(sink, sent, body, status=status)
        assert "no property of contacts" in told.stop
        assert told.default.outcome is Outcome.RETRY


def test_what_a_row_holds_does_not_stop_anything() -> None:
    """A value that quotes HubSpot's error is escaped in its message, and rejected like any other."""
    value = json.dumps('"error":"PROPERTY_DOESNT_EXIST"')
    sink = crm()
    told = read(sink, batch(sink, people(2)), {"message": f'[{{"message":{value} is invalid"}}]'}, status=400)
    assert (told.stop, told.split, told.default.outcome) == ("", True, Outcome.REJECTED)


@pytest.mark.parametrize(
    ("status", "headers", "wait", "throttled"),
    [(423, {}, 2.0, False), (423, {"retry-after": "7"}, 7.0, False), (477, {"retry-after": "86400"}, 86_400.0, True)],
)
def test_a_lock_is_certain_and_waits(status: int, headers: dict[str, str], wait: float, *, throttled: bool) -> None:
    """Nothing was written while another held the records, or while the account moves."""
    sink = crm()
    told = answers.read(sink, batch(sink, people(2)), [httpx.Response(status, headers=headers)])
    assert (told.default.outcome, told.retry_after, told.throttled) == (Outcome.RETRY, wait, throttled)


def test_a_batch_has_a_hundred_contacts(offline: Desk) -> None:
    """And not one more: the vendor refuses a hundred and one, and one contact twice."""
    sink = crm()
    scripted = programmed()
    assert offline.deliver(sink, people(201), transport=scripted).counts == {"accepted": 201}
    sizes = [len(json.loads(request.content)["inputs"]) for request in scripted.requests[::2]]
    assert sizes == [100, 100, 1]
    for rows in (people(101), people(1).vstack(people(1))):
        for op in (Op.UPSERT, Op.REMOVE):
            assert sink.simulate(sink.request(batch(sink, rows, op)), Fault()).response.status_code == 400


def test_a_request_of_many_bytes_keeps_the_limit() -> None:
    """What stands around a contact counts, too, however long the id property's name is."""
    sink = crm(id_property="a" * 100)
    rows = people(300).rename({"email": "a" * 100}).with_columns(note=pl.lit("日本" * 1_650))
    for op in (Op.UPSERT, Op.REMOVE):
        chunk = Chunk.of(sink, op, rows)
        for work in cut(chunk, sink.limits):
            sent = Batch("crm/seg", op, "k", ("email",), AT, work.payloads, chunk.frame, work.offsets)
            assert len(sink.request(sent).content) <= sink.limits.bytes


@pytest.mark.parametrize("value", ["x" * 65_537, 7])
def test_the_simulated_vendor_takes_texts_of_a_property_s_length(value: Any) -> None:
    """A value that is too long, or no text, refuses the batch as HubSpot does."""
    body = {"inputs": [{"id": "a", "idProperty": "email", "properties": {"note": value}}]}
    request = httpx.Request("POST", f"{CONTACTS}/upsert", json=body, headers={"Authorization": "Bearer dev-token"})
    assert HubspotSink.simulate(request, Fault()).response.status_code == 400


def test_the_pace_counts_both_requests_of_a_batch() -> None:
    """The loop waits once a batch, which asks HubSpot twice."""
    assert crm().limits.per_second == 5
    assert crm(per_second=19).limits.per_second == 9.5


@pytest.mark.parametrize("options", [{"list_id": "my list"}, {"portal": ""}, {"id_property": "E-Mail"}])
def test_ids_are_hubspots_own(options: dict[str, str]) -> None:
    """A list and an account are numbers, a property is its internal name."""
    with pytest.raises(ValidationError):
        crm(**options)


def test_the_identity_is_hubspots_whatever_the_key_is() -> None:
    """One contact is one row of the list."""
    assert crm().identity(("profile_id",)) == ("email",)
    assert crm(id_property="customer_no").identity(("profile_id",)) == ("customer_no",)
