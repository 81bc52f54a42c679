"""What SendGrid tells of messages after it took them: its Event Webhook, signed with ECDSA.

Message and person come back in the custom arguments that sinks/sendgrid.py sends along.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import httpx
import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from models.outcome import Report, Told
from sinks.base import json_request
from sinks.callbacks import Checked, Setup
from sinks.reporting import Heard

SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"
TOLERANCE = 300  # seconds between signature and receipt
EVENTS_A_REQUEST = 500
DEV_KEY = "dev-verification_key"
_ECDSA = ec.ECDSA(hashes.SHA256())


class SendGridReports(Checked):
    """Left open by SendGrid: whether a redelivery is signed anew. One that is not would be refused as too old.

    A bounce is hard where SendGrid calls it one (`type` is `bounce`, not `blocked`) and the code of the other server is
    permanent: who is taken for dead by mistake hears nothing more, while SendGrid itself drops what goes to the dead.
    """

    events_a_request = EVENTS_A_REQUEST
    webhook_secrets = ("verification_key",)

    _told: Mapping[str, Told] = {  # without `deferred`, which is tried again, and what is said of the account
        "processed": Told.ACCEPTED,
        "dropped": Told.REJECTED,
        "delivered": Told.DELIVERED,
        "bounce": Told.BOUNCED,
        "open": Told.OPENED,
        "click": Told.CLICKED,
        "spamreport": Told.COMPLAINED,
        "group_unsubscribe": Told.UNSUBSCRIBED,
        "unsubscribe": Told.UNSUBSCRIBED,
        "group_resubscribe": Told.RESUBSCRIBED,
    }

    @classmethod
    def mistakes(cls, setup: Setup) -> Iterator[tuple[tuple[str, str], str]]:
        if _verifying(setup.secrets["verification_key"]) is None:
            message = "the environment variable holds no public key, as SendGrid shows it for Signed Event Webhook"
            yield ("secrets", "verification_key"), message

    @classmethod
    def is_signed(cls, heard: Heard, secrets: Mapping[str, str], now: datetime) -> bool:
        signed_at = heard.headers.get(TIMESTAMP.lower(), "")
        key = _verifying(secrets["verification_key"])
        if key is None or not _is_recent(signed_at, now):
            return False
        try:
            signature = base64.b64decode(heard.headers.get(SIGNATURE.lower(), ""), validate=True)
            key.verify(signature, signed_at.encode() + heard.body, _ECDSA)
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def reports(cls, heard: Heard) -> Sequence[Report]:
        events = orjson.loads(heard.body)
        if not isinstance(events, list):
            raise TypeError("not a list of events")
        return [_report(event, told) for event in events if (told := cls._told.get(event["event"]))]

    @classmethod
    def tell(cls, url: str, reports: Sequence[Report], at: datetime) -> Iterator[httpx.Request]:
        names = {told: name for name, told in cls._told.items()}
        for first in range(0, len(reports), EVENTS_A_REQUEST):
            some = reports[first : first + EVENTS_A_REQUEST]
            events = [_event(report, names[report.told]) for report in some]
            body = orjson.dumps(events) + b"\r\n"  # as SendGrid ends it: the signature covers that, too
            signed_at = str(int(at.timestamp()))
            signature = _dev_key().sign(signed_at.encode() + body, _ECDSA)
            yield json_request(url, body, {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: signed_at})


def _report(event: Mapping[str, Any], told: Told) -> Report:
    """The custom arguments are beside SendGrid's own fields."""
    message = _text(event, "sg_message_id")
    return Report(
        event_id=str(event["sg_event_id"]),
        told=told,
        at=_moment(event["timestamp"]),
        send_key=_text(event, "send_key"),
        contact=_text(event, "email"),
        profile_id=_text(event, "profile_id"),
        purpose=_text(event, "purpose"),
        bounce=_bounce(event) if told is Told.BOUNCED else None,
        is_machine=event.get("sg_machine_open") is True,  # Apple's mail programs open everything
        url=_text(event, "url") if told is Told.CLICKED else None,
        reason=_text(event, "reason"),
        provider_id=message and message.partition(".")[0],  # what X-Message-Id said; a server's name follows
    )


def _bounce(event: Mapping[str, Any]) -> Literal["hard", "soft"]:
    is_permanent = str(event.get("status", "")).startswith("5")
    return "hard" if event.get("type") == "bounce" and is_permanent else "soft"


def _text(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name)
    return None if value is None else str(value)


def _moment(seconds: Any) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("a moment that no calendar has") from error


def _is_recent(signed_at: str, now: datetime) -> bool:
    """Seconds as SendGrid writes them: up to twelve digits."""
    is_number = signed_at.isascii() and signed_at.isdecimal() and len(signed_at) <= 12  # noqa: PLR2004
    return is_number and abs(now.timestamp() - int(signed_at)) <= TOLERANCE


@lru_cache(maxsize=16)
def _verifying(secret: str) -> ec.EllipticCurvePublicKey | None:
    """The public key as SendGrid shows it, base64 of its DER; None where the text is no such key."""
    if secret == DEV_KEY:
        return _dev_key().public_key()
    try:
        key = load_der_public_key(base64.b64decode(secret, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


@lru_cache(maxsize=1)
def _dev_key() -> ec.EllipticCurvePrivateKey:
    """SendGrid shows only the public half of a pair: in dev both follow from the secret's fixed text."""
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(DEV_KEY.encode()).digest()), ec.SECP256R1())


_BOUNCES: Mapping[str | None, Mapping[str, str]] = {
    "hard": {"type": "bounce", "status": "5.1.1"},
    "soft": {"type": "blocked", "status": "5.7.1"},
}


def _event(report: Report, name: str) -> dict[str, Any]:
    given = {
        "email": report.contact,
        "timestamp": int(report.at.timestamp()),
        "event": name,
        "sg_event_id": report.event_id,
        "sg_message_id": report.provider_id and f"{report.provider_id}.recvd-dev-0-0.0",
        "sg_machine_open": report.is_machine if report.told is Told.OPENED else None,
        "reason": report.reason,
        "url": report.url,
        "send_key": report.send_key,
        "profile_id": report.profile_id,
        "purpose": report.purpose,
        **_BOUNCES.get(report.bounce, {}),
    }
    return {field: value for field, value in given.items() if value is not None}
