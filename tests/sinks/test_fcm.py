"""FCM: the message as documented, access tokens as Google gives them, and errors by FCM's own codes."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import polars as pl
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.auth import crypt, jwt
from pydantic import ValidationError

from models.delivery import Outcome
from models.errors import UserError
from models.message import FIELDS
from models.sync import Op
from sinks import answers
from sinks.backlog import Chunk
from sinks.base import Batch, Fault
from sinks.fcm import LARGEST_PAYLOAD, FcmOptions, FcmSink
from sinks.google_account import TOKEN_URL
from sinks.suppression import contact_hash, refused
from tests.sinks.desk import AT, Desk, Recorder, Scripted

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def push(secret: str = "dev-service_account", **options: Any) -> FcmSink:
    return FcmSink(FcmOptions(**{"project": "shop-demo"} | options), {"service_account": secret})


def account(key: Any = KEY, **changed: Any) -> str:
    """The JSON text of a service account's key."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    info = {"client_email": "push@shop.example", "private_key": pem, "private_key_id": "key1"} | changed
    return json.dumps({name: value for name, value in info.items() if value is not None})


def messages(count: int = 1, **columns: str | None) -> pl.DataFrame:
    """Spool rows of composed messages."""
    told: dict[str, str | None] = dict.fromkeys(FIELDS) | {
        "subject": "Back in stock",
        "text": "Your size is here.",
        "purpose": "marketing",
        "journey": "back_in_stock",
        "node": "push1",
        "template": "stock_push",
        "locale": "en",
    }
    rows = [told | {"send_key": f"key{n}", "profile_id": f"p{n}", "to": f"token{n}"} | columns for n in range(count)]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(FIELDS, pl.String))
    return frame.select(
        pl.int_range(pl.len()).alias("_row"),
        pl.lit("send").alias("_op"),
        pl.col("send_key").alias("_send_key"),
        pl.all(),
    )


def batch(sink: FcmSink, rows: pl.DataFrame) -> Batch:
    chunk = Chunk.of(sink, Op.SEND, rows)
    return Batch("fcm/seg", Op.SEND, "k", ("send_key",), AT, chunk.payloads[:1], chunk.frame, range(1))


def entered(sink: FcmSink) -> FcmSink:
    """Logged in as the loop does it."""
    request = sink.login(AT)
    assert request is not None
    sink.logged_in(sink.simulate(request, Fault()).response, AT)
    return sink


def error(status: int, code: str = "", general: str = "", message: str = "no", **detail: Any) -> httpx.Response:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    details = [{"@type": kind, "errorCode": code}] if code else []
    details += [{"@type": "type.googleapis.com/google.rpc.BadRequest", **detail}] if detail else []
    body = {"error": {"code": status, "message": message, "status": general or code, "details": details}}
    return httpx.Response(status, json=body)


def test_a_message_is_what_the_documentation_shows() -> None:
    """Token, title and body, the app's data as text, a label for Firebase's reports; nothing that is null or empty."""
    sink = entered(push())
    request = sink.request(batch(sink, messages(journey=None, subject="", text="日本 “é”")))
    assert str(request.url) == "https://fcm.googleapis.com/v1/projects/shop-demo/messages:send"
    assert request.headers["authorization"] == "Bearer dev-token"
    assert json.loads(request.content) == {
        "message": {
            "token": "token0",
            "notification": {"body": "日本 “é”"},
            "data": {"send_key": "key0", "node": "push1", "template": "stock_push"},
            "fcm_options": {"analytics_label": "stock_push"},
        }
    }


def test_a_label_has_only_what_fcm_allows_in_it() -> None:
    """Letters, digits and -_.~%, fifty at most."""
    sink = push()
    request = sink.request(batch(sink, messages(journey="Rückkehr 1/" + "x" * 60)))
    label = json.loads(request.content)["message"]["fcm_options"]["analytics_label"]
    assert label == "R_ckkehr_1_" + "x" * 39


@pytest.mark.parametrize(("ttl", "expiration"), [(3600, str(int(AT.timestamp()) + 3600)), (0, "0")])
def test_a_time_to_live_is_told_to_every_platform(ttl: int, expiration: str) -> None:
    """Seconds for Android and the web, a moment for Apple, whose 0 is now or never."""
    sink = push(ttl=ttl)
    message = json.loads(sink.request(batch(sink, messages())).content)["message"]
    assert message["android"] == {"ttl": f"{ttl}s"}
    assert message["apns"] == {"headers": {"apns-expiration": expiration}}
    assert message["webpush"] == {"headers": {"TTL": str(ttl)}}


def test_a_dry_run_reaches_nobody() -> None:
    """FCM checks the message, answers as for a sent one, and no device knows of it."""
    sink = entered(push(dry_run=True))
    sent = batch(sink, messages())
    request = sink.request(sent)
    heard = sink.simulate(request, Fault())
    assert json.loads(request.content)["validate_only"] is True
    assert heard.rows == ()
    assert sink.outcomes(sent, heard.response)[0].provider_id == "projects/shop-demo/messages/fake_message_id"


def test_an_accepted_message_has_the_name_fcm_gave_it(offline: Desk) -> None:
    """Each message is one request after one login, heard once, and its receipt has FCM's name for it."""
    known: list[Any] = []

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = FcmSink.simulate(request, Fault())
        known.extend(heard.rows)
        return heard.response

    scripted = Scripted(answer)
    assert offline.deliver(push(), messages(5), transport=scripted, key=("send_key",)).counts == {"accepted": 5}
    assert sum(str(request.url) == TOKEN_URL for request in scripted.requests) == 1
    assert sorted(row.identity for row in known) == [f"key{number}" for number in range(5)]
    assert dict(next(row for row in known if row.identity == "key0").payload) == {
        "to": "token0",
        "subject": "Back in stock",
        "text": "Your size is here.",
        "send_key": "key0",
        "journey": "back_in_stock",
        "node": "push1",
        "template": "stock_push",
    }
    names = {row["provider_id"] for row in offline.receipts().to_pylist()}
    assert len(names) == 5
    assert all(name.startswith("projects/shop-demo/messages/") for name in names)


def test_the_recorder_hears_logins_and_messages(desk: Desk, recorder: Recorder) -> None:
    """Through the wire both of Google's hosts are the recorder, which keeps each message once."""
    sink = push(connections=4)
    assert desk.deliver(sink, messages(20), key=("send_key",)).counts == {"accepted": 20}
    assert sorted(recorder.identities()) == sorted(f"key{number}" for number in range(20))


def test_a_real_key_signs_what_google_asks_for() -> None:
    """RS256 with the key's id; issuer, scope, audience and an hour: as for a service account."""
    request = push(account()).login(AT)
    assert request is not None
    assert str(request.url) == TOKEN_URL
    form = parse_qs(request.content.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assertion = form["assertion"][0]
    signed, _, _ = assertion.rpartition(".")
    assert jwt.decode_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "key1"}
    assert crypt.RSAVerifier(KEY.public_key()).verify(signed, _signature(assertion))
    assert jwt.decode(assertion, verify=False) == {
        "iss": "push@shop.example",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": TOKEN_URL,
        "iat": int(AT.timestamp()),
        "exp": int(AT.timestamp()) + 3600,
    }


def _signature(assertion: str) -> bytes:
    return base64.urlsafe_b64decode(assertion.rpartition(".")[2] + "==")


def test_a_token_is_asked_for_again_a_minute_before_it_ends() -> None:
    """One token serves an hour of requests."""
    sink = entered(push())
    assert sink.login(AT + timedelta(seconds=3599 - 61)) is None
    assert sink.login(AT + timedelta(seconds=3599 - 60)) is not None


@pytest.mark.parametrize(
    "secret",
    [
        "wrong",
        "[]",
        "7",
        "{}",
        account(client_email=None),
        account(private_key="-----BEGIN"),
        account(private_key=7),
        account(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=range(8),
)
def test_what_is_no_service_account_is_refused_without_being_shown(secret: str) -> None:
    """The message names the secret; neither it nor what led to it holds any of its text."""
    with pytest.raises(UserError, match="service_account") as raised:
        push(secret)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    assert "BEGIN" not in str(raised.value)


def test_a_sink_without_secrets_can_be_described() -> None:
    """Definitions load where no secret is."""
    assert push("").account == "fcm:shop-demo"


@pytest.mark.parametrize("secret", [account(), "dev-service_account"])
def test_the_simulated_google_knows_only_the_dev_key(secret: str) -> None:
    """Another key, another audience and another time are refused; a request without the token, too."""
    sink = push(secret)
    request = sink.login(AT)
    assert request is not None
    granted = sink.simulate(request, Fault())
    assert granted.rows == ()
    assert granted.response.status_code == (200 if secret.startswith("dev") else 400)
    tampered = httpx.Request("POST", TOKEN_URL, content=request.content.replace(b"grant_type", b"grant"))
    assert sink.simulate(tampered, Fault()).response.status_code == 400
    heard = sink.simulate(sink.request(batch(sink, messages())), Fault())
    assert (heard.response.status_code, heard.rows) == (401, ())


@pytest.mark.parametrize(("claim", "value"), [("aud", "https://elsewhere.example"), ("scope", "x"), ("exp", 2**40)])
def test_an_assertion_of_other_claims_gets_no_token(claim: str, value: Any) -> None:
    """Signed by the right key, but for something else, or for longer than an hour."""
    sink = push()
    assert sink._service_account is not None
    issued = int(AT.timestamp())
    claims = {"iss": "x", "scope": "https://www.googleapis.com/auth/firebase.messaging", "aud": TOKEN_URL}
    claims |= {"iat": issued, "exp": issued + 3600} | {claim: value}
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": jwt.encode(sink._service_account.signer, claims).decode(),
    }
    assert sink.simulate(httpx.Request("POST", TOKEN_URL, data=form), Fault()).response.status_code == 400


def test_who_is_suppressed_while_the_login_lasts_gets_nothing(offline: Desk) -> None:
    """The login is before the claim, and the claim is the last look at the suppression list."""
    contact = contact_hash("salt", "token0")

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        if str(request.url) == TOKEN_URL:
            offline.journal.suppress([refused(contact, "marketing", AT)])
        return FcmSink.simulate(request, Fault()).response

    scripted = Scripted(answer)
    rows = messages().with_columns(_contact=pl.lit(contact))
    summary = offline.deliver(
        push(), rows, transport=scripted, key=("send_key",), purpose="marketing", suppressed_from=0
    )
    assert summary.counts == {"withdrawn": 1}
    assert {str(request.url) for request in scripted.requests} == {TOKEN_URL}


def test_a_refused_login_stops_before_anything_is_sent(offline: Desk) -> None:
    """Nobody is let in: nothing of the rows has left, and the run stops with what to check."""
    scripted = Scripted(lambda request, _ordinal: FcmSink.simulate(request, Fault(refuse="account disabled")).response)
    summary = offline.deliver(push(connections=1), messages(5), transport=scripted, key=("send_key",))
    assert "check the secrets" in str(summary.stopped)
    assert {str(request.url) for request in scripted.requests} == {TOKEN_URL}
    assert set(offline.last().values()) == {"retry"}


def test_a_dead_token_leaves_and_no_other_does() -> None:
    """UNREGISTERED says that the app is gone from the device; an invalid argument may be anything."""
    sink = push()
    gone = answers.read(sink, batch(sink, messages()), [error(404, "UNREGISTERED", "NOT_FOUND")])[0]
    bad = answers.read(sink, batch(sink, messages()), [error(400, "INVALID_ARGUMENT")])[0]
    assert (gone.outcome, bad.outcome) == (Outcome.REJECTED, Outcome.REJECTED)
    assert sink.is_dead(gone.reason)
    assert not sink.is_dead(bad.reason)


def test_a_reason_says_which_field() -> None:
    """What Google says of fields is in the reason, since its message often says nothing."""
    fields = [{"field": "message.token", "description": "Invalid registration token"}]
    answer = error(400, "INVALID_ARGUMENT", message="Request contains an invalid argument.", fieldViolations=fields)
    sink = push()
    reason = answers.read(sink, batch(sink, messages()), [answer])[0].reason
    assert reason == (
        "INVALID_ARGUMENT: Request contains an invalid argument.; message.token: Invalid registration token"
    )


def test_a_403_is_about_the_row_only_where_fcm_says_so() -> None:
    """A token of another project is one row's; any other 403 is the account's and stops."""
    sink = push()
    row = answers.read(sink, batch(sink, messages()), [error(403, "SENDER_ID_MISMATCH", "PERMISSION_DENIED")])
    ours = answers.read(sink, batch(sink, messages()), [error(403, general="PERMISSION_DENIED")])
    assert (row.default.outcome, row.stop) == (Outcome.REJECTED, "")
    assert (ours.default.outcome, bool(ours.stop)) == (Outcome.RETRY, True)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (401, "THIRD_PARTY_AUTH_ERROR", Outcome.RETRY),
        (429, "QUOTA_EXCEEDED", Outcome.RETRY),
        (500, "INTERNAL", Outcome.UNKNOWN),
        (503, "UNAVAILABLE", Outcome.UNKNOWN),
    ],
)
def test_what_is_not_about_the_row_is_the_loops(status: int, code: str, outcome: Outcome) -> None:
    """Certificates stop, quotas wait, and a server error leaves open whether the message went."""
    sink = push()
    read = answers.read(sink, batch(sink, messages()), [error(status, code)])
    assert read.default.outcome is outcome
    assert bool(read.stop) == (status == 401)
    assert read.throttled == (status == 429)


def test_a_project_that_is_not_there_stops() -> None:
    """A 404 that is not about the token rejects nobody."""
    sink = push()
    read = answers.read(sink, batch(sink, messages()), [error(404, general="NOT_FOUND")])
    assert "project" in read.stop
    assert read.default.outcome is Outcome.RETRY


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("UNREGISTERED", "rejected"), ("SENDER_ID_MISMATCH", "rejected"), ("bad", "rejected"), ("INTERNAL", "unknown")],
)
def test_the_simulated_fcm_refuses_in_its_own_words(offline: Desk, reason: str, outcome: str) -> None:
    """A programmed fault comes as FCM would say it and hits its row alone."""

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = FcmSink.simulate(request, Fault())
        hit = any(row.identity == "key1" for row in heard.rows)
        return FcmSink.simulate(request, Fault(reject={0: reason})).response if hit else heard.response

    summary = offline.deliver(push(), messages(3), transport=Scripted(answer), key=("send_key",))
    assert summary.counts == {"accepted": 2, outcome: 1}
    assert offline.last()[1] == outcome


@pytest.mark.parametrize(("over", "status"), [(0, 200), (1, 400)])
def test_a_payload_holds_4096_bytes_and_no_more(over: int, status: int) -> None:
    """Bytes, not characters, of keys and values count."""
    sink = entered(push())
    text = "é" * 1000
    room = LARGEST_PAYLOAD - _size(sink, messages(text=text))
    request = sink.request(batch(sink, messages(text=text + "x" * (room + over))))
    assert sink.simulate(request, Fault()).response.status_code == status


def _size(sink: FcmSink, rows: pl.DataFrame) -> int:
    message = json.loads(sink.request(batch(sink, rows)).content)["message"]
    return sum(len(f"{k}{v}".encode()) for part in ("notification", "data") for k, v in message[part].items())


@pytest.mark.parametrize("options", [{"project": "a/b"}, {"ttl": 2_419_201}, {"ttl": -1}, {"link": "x"}])
def test_options_that_fcm_would_refuse_are_refused_first(options: dict[str, Any]) -> None:
    """Where it goes and how long it is kept are checked when definitions load."""
    with pytest.raises(ValidationError):
        push(**options)
