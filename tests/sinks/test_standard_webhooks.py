"""Incoming Standard Webhooks: what the reference library signs is taken, and nothing else is."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some
from standardwebhooks import Webhook, WebhookVerificationError

from sinks.reporting import Heard
from sinks.standard_webhooks import is_signed
from sinks.webhook import sign

SECRET = "whsec_" + base64.b64encode(b"twenty-four secret bytes").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of theirs").decode()
BODY = '{"type":"message.delivered","data":{"to":"zoë@shop.example"}}'
NOW = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def signature(secret: str = SECRET, at: datetime = NOW, body: str = BODY) -> str:
    """By the reference library."""
    return Webhook(secret).sign("msg_1", at, body)


def heard(signatures: str, at: str | None = None, body: bytes = BODY.encode(), **headers: str) -> Heard:
    told = {
        "webhook-id": "msg_1",
        "webhook-timestamp": at or str(int(NOW.timestamp())),
        "webhook-signature": signatures,
    }
    return Heard("https://t.shop.example/webhooks/partner", told | headers, body)


@given(some.text(some.characters(exclude_categories=["Cs"])), some.binary(min_size=1, max_size=64))
def test_what_the_reference_library_signs_is_taken(body: str, key: bytes) -> None:
    """Any body, any key: the library's signature fits, and no other body fits it."""
    secret = "whsec_" + base64.b64encode(key).decode()
    signed = signature(secret, body=body)
    assert is_signed(heard(signed, body=body.encode()), secret, NOW)
    assert not is_signed(heard(signed, body=body.encode() + b" "), secret, NOW)


def test_both_sides_agree_on_a_request_of_now() -> None:
    """One request, verified by the reference library and by us."""
    now = datetime.now(UTC)
    request = heard(signature(at=now), str(int(now.timestamp())))
    Webhook(SECRET).verify(request.body, dict(request.headers))
    assert is_signed(request, SECRET, now)


@pytest.mark.parametrize(
    "signatures",
    [
        f"{signature(OTHER)} {signature()}",
        f"v1a,c29tZXRoaW5nIGVsc2U= {signature()} v2,AAAA",
        f"{signature()} {signature(OTHER)}",
    ],
    ids=["the last", "among other kinds", "the first"],
)
def test_one_signature_that_fits_is_enough(signatures: str) -> None:
    """While a sender changes its secret it signs with both: any one of them will do."""
    assert is_signed(heard(signatures), SECRET, NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_five_minutes_either_way_are_lately(seconds: int) -> None:
    """Clocks differ, and requests take time."""
    at = NOW + timedelta(seconds=seconds)
    assert is_signed(heard(signature(at=at), str(int(at.timestamp()))), SECRET, NOW)


@pytest.mark.parametrize("seconds", [-301, 301, -86_400])
def test_what_was_signed_at_another_time_is_refused(seconds: int) -> None:
    """A replay is refused although its signature fits."""
    at = NOW + timedelta(seconds=seconds)
    assert not is_signed(heard(signature(at=at), str(int(at.timestamp()))), SECRET, NOW)


@pytest.mark.parametrize(
    "request_",
    [
        heard(signature(OTHER)),
        heard(signature(), body=BODY.replace("zoë", "eve").encode()),
        heard(signature(), str(int(NOW.timestamp()) + 1)),
        heard(signature(), **{"webhook-id": "msg_2"}),
        heard(signature().replace("v1,", "v1a,")),
        heard(signature().removeprefix("v1,")),
        heard(signature()[:-4]),
        heard(""),
        heard("v1,"),
        heard("v1,\udcff ÿ , ,, v1"),
        heard(signature(), **{"webhook-id": ""}),
        heard(signature(), **{"webhook-id": "msg_\udcff"}),
        *(heard(signature(), at) for at in ("x", "-1", "1e9", "9" * 5_000, "\uff11\uff17", "nan")),
        Heard("https://t.shop.example/webhooks/partner", {}, b"\x00\xff"),
    ],
)
def test_what_the_sender_did_not_sign_is_refused(request_: Heard) -> None:
    """Foreign, altered, unsigned or garbage: refused, and nothing is raised."""
    assert not is_signed(request_, SECRET, NOW)


def test_the_reference_library_refuses_what_we_refuse() -> None:
    """The request that is foreign to us is foreign to it: the vectors are not refused for another reason."""
    now = datetime.now(UTC)
    request = heard(signature(OTHER, now), str(int(now.timestamp())))
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(SECRET).verify(request.body, dict(request.headers))
    assert not is_signed(request, SECRET, now)


def test_a_secret_without_its_padding_is_the_same_secret() -> None:
    """As in the reference library."""
    short = "whsec_" + base64.b64encode(b"twenty-five secret bytes!").decode()
    assert short.endswith("=")
    assert is_signed(heard(signature(short)), short.rstrip("="), NOW)


def test_a_secret_that_is_a_text_is_its_own_key() -> None:
    """The secret of dev has no prefix: what our own webhooks sign with it is taken."""
    at = str(int(NOW.timestamp()))
    assert is_signed(heard(sign("dev-signing", "msg_1", at, BODY.encode())), "dev-signing", NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_====", "whsec_!!!!", "whsec_a-b_", "whsec_YWJj\n", "whsec_A"])
def test_a_secret_that_cannot_be_one_is_said(secret: str) -> None:
    """An empty key would let anybody sign: it is a mistake of the configuration, not of the request."""
    with pytest.raises(ValueError, match=r"whsec_|base64"):
        is_signed(heard(signature()), secret, NOW)
