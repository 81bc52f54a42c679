"""Push by Firebase Cloud Messaging, HTTP v1 (firebase.google.com/docs/reference/fcm/rest): one message a request.

FCM reports nothing back: what a message led to is told by the app, which finds `send_key` in the message's data.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import orjson
import polars as pl
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth import crypt, jwt
from pydantic import BaseModel, Field, ValidationError

from models.delivery import Outcome, Outcomes, RowOutcome
from models.errors import UserError
from models.sync import Mode, Op
from sinks.base import (
    Batch,
    Fault,
    HttpSink,
    Known,
    Limits,
    Operation,
    Options,
    Simulated,
    destination,
    form_request,
    json_request,
)
from sinks.simulated import json_response

HOST, TOKEN_URL = "https://fcm.googleapis.com", "https://oauth2.googleapis.com/token"
SCOPE, GRANT = "https://www.googleapis.com/auth/firebase.messaging", "urn:ietf:params:oauth:grant-type:jwt-bearer"
LARGEST_PAYLOAD = 4096  # bytes of keys and values; how FCM counts what is not `data` is not documented
LONGEST_TTL = 2_419_200  # four weeks
_ASSERTED = timedelta(hours=1)  # the longest that Google takes
_SOON = timedelta(minutes=1)
_DATA_COLUMNS = ("send_key", "journey", "node", "template")  # what the app is told
_SENT_COLUMNS = ("to", "subject", "text", *_DATA_COLUMNS)
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_.~%-]")
_DEV_SECRET, _DEV_TOKEN = "dev-service_account", "dev-token"


class FcmOptions(Options):
    project: str = destination(
        description="The Firebase project's id", pattern=r"^[a-z0-9][a-z0-9.:-]*$", examples=["shop-demo"]
    )
    ttl: int | None = Field(
        default=None,
        ge=0,
        le=LONGEST_TTL,
        description="Seconds in which a device that is away may still get a message; default: FCM's, four weeks",
    )
    dry_run: bool = Field(
        default=False, description="FCM checks every message and delivers none; the rows count as sent all the same"
    )
    connections: int = Field(default=16, ge=1, le=64, description="Requests in flight")
    per_second: float = Field(
        default=10_000.0, gt=0, description="Messages a second; default: a project's quota, 600,000 a minute"
    )
    timeout: float = Field(default=30.0, gt=0, description="Seconds until an answer is given up")


class FcmSink(HttpSink):
    """A send is not idempotent: FCM delivers a repeat again.

    Left open by the documentation: QUOTA_EXCEEDED (429) is also said of one device that got too much, and holds the
    whole project back then. A token of another form is INVALID_ARGUMENT like any other mistake, so it is not dead.
    """

    Options = FcmOptions
    secrets = ("service_account",)
    channel = "push"
    modes = frozenset({Mode.SEND_ON_ENTRY})
    options: FcmOptions

    # FcmError codes; the others are about the account, or told by their status
    UNREGISTERED = "UNREGISTERED"  # 404: the app is gone from the device
    ANOTHER_SENDER = "SENDER_ID_MISMATCH"  # 403: the token belongs to another project

    def __init__(self, options: Any, secrets: Mapping[str, str]) -> None:
        """Raises UserError where the secret is no service account's key; without any the sink can be described."""
        super().__init__(options, secrets)
        secret = secrets["service_account"]
        self._service_account = _ServiceAccount.of(secret) if secret else None
        self._token = ""
        self._until: datetime | None = None

    @property
    def account(self) -> str:
        return f"fcm:{self.options.project}"

    @property
    def limits(self) -> Limits:
        return Limits(
            connections=self.options.connections, per_second=self.options.per_second, timeout=self.options.timeout
        )

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return {Op.SEND: Operation(idempotent=False)}

    @classmethod
    def is_dead(cls, reason: str) -> bool:
        return reason.startswith(cls.UNREGISTERED)

    def login(self, at: datetime) -> httpx.Request | None:
        if self._until and at < self._until - _SOON:
            return None
        assert self._service_account, "a sink without its secret is only described"
        assertion = self._service_account.assertion(at)
        return form_request(TOKEN_URL, [("grant_type", GRANT), ("assertion", assertion)], {})

    def logged_in(self, response: httpx.Response, at: datetime) -> None:
        granted = _Granted.model_validate_json(response.content)
        self._token, self._until = granted.access_token, at + timedelta(seconds=granted.expires_in)

    def payloads(self, op: Op, rows: pl.DataFrame) -> Sequence[str]:  # noqa: ARG002 - there is one operation
        return rows.select(pl.struct(_SENT_COLUMNS).struct.json_encode()).to_series().to_list()

    def request(self, batch: Batch) -> httpx.Request:
        body: dict[str, Any] = {"message": _message(orjson.loads(batch.payloads[0])) | self._kept_until(batch.at)}
        if self.options.dry_run:
            body["validate_only"] = True
        url = f"{HOST}/v1/projects/{self.options.project}/messages:send"
        return json_request(url, orjson.dumps(body), {"Authorization": f"Bearer {self._token}"})

    def _kept_until(self, at: datetime) -> dict[str, Any]:
        """The time to live in the three platforms' words; 0 is now or never."""
        ttl = self.options.ttl
        if ttl is None:
            return {}
        expires = int(at.timestamp()) + ttl if ttl else 0
        return {
            "android": {"ttl": f"{ttl}s"},
            "apns": {"headers": {"apns-expiration": str(expires)}},
            "webpush": {"headers": {"TTL": str(ttl)}},
        }

    def is_about_rows(self, response: httpx.Response) -> bool:
        """A 403 of FCM's own about the token; any other is the account's."""
        try:
            return response.status_code == httpx.codes.FORBIDDEN and _error(response).code == self.ANOTHER_SENDER
        except ValidationError:
            return False

    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:  # noqa: ARG002 - it is one row
        if not response.is_error:
            sent = _Sent.model_validate_json(response.content)
            return Outcomes(RowOutcome(Outcome.ACCEPTED, provider_id=sent.name))
        error = _error(response)
        if response.status_code == httpx.codes.NOT_FOUND and error.code != self.UNREGISTERED:
            return Outcomes.all(Outcome.RETRY, error.reason, stop="FCM has no such project: check `project`")
        return Outcomes.all(Outcome.REJECTED, error.reason)

    @classmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        if str(request.url) == TOKEN_URL:
            return _granted(request, fault)
        if request.headers.get("Authorization") != f"Bearer {_DEV_TOKEN}":
            return _refusal(401, "UNAUTHENTICATED", "no valid access token")
        try:
            body = orjson.loads(request.content)
            message = body["message"]
            to, shown, data = str(message["token"]), dict(message["notification"]), dict(message["data"])
            known = Known(Op.SEND, data["send_key"], {"to": to, **_composed(shown), **data})
            size = sum(len(f"{key}{value}".encode()) for part in (shown, data) for key, value in part.items())
        except (ValueError, LookupError, TypeError) as error:
            return _refusal(400, "INVALID_ARGUMENT", f"not understood: {type(error).__name__}")
        reason = fault.refuse or fault.reject.get(0)
        if reason is not None:
            code = reason if reason in _STATUS else "INVALID_ARGUMENT"
            return _refusal(_STATUS[code], code, reason)
        if not to or size > LARGEST_PAYLOAD or not all(isinstance(value, str) for value in data.values()):
            return _refusal(400, "INVALID_ARGUMENT", f"a token, texts and {LARGEST_PAYLOAD} bytes at most; got {size}")
        is_checked_only = body.get("validate_only") is True
        name = "fake_message_id" if is_checked_only else hashlib.sha256(request.content).hexdigest()[:16]
        answer = {"name": f"{request.url.path.removeprefix('/v1/').removesuffix('/messages:send')}/messages/{name}"}
        return Simulated(json_response(200, answer), () if is_checked_only else (known,))


@dataclass(frozen=True)
class _ServiceAccount:
    """Who asks for access tokens."""

    email: str
    signer: crypt.Signer

    @classmethod
    def of(cls, text: str) -> _ServiceAccount:
        """Raises UserError, which names the secret and holds nothing of it."""
        if text == _DEV_SECRET:
            return cls("dev@tailrace.invalid", crypt.ES256Signer(_dev_key()))
        try:
            info = orjson.loads(text)
            signer = crypt.RSASigner.from_service_account_info(info)  # type: ignore[no-untyped-call]
            signer.sign(b"a key of another kind fails here, not in the middle of a run")
            return cls(str(info["client_email"]), signer)
        except (ValueError, LookupError, TypeError, AttributeError, UnsupportedAlgorithm):
            message = (
                "fcm: the secret 'service_account' is not the key of a Google service account: its environment "
                "variable holds the whole JSON text that Google gave, with client_email and private_key"
            )
            raise UserError(message) from None

    def assertion(self, at: datetime) -> str:
        issued = int(at.timestamp())
        expires = issued + int(_ASSERTED.total_seconds())
        claims = {"iss": self.email, "scope": SCOPE, "aud": TOKEN_URL, "iat": issued, "exp": expires}
        return str(jwt.encode(self.signer, claims), "ascii")  # type: ignore[no-untyped-call]


class _Granted(BaseModel):
    access_token: str = Field(min_length=1)
    expires_in: int


class _Sent(BaseModel):
    name: str = Field(min_length=1)  # projects/{project}/messages/{id}


class _Violation(BaseModel):
    field: str = ""
    description: str = ""


class _Detail(BaseModel):
    error_code: str = Field(default="", alias="errorCode")  # of an FcmError
    violations: list[_Violation] = Field(default_factory=list, alias="fieldViolations")  # of a BadRequest


class _Error(BaseModel):
    status: str
    message: str = ""
    details: list[_Detail] = Field(default_factory=list)

    @property
    def code(self) -> str:
        """FCM's own word, else Google's general one."""
        return next((detail.error_code for detail in self.details if detail.error_code), self.status)

    @property
    def reason(self) -> str:
        """The code first: `is_dead` reads it."""
        fields = [f"{found.field}: {found.description}" for detail in self.details for found in detail.violations]
        return "; ".join([f"{self.code}: {self.message[:200]}", *fields[:3]])


class _Refusal(BaseModel):
    error: _Error


def _error(response: httpx.Response) -> _Error:
    """Raises ValidationError where this is no error of Google's."""
    return _Refusal.model_validate_json(response.content).error


def _message(row: Mapping[str, str | None]) -> dict[str, Any]:
    """What every platform shows, what the app is told, and by what Firebase's own reports count it."""
    shown = {"title": row["subject"], "body": row["text"]}
    label = _NO_LABEL.sub("_", row["journey"] or row["template"] or "")[:50]
    message = {
        "token": row["to"],
        "notification": {name: value for name, value in shown.items() if value},
        "data": {name: value for name in _DATA_COLUMNS if (value := row[name]) is not None},
    }
    return message | ({"fcm_options": {"analytics_label": label}} if label else {})


# --- the vendor as simulated: its own words for a refusal, the status of each and Google's general word for it

_STATUS = {
    "INVALID_ARGUMENT": 400,
    "UNREGISTERED": 404,
    "SENDER_ID_MISMATCH": 403,
    "THIRD_PARTY_AUTH_ERROR": 401,
    "QUOTA_EXCEEDED": 429,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}
_GENERAL = {
    "UNREGISTERED": "NOT_FOUND",
    "SENDER_ID_MISMATCH": "PERMISSION_DENIED",
    "THIRD_PARTY_AUTH_ERROR": "UNAUTHENTICATED",
    "QUOTA_EXCEEDED": "RESOURCE_EXHAUSTED",
}


def _dev_key() -> ec.EllipticCurvePrivateKey:
    """The key that dev signs with and the recorder verifies by: known to everyone, and good for nothing else."""
    return ec.derive_private_key(int(hashlib.sha256(_DEV_SECRET.encode()).hexdigest(), 16), ec.SECP256R1())


def _granted(request: httpx.Request, fault: Fault) -> Simulated:
    """The token endpoint. No clock is asked: dev's runs have their own."""
    try:
        form = parse_qs(request.content.decode(), strict_parsing=True)
        assertion = form["assertion"][0]
        claims = jwt.decode(assertion, verify=False)  # type: ignore[no-untyped-call]
        signed, _, signature = assertion.rpartition(".")
        is_genuine = crypt.ES256Verifier(_dev_key().public_key()).verify(
            signed.encode(), base64.urlsafe_b64decode(f"{signature}==")
        )
        asked = (form["grant_type"], claims["aud"], claims["scope"], bool(claims["iss"]))
        is_short = 0 < claims["exp"] - claims["iat"] <= _ASSERTED.total_seconds()
    except (ValueError, LookupError, TypeError):
        return _not_granted("invalid_request", "not understood")
    if not is_genuine or not is_short or asked != ([GRANT], TOKEN_URL, SCOPE, True):
        return _not_granted("invalid_grant", "the assertion's signature, audience, scope or time does not fit")
    if fault.refuse is not None:
        return _not_granted("invalid_grant", fault.refuse)
    return Simulated(json_response(200, {"access_token": _DEV_TOKEN, "expires_in": 3599, "token_type": "Bearer"}))


def _not_granted(error: str, description: str) -> Simulated:
    return Simulated(json_response(400, {"error": error, "error_description": description}))


def _refusal(status: int, code: str, message: str) -> Simulated:
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    error = {"code": status, "message": message, "status": _GENERAL.get(code, code), "details": [detail]}
    return Simulated(json_response(status, {"error": error}))


def _composed(shown: Mapping[str, str]) -> dict[str, str]:
    return {"subject": shown.get("title", ""), "text": shown.get("body", "")}
