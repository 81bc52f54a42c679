"""SendGrid's Event Webhook: signed as its own library checks it, and told in our words."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from sendgrid.helpers.eventwebhook import EventWebhook

from models.outcome import Report, Told
from sinks.reporting import Heard
from sinks.sendgrid import SendGridSink
from tests.sinks.desk import AT

SIGNATURE, TIMESTAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"

# published by SendGrid with its library (sendgrid-python, test/unit/test_eventwebhook.py, MIT)
VECTOR_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eN"
    "Ec6wEA3F+g=="
)
VECTOR = Heard(
    "https://gateway.example/webhooks/sendgrid",
    {
        SIGNATURE: "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
        TIMESTAMP: "1600112502",
    },
    (
        b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
        b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
        b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
        b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
    ),
)
VECTOR_AT = datetime.fromtimestamp(1600112502, UTC)
PAIR = ec.derive_private_key(20261101, ec.SECP256R1())


def shown(pair: ec.EllipticCurvePrivateKey) -> str:
    """A public key as SendGrid's settings show it."""
    return base64.b64encode(pair.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def signed(content: bytes, at: datetime = AT, pair: ec.EllipticCurvePrivateKey = PAIR) -> Heard:
    timestamp = str(int(at.timestamp()))
    signature = pair.sign(timestamp.encode() + content, ec.ECDSA(hashes.SHA256()))
    return replace(
        VECTOR, body=content, headers={SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}
    )


def ours(heard: Heard, key: str = VECTOR_KEY, now: datetime = VECTOR_AT) -> bool:
    return SendGridSink.is_signed(heard, {"verification_key": key}, now)


def theirs(heard: Heard, key: str = VECTOR_KEY) -> bool:
    """The verdict of SendGrid's own library."""
    content, headers = heard.body.decode(), heard.headers
    return bool(EventWebhook(key).verify_signature(content, headers[SIGNATURE], headers[TIMESTAMP]))


def test_the_published_request_is_signed() -> None:
    """SendGrid's own example of key, signature, moment and body is taken, by its library and by us."""
    assert theirs(VECTOR)
    assert ours(VECTOR)


def test_an_altered_request_is_refused() -> None:
    """Another body, moment, signature or key is refused, as SendGrid's library refuses it."""
    foreign = shown(ec.derive_private_key(7, ec.SECP256R1()))
    another = signed(VECTOR.body, VECTOR_AT).headers[SIGNATURE]
    altered = [
        replace(VECTOR, body=VECTOR.body.rstrip()),
        replace(VECTOR, body=VECTOR.body.replace(b"dropped", b"delivered")),
        replace(VECTOR, headers={**VECTOR.headers, TIMESTAMP: "1600112503"}),
        replace(VECTOR, headers={**VECTOR.headers, SIGNATURE: another}),
    ]
    assert not any(theirs(heard) or ours(heard) for heard in altered)
    assert not theirs(VECTOR, foreign)
    assert not ours(VECTOR, foreign)


@pytest.mark.parametrize(("seconds", "is_taken"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_only_what_was_signed_lately_is_taken(seconds: int, *, is_taken: bool) -> None:
    """Five minutes either way: what was heard once cannot be said again later."""
    assert ours(VECTOR, now=VECTOR_AT + timedelta(seconds=seconds)) is is_taken


@pytest.mark.parametrize("header", [SIGNATURE, TIMESTAMP])
@pytest.mark.parametrize("text", [None, "", "é", "====", "MEUC", "16001125O2", "-1", "1e9", "9" * 400, "٣", "1 6"])
def test_missing_or_garbage_headers_are_refused(header: str, text: str | None) -> None:
    """Whatever stands there, nothing is raised."""
    headers = {name: value for name, value in {**VECTOR.headers, header: text}.items() if value is not None}
    assert not ours(replace(VECTOR, headers=headers))


@pytest.mark.parametrize("key", ["", "garbage", "é", "AAAA", "dev-verification_key"])
def test_a_key_that_is_none_verifies_nothing(key: str) -> None:
    """Neither does the key of dev verify what SendGrid signed."""
    assert not ours(VECTOR, key)


@settings(max_examples=60, deadline=None)
@given(content=st.text(st.characters(codec="utf-8")), altered=st.text(st.characters(codec="utf-8")))
def test_we_and_sendgrids_library_are_of_one_mind(content: str, altered: str) -> None:
    """Of any body, and of any other under the same signature, our verdict is theirs."""
    key, heard = shown(PAIR), signed(content.encode())
    assert ours(heard, key, AT)
    assert theirs(heard, key)
    other = replace(heard, body=altered.encode())
    assert ours(other, key, AT) == theirs(other, key) == (altered == content)


# --- events

EVENT = {
    "email": "person0@shop.example",
    "timestamp": 1793525400,
    "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
    "category": ["news"],
    "sg_event_id": "6g4ZI7SA-xmRDv57GoPIPw==",
    "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.recvd-5f54b5d587-pczjm-1-67BADEEA-6.0",
    "send_key": "s0",
    "profile_id": "p0",
    "purpose": "marketing",
    "template": "hello",
}
REPORT = Report(
    event_id="6g4ZI7SA-xmRDv57GoPIPw==",
    told=Told.ACCEPTED,
    at=AT,
    send_key="s0",
    contact="person0@shop.example",
    profile_id="p0",
    purpose="marketing",
    provider_id="LRzXl_NHStOGhQ4kofSm_A",
)


def told(*events: dict[str, Any]) -> list[Report]:
    return list(SendGridSink.reports(replace(VECTOR, body=json.dumps(events).encode())))


@pytest.mark.parametrize(
    ("event", "report"),
    [
        ({"event": "processed"}, {"told": Told.ACCEPTED}),
        ({"event": "dropped", "reason": "Bounced Address"}, {"told": Told.REJECTED, "reason": "Bounced Address"}),
        ({"event": "delivered", "response": "250 OK"}, {"told": Told.DELIVERED}),
        ({"event": "open", "sg_machine_open": False}, {"told": Told.OPENED}),
        ({"event": "open", "sg_machine_open": True}, {"told": Told.OPENED, "is_machine": True}),
        ({"event": "click", "url": "https://shop.example/a"}, {"told": Told.CLICKED, "url": "https://shop.example/a"}),
        ({"event": "spamreport"}, {"told": Told.COMPLAINED}),
        ({"event": "unsubscribe"}, {"told": Told.UNSUBSCRIBED}),
        ({"event": "group_unsubscribe", "asm_group_id": 10, "url": "https://x"}, {"told": Told.UNSUBSCRIBED}),
        ({"event": "group_resubscribe", "asm_group_id": 10, "url": "https://x"}, {"told": Told.RESUBSCRIBED}),
    ],
)
def test_events_are_told_in_our_words(event: dict[str, Any], report: dict[str, Any]) -> None:
    """Each documented event is one report; message, person and purpose are those of its custom arguments."""
    assert told(EVENT | event) == [replace(REPORT, **report)]


@pytest.mark.parametrize(
    ("fields", "bounce"),
    [
        ({"type": "bounce", "status": "5.1.1"}, "hard"),
        ({"type": "bounce", "status": "5.0.0"}, "hard"),
        ({"type": "bounce", "status": "4.2.2"}, "soft"),
        ({"type": "bounce", "status": ""}, "soft"),
        ({"type": "bounce"}, "soft"),
        ({"type": "blocked", "status": "5.7.1"}, "soft"),
        ({"type": "blocked"}, "soft"),
        ({"status": "5.0.0"}, "soft"),
    ],
)
def test_only_a_permanent_bounce_is_hard(fields: dict[str, Any], bounce: str) -> None:
    """A block, and a bounce without a permanent code, leaves the address alive."""
    [report] = told(EVENT | {"event": "bounce", "reason": "500 unknown recipient"} | fields)
    assert (report.told, report.bounce, report.reason) == (Told.BOUNCED, bounce, "500 unknown recipient")


def test_what_is_nobodys_business_is_left_out() -> None:
    """A deferral, what is said of the account, and events not yet invented are no reports."""
    names = ["deferred", "account_status_change", "levitated", "delivered"]
    assert [report.told for report in told(*[EVENT | {"event": name} for name in names])] == [Told.DELIVERED]


def test_mail_that_is_not_ours_is_told_without_a_message() -> None:
    """The account may send by other ways: their events have no custom arguments, and an address all the same."""
    [report] = told({"email": "a@b.example", "event": "spamreport", "timestamp": "1793525400", "sg_event_id": "e"})
    assert report == Report("e", Told.COMPLAINED, AT, contact="a@b.example")


def test_a_redelivered_request_is_the_same_reports() -> None:
    """The events keep their ids, so hearing them twice is hearing them once."""
    events = [EVENT | {"event": "delivered"}, EVENT | {"event": "open", "sg_event_id": "another"}]
    assert told(*events) == told(*events)
    assert [report.event_id for report in told(*events)] == ["6g4ZI7SA-xmRDv57GoPIPw==", "another"]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["event", "timestamp", "sg_event_id", "email"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=8,
)
ODD_EVENT = st.fixed_dictionaries(
    {"event": st.just("open")}, optional={"timestamp": ANY_JSON, "sg_event_id": ANY_JSON, "sg_message_id": ANY_JSON}
)


@settings(max_examples=200, deadline=None)
@given(value=ANY_JSON | st.lists(ODD_EVENT, min_size=1, max_size=2))
def test_another_body_than_documented_is_said_so(value: Any) -> None:
    """It is read, or one of the three errors of the contract is raised, none other."""
    try:
        reports = SendGridSink.reports(replace(VECTOR, body=json.dumps(value).encode()))
    except (ValueError, LookupError, TypeError):
        return
    assert all(isinstance(report, Report) for report in reports)


LATE = b'[{"event":"open","sg_event_id":"e","timestamp":1e300}]'


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"[1]", b"[[]]", b"null", b'{"event":"open"}', LATE])
def test_what_is_no_list_of_events_is_refused(content: bytes) -> None:
    """A body that is not a list of objects with moments of the calendar is refused as a whole."""
    with pytest.raises((ValueError, LookupError, TypeError)):
        SendGridSink.reports(replace(VECTOR, body=content))


# --- what the recorder tells

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@st.composite
def reports_of_recorder(draw: st.DrawFn) -> Report:
    kind = draw(st.sampled_from(list(Told)))
    return Report(
        event_id=draw(WORDS),
        told=kind,
        at=draw(MOMENTS).replace(microsecond=0),
        send_key=draw(st.none() | WORDS),
        contact=draw(st.none() | WORDS),
        profile_id=draw(st.none() | WORDS),
        purpose=draw(st.none() | WORDS),
        bounce=draw(st.sampled_from(["hard", "soft"])) if kind is Told.BOUNCED else None,
        is_machine=draw(st.booleans()) if kind is Told.OPENED else False,
        url=draw(st.none() | WORDS) if kind is Told.CLICKED else None,
        reason=draw(st.none() | WORDS),
        provider_id=draw(st.none() | st.from_regex(r"[A-Za-z0-9_-]{22}", fullmatch=True)),
    )


def heard_by_gateway(requests: Iterable[httpx.Request]) -> list[Heard]:
    return [
        Heard(str(request.url), {name.lower(): value for name, value in request.headers.items()}, request.content)
        for request in requests
    ]


@settings(max_examples=60, deadline=None)
@given(reports=st.lists(reports_of_recorder(), max_size=6), at=MOMENTS)
def test_what_is_told_is_what_is_heard(reports: list[Report], at: datetime) -> None:
    """The recorder's requests carry the dev signature and read as the reports they were made of."""
    heard = heard_by_gateway(SendGridSink.tell(VECTOR.url, reports, at))
    assert [report for one in heard for report in SendGridSink.reports(one)] == reports
    assert all(one.url == VECTOR.url and ours(one, "dev-verification_key", at) for one in heard)


def test_sendgrids_library_takes_what_the_recorder_tells() -> None:
    """With the public half of the dev pair, the body and headers are such as SendGrid's receiver expects."""
    [heard] = heard_by_gateway(SendGridSink.tell(VECTOR.url, [REPORT], AT))
    digest = hashlib.sha256(b"dev-verification_key").digest()
    key = shown(ec.derive_private_key(int.from_bytes(digest), ec.SECP256R1()))
    assert theirs(heard, key)
    assert not theirs(replace(heard, body=heard.body[:-1]), key)


def test_many_reports_are_told_in_several_requests() -> None:
    """None is left out, and none is as large as SendGrid's largest (768 KB)."""
    reports = [replace(REPORT, event_id=str(number)) for number in range(1_234)]
    heard = heard_by_gateway(SendGridSink.tell(VECTOR.url, reports, AT))
    assert [report for one in heard for report in SendGridSink.reports(one)] == reports
    assert max(len(one.body) for one in heard) < 768_000
