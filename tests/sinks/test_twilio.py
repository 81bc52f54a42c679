"""Twilio: the request it documents, what its codes mean, and its way back, signed as its own library signs."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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
from twilio.request_validator import RequestValidator

from models.delivery import Outcome, Outcomes
from models.message import FIELDS
from models.outcome import Report, Told
from models.sync import Op
from sinks import answers
from sinks.backlog import Chunk, Work, cut
from sinks.base import Batch, Fault
from sinks.reporting import Heard
from sinks.simulated import json_response
from sinks.twilio import TwilioOptions, TwilioSink
from tests.sinks.desk import AT, CHECKOUT, Desk, Scripted

ACCOUNT, SERVICE = "AC0123456789abcdef0123456789abcdef", "MG0123456789abcdef0123456789abcdef"
HOOK = "https://t.shop.example/webhooks/text"
SPEC = CHECKOUT.parent / "shared" / "specs" / "twilio" / "messages.json"
TOKEN, SECRETS = "12345", {"auth_token": "12345"}
FROM_A_SERVICE = {"sender": None, "messaging_service_sid": SERVICE}
RECEIVED = {"x-tailrace-received": AT.isoformat()}


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


# --- signatures


def heard(url: str, fields: Mapping[str, str], token: str = TOKEN, **headers: str) -> Heard:
    """A request as Twilio's own library would sign it."""
    told = {"x-twilio-signature": RequestValidator(token).compute_signature(url, dict(fields))}
    return Heard(url, told | RECEIVED | headers, urlencode(fields).encode())


def is_signed(request: Heard) -> bool:
    return TwilioSink.is_signed(request, SECRETS, AT)


PUBLISHED = Heard(
    "https://mycompany.com/myapp.php?foo=1&bar=2",
    {"x-twilio-signature": "0/KCTR6DLpKmkAf8muzZqo1nDgQ="},
    b"Digits=1234&CallSid=CA1234567890ABCDE&To=%2B18005551212&Caller=%2B12349013030&From=%2B12349013030",
)  # of Twilio's guide to the security of webhooks
STATUS = {
    "AccountSid": ACCOUNT,
    "MessageSid": "SM" + "1" * 32,
    "MessageStatus": "delivered",
    "ErrorCode": "",
    "To": "+4915112345000",
}


def test_the_published_example_is_signed() -> None:
    """Twilio's own address, token and signature."""
    assert is_signed(PUBLISHED)


TEXT = some.text(some.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    some.dictionaries(TEXT, TEXT, max_size=6),
    some.sampled_from(["http", "https"]),
    some.sampled_from(["", ":443", ":80", ":8443"]),
    some.sampled_from(["", ":443", ":80", ":8443"]),
)
def test_we_take_exactly_what_twilios_own_validator_takes(
    fields: dict[str, str], scheme: str, signed: str, called: str
) -> None:
    """Any fields, and the address with and without a port as it was signed and as it was called."""
    at, to = (f"{scheme}://t.shop.example{port}/webhooks/text?send_key=k%2F1" for port in (signed, called))
    validator = RequestValidator(TOKEN)
    signature = validator.compute_signature(at, fields)
    request = Heard(to, {"x-twilio-signature": signature}, urlencode(fields).encode())
    assert is_signed(request) == validator.validate(to, fields, signature)
    assert signed != called or is_signed(request)


def test_a_json_body_is_signed_by_its_hash() -> None:
    """Its SHA-256 is in the signed address; another body, or none in the address, is refused."""
    body = b'{"a":"b"}'
    url = f"{HOOK}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    told = {
        "x-twilio-signature": RequestValidator(TOKEN).compute_signature(url, {}),
        "content-type": "application/json",
    }
    assert RequestValidator(TOKEN).validate(url, body.decode(), told["x-twilio-signature"])
    assert is_signed(Heard(url, told, body))
    assert not is_signed(Heard(url, told, body + b" "))
    bare = told | {"x-twilio-signature": RequestValidator(TOKEN).compute_signature(HOOK, {})}
    assert not is_signed(Heard(HOOK, bare, body))


@pytest.mark.parametrize(
    "request_",
    [
        heard(HOOK, STATUS, token="another"),
        Heard(HOOK, heard(HOOK, STATUS).headers, urlencode(STATUS | {"MessageStatus": "failed"}).encode()),
        Heard(HOOK, heard(HOOK, STATUS).headers, urlencode(STATUS | {"More": ""}).encode()),
        Heard(f"{HOOK}?send_key=x", heard(HOOK, STATUS).headers, urlencode(STATUS).encode()),
        Heard(HOOK.replace("https", "http"), heard(HOOK, STATUS).headers, urlencode(STATUS).encode()),
        heard(HOOK, STATUS, **{"x-twilio-signature": ""}),
        heard(HOOK, STATUS, **{"x-twilio-signature": "\udcff ÿ"}),
        Heard(HOOK, {}, urlencode(STATUS).encode()),
        Heard(HOOK, {"x-twilio-signature": "x"}, b"\x00\xff&&=&%zz"),
        Heard("https://t.shop.example:port/x", {"x-twilio-signature": "x"}, b""),
        Heard("https://[", {"x-twilio-signature": "x"}, b""),
        Heard(f"{HOOK}?bodySHA256=ÿ", {"x-twilio-signature": "x"}, b"{}"),
        Heard("", {"x-twilio-signature": ""}, b""),
    ],
    ids=["foreign", "altered", "added", "another address", "another scheme", "empty", "no ASCII", "unsigned", "garbage",
         "no port", "no address", "no hash", "nothing"],
)  # fmt: skip
def test_what_twilio_did_not_sign_is_refused(request_: Heard) -> None:
    """Foreign, altered, unsigned or garbage: refused, and nothing is raised."""
    assert not is_signed(request_)


# --- reports


def told(fields: Mapping[str, str], url: str = f"{HOOK}?send_key=key%2F0%2B%C3%A9") -> list[Report]:
    return list(TwilioSink.reports(heard(url, fields)))


@pytest.mark.parametrize(
    ("status", "error", "expected", "bounce"),
    [
        ("accepted", "", Told.ACCEPTED, None),
        ("queued", "", Told.ACCEPTED, None),
        ("sending", "", Told.ACCEPTED, None),
        ("sent", "", Told.ACCEPTED, None),
        ("delivered", "", Told.DELIVERED, None),
        ("read", "", Told.OPENED, None),
        ("undelivered", "", Told.BOUNCED, "soft"),
        ("undelivered", "30003", Told.BOUNCED, "soft"),
        ("undelivered", "30005", Told.BOUNCED, "hard"),
        ("undelivered", "30006", Told.BOUNCED, "hard"),
        ("undelivered", "30007", Told.BOUNCED, "soft"),
        ("failed", "21211", Told.BOUNCED, "hard"),
        ("failed", "99999", Told.BOUNCED, "soft"),
        ("failed", "21610", Told.UNSUBSCRIBED, None),
        ("failed", "30001", Told.REJECTED, None),
        ("failed", "30036", Told.REJECTED, None),
        ("delivered", "30005", Told.DELIVERED, None),
    ],
)
def test_a_status_is_told_in_our_words(status: str, error: str, expected: Told, bounce: str | None) -> None:
    """With the key of the message, its number, Twilio's name for it and code, at the moment the gateway heard it."""
    (report,) = told(STATUS | {"MessageStatus": status, "ErrorCode": error, "From": "+15005550006"})
    assert report == Report(
        event_id=f"{STATUS['MessageSid']}:{status}",
        told=expected,
        at=AT,
        send_key="key/0+é",
        contact="+4915112345000",
        bounce=bounce,  # type: ignore[arg-type]
        reason=error or None,
        provider_id=STATUS["MessageSid"],
    )


def test_a_carrier_that_a_short_code_does_not_reach_is_no_dead_number() -> None:
    """30006 from a short code may be a mobile of another carrier: the person keeps their number."""
    (report,) = told(STATUS | {"MessageStatus": "undelivered", "ErrorCode": "30006", "From": "12345"})
    assert report.bounce == "soft"


def test_a_redelivery_has_the_same_event_and_another_status_another() -> None:
    """Twilio repeats a callback, and callbacks overtake each other: the event tells which is which."""
    again = TwilioSink.reports(heard(HOOK, STATUS | {"Added": "later"}, **{"x-tailrace-received": "2026-11-02T00:00Z"}))
    assert [report.event_id for report in again] == [report.event_id for report in told(STATUS, HOOK)]
    assert told(STATUS | {"MessageStatus": "sent"})[0].event_id != told(STATUS)[0].event_id


def test_a_callback_without_a_key_or_a_number_is_told_all_the_same() -> None:
    """Twilio's own example has no To, and a service's callback is not ours to write."""
    (report,) = told({name: value for name, value in STATUS.items() if name != "To"}, HOOK)
    assert (report.send_key, report.contact, report.provider_id) == (None, None, STATUS["MessageSid"])


ANSWER = {
    "AccountSid": ACCOUNT,
    "MessageSid": "SM" + "2" * 32,
    "SmsStatus": "received",
    "From": "+4915112345000",
    "To": "12345",
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"Body": "Bitte aufhören", "OptOutType": "STOP"}, Told.UNSUBSCRIBED),
        ({"Body": "ja", "OptOutType": "START"}, Told.RESUBSCRIBED),
        ({"Body": "STOP", "OptOutType": "HELP"}, None),
        ({"Body": " sToP "}, Told.UNSUBSCRIBED),
        ({"Body": "UNSUBSCRIBE"}, Told.UNSUBSCRIBED),
        ({"Body": "unstop"}, Told.RESUBSCRIBED),
        ({"Body": "Stop please"}, None),
        ({"Body": "yes"}, None),
        ({"Body": ""}, None),
        ({}, None),
    ],
    ids=str,
)
def test_an_answer_unsubscribes_where_twilio_takes_it_so(fields: dict[str, str], expected: Told | None) -> None:
    """By its OptOutType, else by the whole text as Twilio does it by default; YES could answer something else."""
    reports = told(ANSWER | fields, HOOK)
    assert [report.told for report in reports] == ([expected] if expected else [])
    assert all((report.contact, report.at, report.send_key) == (ANSWER["From"], AT, None) for report in reports)


@pytest.mark.parametrize("status", ["canceled", "scheduled", "receiving", "partially_delivered", "new"])
def test_a_status_without_a_word_of_ours_is_left_out(status: str) -> None:
    """Twilio adds some without notice."""
    assert told(STATUS | {"MessageStatus": status}) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"a", b"MessageStatus=sent", b"MessageSid=SM1", b"Body=STOP"])
def test_what_twilio_does_not_document_is_said(body: bytes) -> None:
    """One of the errors that the gateway knows, and never half a report."""
    with pytest.raises((ValueError, LookupError, TypeError)):
        list(TwilioSink.reports(Heard(HOOK, RECEIVED, body)))


def test_a_report_needs_the_moment_that_the_gateway_set() -> None:
    """Twilio tells none: without the header there is no report, rather than one at a made-up time."""
    with pytest.raises(LookupError):
        list(TwilioSink.reports(Heard(HOOK, {}, urlencode(STATUS).encode())))


# --- what the recorder tells in dev

TELLABLE = [
    Report("1", Told.ACCEPTED, AT, send_key="a/1", contact="+4915112345000"),
    Report("2", Told.DELIVERED, AT, send_key="a/1", contact="+4915112345000"),
    Report("3", Told.OPENED, AT, send_key="a/1"),
    Report("4", Told.REJECTED, AT, send_key="a 2", contact="+4915112345000"),
    Report("5", Told.BOUNCED, AT, send_key="é", contact="+4915112345000", bounce="hard"),
    Report("6", Told.BOUNCED, AT, send_key="&=?", contact="+4915112345000", bounce="soft"),
    Report("7", Told.UNSUBSCRIBED, AT, contact="+4915112345000"),
    Report("8", Told.RESUBSCRIBED, AT, contact="+4915112345000"),
]


@pytest.mark.parametrize("report", TELLABLE, ids=lambda report: f"{report.told} {report.bounce}")
def test_what_the_recorder_tells_is_what_we_hear(report: Report) -> None:
    """Report → Twilio's request, signed with the dev secret as its library signs → the same report."""
    (request,) = TwilioSink.tell(HOOK, [report], AT)
    given = Heard(str(request.url), dict(request.headers) | RECEIVED, request.content)
    assert TwilioSink.is_signed(given, {"auth_token": "dev-auth_token"}, datetime.now(UTC))
    assert not TwilioSink.is_signed(given, {"auth_token": "dev-auth"}, datetime.now(UTC))
    fields = dict(parse_qsl(request.content.decode()))
    assert RequestValidator("dev-auth_token").validate(str(request.url), fields, request.headers["x-twilio-signature"])
    (back,) = TwilioSink.reports(given)
    assert (back.told, back.send_key, back.contact, back.bounce) == (
        report.told,
        report.send_key,
        report.contact,
        report.bounce,
    )


def test_the_recorder_calls_where_the_message_said() -> None:
    """The address of the callback, and the sid in it, are those of the message's own request and answer."""
    sink = made()
    request = sink.request(batch(sink))
    answer = sink.simulate(request, Fault()).response.json()
    (call,) = sink.tell(HOOK, [Report("1", Told.ACCEPTED, AT, "key/0+é")], AT)
    assert str(call.url) == form(request)["StatusCallback"]
    assert form(call)["MessageSid"] == answer["sid"]
    assert parse_qs(urlsplit(str(call.url)).query) == {"send_key": ["key/0+é"]}


def test_the_recorder_leaves_out_what_twilio_cannot_tell() -> None:
    """There is no word for a click or a complaint, and an answer comes from a number."""
    reports = [
        Report("1", Told.CLICKED, AT, send_key="a"),
        Report("2", Told.COMPLAINED, AT, send_key="a"),
        Report("3", Told.UNSUBSCRIBED, AT, send_key="a"),
    ]
    assert list(TwilioSink.tell(HOOK, reports, AT)) == []


def test_what_is_told_again_has_the_same_name() -> None:
    """The recorder may tell a thing twice: it is one event, also where the vendor's own name is known."""
    for report in (*TELLABLE, Report("9", Told.DELIVERED, AT, send_key="a", provider_id="SM" + "3" * 32)):
        first, again = (form(next(TwilioSink.tell(HOOK, [report], AT))) for _ in range(2))
        assert first["MessageSid"] == again["MessageSid"]
        assert report.provider_id in {None, first["MessageSid"]}
