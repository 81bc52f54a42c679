"""Push by Firebase Cloud Messaging, HTTP v1 (firebase.google.com/docs/reference/fcm/rest): one message a request.

FCM reports nothing back: what a message led to is told by the app, which finds `send_key` in the message's data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
import orjson
import polars as pl
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
    json_request,
)
from sinks.google_account import DEV_TOKEN, NO_TOKEN, TOKEN_URL, AccessToken, ServiceAccount, granted
from sinks.simulated import json_response

HOST, SCOPE = "https://fcm.googleapis.com", "https://www.googleapis.com/auth/firebase.messaging"
LARGEST_PAYLOAD = 4096  # bytes of keys and values; how FCM counts what is not `data` is not documented
LONGEST_TTL = 2_419_200  # four weeks
_DATA_COLUMNS = ("send_key", "journey", "node", "template")  # what the app is told
_SENT_COLUMNS = ("to", "subject", "text", *_DATA_COLUMNS)
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_.~%-]")


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
        try:
            self._service_account = ServiceAccount.of(secret, SCOPE) if secret else None
        except ValueError as error:
            message = f"fcm: the secret 'service_account' {error}"
            raise UserError(message) from None
        self._token = NO_TOKEN

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
        if self._token.is_good(at):
            return None
        assert self._service_account, "a sink without its secret is only described"
        return self._service_account.asks(at)

    def logged_in(self, response: httpx.Response, at: datetime) -> None:
        self._token = AccessToken.of(response, at)

    def payloads(self, op: Op, rows: pl.DataFrame) -> Sequence[str]:  # noqa: ARG002 - there is one operation
        return rows.select(pl.struct(_SENT_COLUMNS).struct.json_encode()).to_series().to_list()

    def request(self, batch: Batch) -> httpx.Request:
        body: dict[str, Any] = {"message": _message(orjson.loads(batch.payloads[0])) | self._kept_until(batch.at)}
        if self.options.dry_run:
            body["validate_only"] = True
        url = f"{HOST}/v1/projects/{self.options.project}/messages:send"
        return json_request(url, orjson.dumps(body), {"Authorization": f"Bearer {self._token.text}"})

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
            return granted(request, SCOPE, fault)
        if request.headers.get("Authorization") != f"Bearer {DEV_TOKEN}":
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


def _refusal(status: int, code: str, message: str) -> Simulated:
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    error = {"code": status, "message": message, "status": _GENERAL.get(code, code), "details": [detail]}
    return Simulated(json_response(status, {"error": error}))


def _composed(shown: Mapping[str, str]) -> dict[str, str]:
    return {"subject": shown.get("title", ""), "text": shown.get("body", "")}
