"""Text messages by Twilio Programmable Messaging, one a request; sinks/twilio_reports.py is the way back.

`send_key` travels in the query of `callback_url`: without that address nothing comes back, and an `unknown` stays one.
Not documented: what Twilio counts as one of 1,600 characters (code points here), and the status of each error (400
here). 201 means queued; from a messaging service even an impossible number may be told only by a report.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import orjson
import polars as pl
from pydantic import Field, field_validator, model_validator

from models.delivery import Outcome, Outcomes, RowOutcome
from models.outcome import Told
from models.sync import Mode, Op
from sinks.answers import THROTTLED, UNREADABLE
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
)
from sinks.simulated import json_response
from sinks.twilio_reports import TwilioReports, callback, dev_sid, is_short_code

CREATED = 201
LONGEST_BODY = 1_600  # characters
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")
_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
_PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Messages\.json")


class TwilioOptions(Options):
    account_sid: str = destination(
        description="The account, as Twilio names it: AC and 32 hex digits",
        pattern=r"^AC[0-9a-fA-F]{32}$",
        examples=["AC0123456789abcdef0123456789abcdef"],
    )
    sender: str | None = Field(
        default=None,
        description="Who messages come from: a number in E.164, a short code, or a name of up to 11 letters and digits",
        examples=["+15005550006"],
    )
    messaging_service_sid: str | None = Field(
        default=None,
        description="The messaging service that picks the sender, instead of `sender`: MG and 32 hex digits",
        pattern=r"^MG[0-9a-fA-F]{32}$",
    )
    callback_url: str | None = Field(
        default=None,
        description="The public address of the gateway's /webhooks/<destination>; without it Twilio reports nothing",
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]+)?/[^\s?#]*$",  # Twilio refuses a host with an underscore
        max_length=500,
        examples=["https://t.shop.example/webhooks/text"],
    )
    status_callback: bool = Field(default=True, description="Whether Twilio reports to `callback_url` on each message")
    validity: int | None = Field(
        default=None, ge=1, le=36_000, description="Seconds a message may wait at Twilio before it is dropped"
    )
    shorten_urls: bool = Field(
        default=False, description="Whether the messaging service shortens links, by a domain set up for it at Twilio"
    )
    connections: int = Field(default=4, ge=1, le=64, description="Requests in flight")
    per_second: float | None = Field(default=None, gt=0, description="Requests a second")
    timeout: float = Field(default=30.0, gt=0, description="Seconds until an answer is given up")

    @field_validator("sender")
    @classmethod
    def _can_send(cls, sender: str | None) -> str | None:
        if sender is not None and not _SENDER.fullmatch(sender):
            raise ValueError("a number like +15005550006, a short code, or a name of up to 11 letters and digits")
        return sender

    @model_validator(mode="after")
    def _has_one_sender(self) -> Self:
        if (self.sender is None) == (self.messaging_service_sid is None):
            raise ValueError("give either sender or messaging_service_sid")
        if self.shorten_urls and self.messaging_service_sid is None:
            raise ValueError("shorten_urls needs a messaging_service_sid")
        return self


class TwilioSink(TwilioReports, HttpSink):
    """A message that was sent twice is heard twice: Twilio has no idempotency key."""

    Options = TwilioOptions
    secrets = ("auth_token",)
    channel = "sms"
    modes = frozenset({Mode.SEND_ON_ENTRY})
    options: TwilioOptions
    stops: ClassVar[Mapping[int, str]] = {  # what no message gets past; any other code refuses its one message
        20404: "Twilio has no such account: check account_sid",
        21212: "Twilio does not take this sender: check sender",
        21267: "a trial account cannot send from a name: check sender",
        21606: "this sender cannot send for the account: check sender",
        21607: "a trial account sends from its own number alone: check sender",
        21608: "a trial account sends to verified numbers alone: upgrade it",
        21609: "Twilio cannot call back there: check callback_url",
        21611: "ten hours of messages wait for this sender at Twilio: the rest goes next time",
        21659: "this sender is not one of Twilio's: check sender",
        21660: "this sender belongs to another account: check sender and account_sid",
        21661: "this sender cannot send text messages: check sender",
        21701: "the account has no such messaging service: check messaging_service_sid",
        21705: "Twilio has no such messaging service: check messaging_service_sid",
        63038: "the account has sent all it may in 24 hours: the rest goes next time",  # a 429, but no pace helps
    }
    abroad: ClassVar[frozenset[int]] = frozenset({21606, 21659})  # from a short code: to a number of another country

    @classmethod
    def is_dead(cls, reason: str) -> bool:
        return reason.partition(" ")[0] in cls.dead

    @classmethod
    def has_unsubscribed(cls, reason: str) -> bool:
        return cls.errors.get(reason.partition(" ")[0]) is Told.UNSUBSCRIBED

    @property
    def account(self) -> str:
        return f"twilio:{self.options.account_sid}"

    @property
    def limits(self) -> Limits:
        return Limits(
            bytes=65_536,
            connections=self.options.connections,
            per_second=self.options.per_second,
            timeout=self.options.timeout,
            envelope=49_152,  # a form is up to three times the JSON it is made of
        )

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return {Op.SEND: Operation(idempotent=False)}

    def payloads(self, op: Op, rows: pl.DataFrame) -> Sequence[str]:  # noqa: ARG002 - there is one
        return rows.select(pl.struct("send_key", "to", "text").struct.json_encode()).to_series().to_list()

    def request(self, batch: Batch) -> httpx.Request:
        message = orjson.loads(batch.payloads[0])
        fields = [("To", message["to"]), ("Body", message["text"]), *self._same_for_all]
        if self.options.callback_url and self.options.status_callback:
            fields.append(("StatusCallback", callback(self.options.callback_url, message["send_key"])))
        return form_request(self._address, fields, {"Authorization": self._authorization})

    @cached_property
    def _address(self) -> str:
        return f"https://api.twilio.com/2010-04-01/Accounts/{self.options.account_sid}/Messages.json"

    @cached_property
    def _authorization(self) -> str:
        return _basic(self.options.account_sid, self._secrets["auth_token"])

    @cached_property
    def _same_for_all(self) -> Sequence[tuple[str, str]]:
        told = {
            "From": self.options.sender,
            "MessagingServiceSid": self.options.messaging_service_sid,
            "ValidityPeriod": self.options.validity and str(self.options.validity),
            "ShortenUrls": "true" if self.options.shorten_urls else None,
        }
        return [(name, value) for name, value in told.items() if value]

    def is_about_rows(self, response: httpx.Response) -> bool:
        """A 429 that no waiting in this run helps."""
        return response.status_code == THROTTLED and _code(response) in self.stops

    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:  # noqa: ARG002 - there is one row
        answer = orjson.loads(response.content)
        if response.is_error:
            return self._refused(int(answer["code"]), f"{answer['code']} {answer['message']}")
        if not _SID.fullmatch(answer["sid"]):
            raise ValueError("a message without a name")
        return Outcomes(RowOutcome(Outcome.ACCEPTED, provider_id=answer["sid"]))

    def _refused(self, code: int, reason: str) -> Outcomes:
        is_abroad = code in self.abroad and is_short_code(self.options.sender or "")
        if code in self.stops and not is_abroad:
            return Outcomes.all(Outcome.RETRY, reason, stop=self.stops[code])
        return Outcomes.all(Outcome.REJECTED, reason)

    @classmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        account = _PATH.fullmatch(request.url.path)
        if account is None:
            return _refusal(20404, "there is no such resource")
        if request.headers.get("Authorization") != _basic(account[1], "dev-auth_token"):
            return _refusal(20003, "who is asking?")
        form = dict(parse_qsl(request.content.decode(errors="replace")))
        if code := next((code for code, is_so in _wrongs(form).items() if is_so), None):
            return _refusal(code, "the request is not one that Twilio takes")
        if reason := fault.refuse or fault.reject.get(0):
            return _refusal(*_coded(reason))
        query = parse_qs(urlsplit(form.get("StatusCallback", "")).query)
        send_key = next(iter(query.get("send_key", ())), None)
        name = send_key or form["To"]  # a message that brings no key is known by its number alone
        known = Known(Op.SEND, name, {"send_key": send_key, "to": form["To"], "text": form["Body"]})
        return Simulated(json_response(CREATED, _resource(account[1], form, dev_sid(name))), (known,))


def _basic(account: str, token: str) -> str:
    return f"Basic {base64.b64encode(f'{account}:{token}'.encode()).decode()}"


def _code(response: httpx.Response) -> int | None:
    try:
        return int(orjson.loads(response.content)["code"])
    except UNREADABLE:
        return None


def _coded(reason: str) -> tuple[int, str]:
    """The code that a fault begins with, `21610 unsubscribed`; words alone are 21612: no way from this sender."""
    code = reason[:5]
    return (int(code), reason[5:].strip()) if code.isdecimal() else (21612, reason)


def _wrongs(form: Mapping[str, str]) -> Mapping[int, bool]:
    """What Twilio refuses whatever the number: its code, and whether it is so."""
    return {
        21604: "To" not in form,
        21603: "From" not in form and "MessagingServiceSid" not in form,
        21619 if "MessagingServiceSid" in form else 21602: "Body" not in form,
        21617: len(form.get("Body", "")) > LONGEST_BODY,
        21211: not re.fullmatch(r"\+[1-9][0-9]{1,14}", form.get("To", "")),
    }


def _refusal(code: int, message: str) -> Simulated:
    status = {20003: 401, 20404: 404, 20429: THROTTLED, 63038: THROTTLED}.get(code, 400)
    told = {"code": code, "message": message, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    return Simulated(json_response(status, {**told, "status": status}))


def _resource(account: str, form: Mapping[str, str], name: str) -> Mapping[str, Any]:
    """The message as it is at once: from a messaging service it has no sender yet."""
    return {
        "sid": name,
        "account_sid": account,
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "api_version": "2010-04-01",
        "direction": "outbound-api",
        "status": "queued" if "From" in form else "accepted",
        "from": form.get("From"),
        "to": form["To"],
        "body": form["Body"],
        "num_media": "0",
        **dict.fromkeys(("date_sent", "error_code", "error_message", "price"), None),
        "uri": f"/2010-04-01/Accounts/{account}/Messages/{name}.json",
    }
