"""Twilio: the request it documents, what its codes mean, and what is refused before."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import jsonschema
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest
from pydantic import ValidationError

from models.delivery import Outcome, Outcomes
from models.message import FIELDS
from models.outcome import Report, Told
from models.sync import Op
from sinks import answers
from sinks.backlog import Chunk, Work, cut
from sinks.base import Batch, Fault
from sinks.simulated import json_response
from sinks.twilio import TwilioOptions, TwilioSink
from tests.sinks.desk import AT, CHECKOUT, Desk, Scripted

ACCOUNT, SERVICE = "AC0123456789abcdef0123456789abcdef", "MG0123456789abcdef0123456789abcdef"
HOOK = "https://t.shop.example/webhooks/text"
SPEC = CHECKOUT.parent / "shared" / "specs" / "twilio" / "messages.json"
SECRETS = {"auth_token": "12345"}
FROM_A_SERVICE = {"sender": None, "messaging_service_sid": SERVICE}


def made(**options: Any) -> TwilioSink:
    """The sink with its dev secret."""
    given = {"account_sid": ACCOUNT, "sender": "+15005550006", "callback_url": HOOK} | options
    return TwilioSink(TwilioOptions(**given), {"auth_token": "dev-auth_token"})


def messages(count: int, **columns: Sequence[str]) -> pl.DataFrame:
    """Spool rows of composed messages."""
    numbers = range(count)
    texts = dict.fromkeys(FIELDS, [""] * count) | {
        "send_key": [f"key/{number}+é" for number in numbers],
        "to": [f"+4915112345{number:03}" for number in numbers],
        "text": [f"Grüße & 100 % = {number} 👋\nSTOP?" for number in numbers],
    }
    rows = {"_row": list(numbers), "_op": ["send"] * count}
    return pl.DataFrame(rows | texts | columns, schema_overrides=dict.fromkeys(FIELDS, pl.String))


def batch(sink: TwilioSink, **columns: str) -> Batch:
    """The batch of one message."""
    chunk = Chunk.of(sink, Op.SEND, messages(1, **{name: [value] for name, value in columns.items()}))
    work = Work(chunk, range(1))
    return Batch("text/seg", Op.SEND, "key1", ("send_key",), AT, work.payloads, chunk.frame, work.offsets)


def form(request: httpx.Request) -> Mapping[str, str]:
    return dict(parse_qsl(request.content.decode(), strict_parsing=True))


def read(response: httpx.Response, **options: Any) -> Outcomes:
    sink = made(**options)
    return answers.read(sink, batch(sink), [response])


def refusal(code: int, status: int = 400) -> httpx.Response:
    return json_response(status, {"code": code, "message": "no", "more_info": "https://…", "status": status})


# --- the request


def test_a_message_is_the_request_that_twilio_documents() -> None:
    """Address, Basic authentication, one form with the number, the text, the sender and where to report."""
    request = made().request(batch(made()))
    assert (request.method, str(request.url)) == (
        "POST",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
    )
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() == (
        f"{ACCOUNT}:dev-auth_token"
    )
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert form(request) == {
        "To": "+4915112345000",
        "From": "+15005550006",
        "Body": "Grüße & 100 % = 0 👋\nSTOP?",
        "StatusCallback": f"{HOOK}?send_key=key%2F0%2B%C3%A9",
    }


def test_a_messaging_service_stands_for_a_sender() -> None:
    """With it there is no From, and validity and short links are said in Twilio's words."""
    told = form(made(**FROM_A_SERVICE, validity=600, shorten_urls=True).request(batch(made())))
    assert told["MessagingServiceSid"] == SERVICE
    assert (told["ValidityPeriod"], told["ShortenUrls"]) == ("600", "true")
    assert "From" not in told


@pytest.mark.parametrize("options", [{"callback_url": None}, {"status_callback": False}])
def test_nothing_is_reported_where_nobody_listens(options: dict[str, Any]) -> None:
    """Without an address, or where it is switched off, no StatusCallback is sent; the vendor knows the number alone."""
    sink = made(**options)
    request = sink.request(batch(sink))
    assert "StatusCallback" not in form(request)
    (known,) = sink.simulate(request, Fault()).rows
    assert (known.identity, known.payload["send_key"]) == ("+4915112345000", None)


@given(some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=1600), some.text(min_size=1))
def test_any_text_and_key_arrive_as_they_were(text: str, key: str) -> None:
    """Request and simulation agree on every character, and the largest message stays within the limits."""
    key = key.encode("utf-8", "replace").decode()
    sink = made(**FROM_A_SERVICE)
    sent = batch(sink, text=text, send_key=key)
    request = sink.request(sent)
    assert len(request.content) <= sink.limits.bytes
    heard = sink.simulate(request, Fault())
    assert [(row.op, row.identity) for row in heard.rows] == [(Op.SEND, key)]
    assert dict(heard.rows[0].payload) == json.loads(sent.payloads[0])
    assert answers.read(sink, sent, [heard.response])[0].outcome is Outcome.ACCEPTED


def test_a_row_that_may_leave_is_within_the_limit_of_bytes() -> None:
    """However a form grows, what the backlog cuts fits; a row beyond is settled before it is sent."""
    sink = made(callback_url=f"https://t.shop.example/{'ä'.encode().hex() * 100}")
    texts = ["日" * size for size in (1_600, 5_000, 20_000)]
    cuts = list(cut(Chunk.of(sink, Op.SEND, messages(3, text=texts)), sink.limits))
    assert [bool(work.settled) for work in cuts] == [False, False, True]
    for work in cuts[:2]:
        sent = Batch("s", Op.SEND, "k", ("send_key",), AT, work.payloads, work.chunk.frame, work.offsets)
        assert len(sink.request(sent).content) <= sink.limits.bytes


# --- the vendor's own description


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    """Closed, so that a misspelt field is a violation, too."""
    if not SPEC.exists():
        pytest.skip("the vendor's description is not beside this checkout: ../shared/specs/twilio/messages.json")
    spec = json.loads(SPEC.read_text())
    path = spec["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]
    body = path["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    body["additionalProperties"] = False
    return spec


def validate(spec: Mapping[str, Any], request: httpx.Request) -> None:
    """Raises OpenAPIError where the description does not allow the request."""
    told = MockRequest(
        f"https://{request.url.host}",
        request.method.lower(),
        request.url.path,
        headers=dict(request.headers),
        data=request.content,
        content_type="application/x-www-form-urlencoded",
    )
    OpenAPI.from_dict(copy.deepcopy(dict(spec))).validate_request(told)


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({}, ("To=", "Too=")),
        ({"validity": 600}, ("ValidityPeriod=600", "ValidityPeriod=soon")),
        ({**FROM_A_SERVICE}, (SERVICE, "MG12")),
        ({**FROM_A_SERVICE, "shorten_urls": True}, ("ShortenUrls=true", "ShortenUrls=perhaps")),
    ],
    ids=["misspelt", "no number", "no service", "no boolean"],
)
def test_the_validator_refuses_a_bad_request(spec: dict[str, Any], options: Any, change: tuple[str, str]) -> None:
    """Only a validator that was seen refusing proves anything when it accepts."""
    request = made(**options).request(batch(made()))
    bad = httpx.Request("POST", request.url, headers=request.headers, content=request.content.decode().replace(*change))
    validate(spec, request)
    with pytest.raises(OpenAPIError):
        validate(spec, bad)


@pytest.mark.parametrize(
    "options",
    [
        {"sender": sender, "validity": validity, "callback_url": url}
        for sender in ("+15005550006", "12345", "Shop 24")
        for validity in (None, 1, 36_000)
        for url in (None, HOOK)
    ]
    + [{**FROM_A_SERVICE, "shorten_urls": shorten} for shorten in (True, False)],
)
def test_requests_are_as_the_description_says(spec: dict[str, Any], options: dict[str, Any]) -> None:
    """Every option, and the pairs that the description does not hold: a text, and one of the two senders."""
    request = made(**options).request(batch(made()))
    validate(spec, request)
    assert {"To", "Body"} <= form(request).keys()
    assert len({"From", "MessagingServiceSid"} & form(request).keys()) == 1


@pytest.mark.parametrize("options", [{}, FROM_A_SERVICE])
def test_the_simulated_answer_is_as_the_description_says(spec: dict[str, Any], options: dict[str, Any]) -> None:
    """The resource of a new message, each field of its documented type."""
    resource = copy.deepcopy(spec["components"]["schemas"]["api.v2010.account.message"])
    for field in resource["properties"].values():  # OpenAPI 3.0 says it so, JSON Schema otherwise
        field.update({"type": [field["type"], "null"]} if field.get("nullable") and "type" in field else {})
    resource |= {"components": spec["components"], "additionalProperties": False}
    answer = made(**options).simulate(made(**options).request(batch(made())), Fault()).response
    assert answer.status_code == 201
    jsonschema.validate(answer.json(), resource)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(answer.json() | {"status": "nonsense"}, resource)


# --- the answers


def test_an_accepted_message_has_the_name_that_twilio_gave_it() -> None:
    """The receipt keeps the sid, by which its reports come."""
    sink = made()
    answer = sink.simulate(sink.request(batch(sink)), Fault()).response
    outcome = answers.read(sink, batch(sink), [answer])[0]
    assert (outcome.outcome, outcome.provider_id) == (Outcome.ACCEPTED, answer.json()["sid"])


@pytest.mark.parametrize(("code", "dead"), [(21211, True), (21614, True), (21635, True), (21265, True)] + [
    (code, False) for code in (21408, 21610, 21612, 21617, 21619, 99999)
])  # fmt: skip
def test_a_code_about_the_number_or_the_text_refuses_its_one_message(code: int, *, dead: bool) -> None:
    """Rejected with Twilio's words; the number is dead where no text message can ever reach it."""
    outcomes = read(refusal(code))
    assert (outcomes[0].outcome, outcomes[0].reason, outcomes.stop) == (Outcome.REJECTED, f"{code} no", "")
    assert TwilioSink.is_dead(outcomes[0].reason) is dead
    assert TwilioSink.has_unsubscribed(outcomes[0].reason) is (code == 21610)


@pytest.mark.parametrize("code", sorted(TwilioSink.stops))
def test_a_code_about_the_account_or_its_sender_stops_the_sync(code: int) -> None:
    """Nothing is lost: the message was certainly not taken, and a person is told what to check."""
    outcomes = read(refusal(code, 429 if code == 63038 else 400))
    assert (outcomes[0].outcome, outcomes.stop, outcomes.throttled) == (Outcome.RETRY, TwilioSink.stops[code], False)
    assert not TwilioSink.is_dead(outcomes[0].reason)


@pytest.mark.parametrize("code", [21606, 21659])
def test_a_short_code_that_does_not_reach_a_country_loses_that_message_only(code: int) -> None:
    """The same code from a number says that the number cannot send at all."""
    assert read(refusal(code), sender="12345")[0].outcome is Outcome.REJECTED
    assert read(refusal(code)).stop


def test_too_many_requests_at_once_are_only_slowed_down() -> None:
    """20429 was certainly not processed, and is no reason to stop."""
    outcomes = read(refusal(20429, 429))
    assert (outcomes[0].outcome, outcomes.throttled, outcomes.stop) == (Outcome.RETRY, True, "")


@pytest.mark.parametrize(
    "answer",
    [
        json_response(201, {"sid": None}),
        json_response(201, {"sid": ""}),
        json_response(201, []),
        json_response(200, {"code": 21211, "message": "no"}),
        json_response(400, {"message": "no"}),
        json_response(400, {"code": "x", "message": "no"}),
        httpx.Response(400, content=b"<html>"),
        httpx.Response(201, content=b"\x00"),
        httpx.Response(500, json={"code": 63038, "message": "no"}),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.text}",
)
def test_an_answer_that_is_not_twilios_is_unknown(answer: httpx.Response) -> None:
    """The message may have been sent: nobody sends it again."""
    assert read(answer)[0].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"null", b"[]", b"17", b"{}", b'{"code":{}}', b'{"code":1e30}'])
def test_no_throttling_answer_breaks_the_reader(content: bytes) -> None:
    """Whatever comes with a 429, it is a 429."""
    assert read(httpx.Response(429, content=content)).throttled


# --- the simulated vendor


@pytest.mark.parametrize(
    ("without", "code"), [("To", 21604), ("From", 21603), ("Body", 21602), ("MessagingServiceSid", 21603)]
)
def test_a_request_that_lacks_a_field_is_refused(without: str, code: int) -> None:
    """What the description leaves out of its required fields is required by the vendor."""
    sink = made(**FROM_A_SERVICE) if without == "MessagingServiceSid" else made()
    request = sink.request(batch(sink))
    left = urlencode({name: value for name, value in form(request).items() if name != without})
    heard = sink.simulate(httpx.Request("POST", request.url, headers=request.headers, content=left), Fault())
    assert (heard.response.status_code, heard.response.json()["code"], heard.rows) == (400, code, ())


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"text": "é" * 1_600}, None),
        ({"text": "é" * 1_601}, 21617),
        ({"text": ""}, 21602),
        ({"to": "015112345"}, 21211),
        ({"to": "+4915112345678\n"}, 21211),
    ],
)
def test_documented_limits_are_kept(columns: dict[str, str], code: int | None) -> None:
    """1,600 characters pass and one more does not; a number is in E.164."""
    sink = made()
    heard = sink.simulate(sink.request(batch(sink, **columns)), Fault())
    assert heard.response.json().get("code") == code
    assert len(heard.rows) == (0 if code else 1)


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [("21610 unsubscribed", 400, 21610), ("bad", 400, 21612), ("63038", 429, 63038), ("20003 no", 401, 20003)],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_programmed_fault_is_told_in_the_vendors_shape(reason: str, status: int, code: int, *, whole: bool) -> None:
    """A reason may begin with Twilio's code; words alone refuse the message without calling its number dead."""
    sink = made()
    fault = Fault(refuse=reason) if whole else Fault(reject={0: reason})
    heard = sink.simulate(sink.request(batch(sink)), fault)
    answer = heard.response.json()
    assert (heard.response.status_code, answer["status"], answer["code"], heard.rows) == (status, status, code, ())
    assert not TwilioSink.is_dead(f"{answer['code']} {answer['message']}")


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_another_token_is_not_let_in(secret: str) -> None:
    """401 in Twilio's words, and nothing is known."""
    sink = TwilioSink(made().options, {"auth_token": secret})
    heard = sink.simulate(sink.request(batch(sink)), Fault())
    assert (heard.response.status_code, heard.response.json()["code"], heard.rows) == (401, 20003, ())
    elsewhere = httpx.Request("POST", "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json")
    assert sink.simulate(elsewhere, Fault()).response.json()["code"] == 20404


# --- delivered


def test_one_bad_number_does_not_hold_the_others(offline: Desk) -> None:
    """It is rejected with its code; the rest is accepted, each message once."""
    sink, known = made(connections=1), []

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        bad = form(request)["To"].endswith("002")
        heard = sink.simulate(request, Fault(reject={0: "21211 no"}) if bad else Fault())
        known.extend(row.identity for row in heard.rows)
        return heard.response

    summary = offline.deliver(sink, messages(5), transport=Scripted(answer), key=("send_key",))
    assert summary.counts == {"accepted": 4, "rejected": 1}
    assert known == [f"key/{number}+é" for number in (0, 1, 3, 4)]


@pytest.mark.parametrize("code", [21606, 63038])
def test_what_no_message_gets_past_ends_the_run(offline: Desk, code: int) -> None:
    """One request finds it out; the cause is told and nobody is rejected."""
    scripted = Scripted(lambda _request, _ordinal: refusal(code, 429 if code == 63038 else 400))
    summary = offline.deliver(made(connections=1), messages(20), transport=scripted, key=("send_key",))
    assert (summary.counts, summary.stopped, len(scripted.requests)) == ({"retry": 1}, TwilioSink.stops[code], 1)


def test_a_lost_answer_is_not_sent_again(offline: Desk) -> None:
    """Twilio has no idempotency key: a 5xx is unknown and waits for its report."""
    scripted = Scripted(lambda _request, _ordinal: httpx.Response(503))
    summary = offline.deliver(made(connections=2), messages(1), transport=scripted, key=("send_key",))
    assert (summary.counts, len(scripted.requests)) == ({"unknown": 1}, 1)


# --- options


@pytest.mark.parametrize(
    "options",
    [
        {"sender": None},
        {"messaging_service_sid": SERVICE},
        {"shorten_urls": True},
        {"validity": 0},
        {"validity": 36_001},
        {"account_sid": "AC12"},
        {"sender": None, "messaging_service_sid": "MG12"},
        *(
            {"sender": sender}
            for sender in ("", "015112345678", "+0151", "12", "A name too long", "Größe", "x\n", "+1")
        ),
        *(
            {"callback_url": url}
            for url in ("t.shop.example/x", "https://t_x.example/w", f"{HOOK}?a=1", f"{HOOK}#rc=2", "https://u:p@t.x/w")
        ),
    ],
    ids=str,
)
def test_options_that_twilio_would_refuse_are_refused_before(options: dict[str, Any]) -> None:
    """Exactly one sender, of a form that exists, and an address that can be called and can carry the key."""
    with pytest.raises(ValidationError):
        made(**options)


@pytest.mark.parametrize("sender", ["+15005550006", "12345", "Shop", "4ever 24", "B-W & C_D+"])
def test_every_kind_of_sender_is_taken(sender: str) -> None:
    """A number, a short code, a name."""
    assert made(sender=sender).options.sender == sender


# --- what the recorder tells in dev


def test_the_recorder_calls_where_the_message_said() -> None:
    """The address of the callback, and the sid in it, are those of the message's own request and answer."""
    sink = made()
    request = sink.request(batch(sink))
    answer = sink.simulate(request, Fault()).response.json()
    (call,) = sink.tell(HOOK, [Report("1", Told.ACCEPTED, AT, "key/0+é")], AT)
    assert str(call.url) == form(request)["StatusCallback"]
    assert form(call)["MessageSid"] == answer["sid"]
    assert parse_qs(urlsplit(str(call.url)).query) == {"send_key": ["key/0+é"]}
