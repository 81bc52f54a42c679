"""SendGrid's v3 Mail Send: a message a request, or many messages whose bodies travel as substitutions.

A request is taken or refused as a whole; what becomes of each message is told later: sinks/sendgrid_reports.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import httpx
import orjson
import polars as pl
from pydantic import Field, StringConstraints

from models.delivery import Outcome, Outcomes, RowOutcome
from models.sync import Mode, Op
from sinks.base import Batch, Fault, HttpSink, Limits, Operation, Options, Simulated, destination, json_request
from sinks.sendgrid_reports import SendGridReports
from sinks.sendgrid_simulated import LARGEST_BODY, MOST_ROWS, simulated

REASON_CHARACTERS = 200
_MAILBOX = r"^([^<>\r\n]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$"

Category = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[ -~]+$")]


class SendGridOptions(Options):
    sender: str = Field(
        description="`Name <address>` of messages that name no sender of their own",
        pattern=_MAILBOX,
        examples=["Shop <hello@shop.example>"],
    )
    reply_to: str | None = Field(
        default=None, pattern=_MAILBOX, description="Where answers go if a message does not say; default: to its sender"
    )
    account: str = destination(
        "main", description="Your name for the account or subuser: rate limits belong to it", pattern=r"^[a-z0-9-]+$"
    )
    region: Literal["global", "eu"] = Field(default="global", description="`eu` for a regional subuser")
    categories: tuple[Category, ...] = Field(
        default=(), max_length=10, description="Names under which SendGrid's own statistics count the messages"
    )
    unsubscribe_group: int | None = Field(
        default=None, ge=1, description="SendGrid's unsubscribe group (`asm.group_id`): who left it gets nothing"
    )
    track_opens: bool = Field(default=True, description="Put a picture into the HTML that tells of opens")
    track_clicks: bool = Field(default=True, description="Lead the links of the HTML through SendGrid")
    sandbox: bool = Field(default=False, description="Have every request checked and no message sent")
    rows: int = Field(
        default=1,
        ge=1,
        le=MOST_ROWS,
        description="Messages a request; more than 1 pays where text and HTML together have less than 10,000 bytes",
    )
    connections: int = Field(default=4, ge=1, le=64, description="Requests in flight")
    per_second: float | None = Field(default=None, gt=0, description="Requests a second; SendGrid publishes no number")
    timeout: float = Field(default=30.0, gt=0, description="Seconds until an answer is given up")


class SendGridSink(SendGridReports, HttpSink):
    """One message a request says its bodies outright; of many, each body is a substitution.

    Left open by SendGrid: whether one request may go to an address twice, and whether a message's substitutions may
    have 10,000 or 50,000 bytes (its API description and its list of errors differ). Neither is counted here: a batch
    that is refused is split until its messages go alone. Nor is it said whether a message of an unsubscribe group
    keeps our List-Unsubscribe header.
    """

    Options = SendGridOptions
    secrets = ("api_key",)
    channel = "email"
    modes = frozenset({Mode.SEND_ON_ENTRY})
    options: SendGridOptions

    _hosts: Mapping[str, str] = {"global": "api.sendgrid.com", "eu": "api.eu.sendgrid.com"}
    # SendGrid keeps these for long and does not treat them as personal: no address and no name may be among them
    _arguments = ("send_key", "profile_id", "purpose", "journey", "node", "template", "template_version", "locale")
    _bodies: Mapping[str, tuple[str, str]] = {  # column → its type, and the tag a substitution puts it in place of
        "text": ("text/plain", "-tailrace_text-"),  # SendGrid wants it first
        "html": ("text/html", "-tailrace_html-"),  # tags are replaced in subjects, too: none may be in one by chance
    }
    _not_there = frozenset({404, 405})

    @property
    def account(self) -> str:
        return f"sendgrid:{self.options.account}"

    @property
    def limits(self) -> Limits:
        return Limits(
            rows=self.options.rows,
            bytes=LARGEST_BODY,
            connections=self.options.connections,
            per_second=self.options.per_second,
            timeout=self.options.timeout,
            envelope=8_192 + 256 * self.options.rows,  # settings, categories; what a row gains as a personalization
        )

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return {Op.SEND: Operation(idempotent=False)}

    def payloads(self, op: Op, rows: pl.DataFrame) -> Sequence[str]:
        """The columns of a message, sender and reply_to complete."""
        sender = pl.coalesce("sender", pl.lit(self.options.sender))
        reply_to = pl.coalesce("reply_to", pl.lit(self.options.reply_to, dtype=pl.String))
        return super().payloads(op, rows.with_columns(sender=sender, reply_to=reply_to))

    def request(self, batch: Batch) -> httpx.Request:
        messages = [orjson.loads(payload) for payload in batch.payloads]
        first = messages[0]
        people = [self._personalization(message, first) for message in messages]
        body = {"personalizations": people, "from": _mailbox(first["sender"]), **self._settings}
        if first["reply_to"]:
            body["reply_to"] = _mailbox(first["reply_to"])
        if len(messages) == 1:
            body["content"] = [
                {"type": kind, "value": first[name]} for name, (kind, _) in self._bodies.items() if first[name]
            ]
        else:
            body["content"] = self._substituted(people, messages)
        told = {"Authorization": f"Bearer {self._secrets['api_key']}"}
        return json_request(f"https://{self._hosts[self.options.region]}/v3/mail/send", orjson.dumps(body), told)

    def _personalization(self, message: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
        """What is this message's own in a request that is otherwise as `first` says."""
        headers: dict[str, str] = {}
        if url := message["unsubscribe_url"]:  # RFC 8058
            headers = {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        if message["reply_to"] != first["reply_to"]:
            # it can be said once a request: the reserved header has the batch refused, and split
            headers["Reply-To"] = message["reply_to"] or message["sender"]
        own: dict[str, Any] = {
            "to": [{"email": message["to"]}],
            "subject": message["subject"],
            "custom_args": {name: message[name] for name in self._arguments if message[name] is not None},
        }
        if message["sender"] != first["sender"]:
            own["from"] = _mailbox(message["sender"])
        return own | ({"headers": headers} if headers else {})

    def _substituted(
        self, people: Sequence[dict[str, Any]], messages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, str]]:
        """The content of many: tags, and in each personalization what takes their place.

        A message that lacks a body the others have is given null for it, which has the batch refused, and split:
        as an empty part it would be shown as an empty message.
        """
        used = [body for name, body in self._bodies.items() if any(message[name] for message in messages)]
        for own, message in zip(people, messages, strict=True):
            values = {tag: message[name] or None for name, (kind, tag) in self._bodies.items() if (kind, tag) in used}
            own["substitutions"] = values
        return [{"type": kind, "value": tag} for kind, tag in used]

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """What every request says alike. Unsubscribing is ours: no second link is added to the message."""
        options = self.options
        settings: dict[str, Any] = {
            "tracking_settings": {
                "click_tracking": {"enable": options.track_clicks, "enable_text": False},
                "open_tracking": {"enable": options.track_opens},
                "subscription_tracking": {"enable": False},
            },
            "mail_settings": {"sandbox_mode": {"enable": options.sandbox}},
        }
        if options.categories:
            settings["categories"] = list(dict.fromkeys(options.categories))
        if options.unsubscribe_group is not None:
            settings["asm"] = {"group_id": options.unsubscribe_group}
        return settings

    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:  # noqa: ARG002 - one answer for all
        if response.status_code in self._not_there:
            stop = f"Mail Send is not there ({response.status_code}): check the region of this destination"
            return Outcomes.all(Outcome.RETRY, f"status {response.status_code}", stop=stop)
        if response.is_error:
            first, *others = orjson.loads(response.content)["errors"]
            reason = "; ".join(f"{error['message']} ({error.get('field')})" for error in (first, *others))
            return Outcomes.all(Outcome.REJECTED, reason[:REASON_CHARACTERS], split=True)
        if response.status_code != (200 if self.options.sandbox else 202) or response.content:
            raise ValueError("not an answer of Mail Send")
        return Outcomes(RowOutcome(Outcome.ACCEPTED, provider_id=response.headers.get("X-Message-Id", "")))

    @classmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        return simulated(request, fault)


def _mailbox(text: str) -> dict[str, str]:
    """`Name <address>` as SendGrid has it; what is no such text is refused there."""
    name, _, address = text.strip().removesuffix(">").rpartition("<")
    name = name.strip().strip('"')
    return {"email": address.strip()} | ({"name": name} if name else {})
