"""What Twilio calls back, signed as its own library signs: who is believed, and what is told in our words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as some
from twilio.request_validator import RequestValidator

from models.outcome import Report, Told
from sinks.reporting import Heard
from sinks.twilio import TwilioSink
from tests.sinks.desk import AT

ACCOUNT, NUMBER = "AC0123456789abcdef0123456789abcdef", "+4915112345000"
HOOK = "https://t.shop.example/webhooks/text"
TOKEN, SECRETS = "12345", {"auth_token": "12345"}
RECEIVED = {"x-tailrace-received": AT.isoformat()}


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
WHOSE = {"AccountSid": ACCOUNT, "MessageSid": "SM" + "1" * 32}
STATUS = {**WHOSE, "MessageStatus": "delivered", "ErrorCode": "", "To": NUMBER}


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


ANSWER = {**WHOSE, "SmsStatus": "received", "From": NUMBER, "To": "12345"}


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
        calls = [next(TwilioSink.tell(HOOK, [report], AT)).content.decode() for _ in range(2)]
        first, again = (dict(parse_qsl(call))["MessageSid"] for call in calls)
        assert first == again
        assert report.provider_id in {None, first}
