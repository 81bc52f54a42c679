"""E-mail by SMTP (RFC 5321) through a relay of your own or a provider's; the relay signs with DKIM.

One message a transaction over kept connections. A connection that ends after DATA has begun leaves the message
`unknown`; every reply before it, and every 4xx, is certain. What bounces later comes to the sender's mailbox, not here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Literal

import aiosmtplib
import orjson
from aiosmtplib import SMTPResponseException
from pydantic import Field

from models.delivery import Outcome, Outcomes
from models.errors import UserError
from models.sync import Channel, Mode, Op
from sinks.base import Batch, Limits, Line, LineSink, Operation, Options, Twin, destination
from sinks.mail import NotAnAddress, envelope_address, mail
from sinks.transport import CONNECT_SECONDS, LetNobodyIn, Lost, NotSent

DEAD = re.compile(r"^5[0-9]{2} 5\.(1\.(1|2|3|6|10)|2\.1)\b")  # RFC 3463, RFC 7505: no such mailbox, or no such host
BUSY = re.compile(r"^(421|454)|^4[0-9]{2} 4\.(3\.2|7\.[0-9]+)\b")  # the relay takes nothing from us for now
ACCOUNT = frozenset({530, 534, 535, 538})  # RFC 4954: it asks who we are, or does not believe it
CLOSING = 421
REFUSED, PERMANENT = 400, 500


class SmtpOptions(Options):
    host: str = destination(description="The relay", pattern=r"^[A-Za-z0-9.-]+$", examples=["smtp.example.com"])
    port: int = destination(587, ge=1, le=65535, description="587 for starttls, 465 for tls")
    username: str | None = destination(None, description="Of the account; without one nobody logs in")
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted; `none` only where nobody can listen"
    )
    sender: str = Field(
        description="`Name <address>` of messages that name none",
        pattern=r"@",
        examples=["The Shop <hello@shop.example>"],
    )
    reply_to: str | None = Field(default=None, description="Where answers go; default: to the sender")
    connections: int = Field(default=4, ge=1, le=64, description="Connections at once")
    per_second: float | None = Field(default=None, gt=0, description="Messages a second")
    timeout: float = Field(default=60.0, gt=0, description="Seconds until a reply is given up")
    largest: int = Field(default=10_000_000, ge=10_000, description="Bytes of a message that the relay takes")


class SmtpSink(LineSink):
    Options = SmtpOptions
    secrets = ("password",)
    optional_secrets = frozenset({"password"})
    channel: ClassVar[Channel] = "email"
    modes = frozenset({Mode.SEND_ON_ENTRY})
    options: SmtpOptions

    def __init__(self, options: Any, secrets: Mapping[str, str]) -> None:
        super().__init__(options, secrets)
        if self.options.username and "password" not in secrets:
            raise UserError("sinks.yml: smtp: a `username` needs the secret `password`")

    @property
    def account(self) -> str:
        return f"smtp:{self.options.username or ''}@{self.options.host}:{self.options.port}"

    @property
    def limits(self) -> Limits:
        return Limits(
            bytes=self.options.largest,
            connections=self.options.connections,
            per_second=self.options.per_second,
            timeout=self.options.timeout,
        )

    @property
    def operations(self) -> Mapping[Op, Operation]:
        return {Op.SEND: Operation(idempotent=False)}

    @classmethod
    def is_dead(cls, reason: str) -> bool:
        return bool(DEAD.match(reason))

    async def connect(self, twin: Twin | None) -> Line:
        options, tls = self.options, self.options.tls if twin is None else "none"
        client = aiosmtplib.SMTP(
            hostname=twin.host if twin else options.host,
            port=twin.port if twin else options.port,
            use_tls=tls == "tls",
            start_tls=tls == "starttls",
            timeout=CONNECT_SECONDS,
        )
        try:
            await client.connect()
            client.timeout = options.timeout
            if options.username:
                await client.login(options.username, self._secrets["password"])
        except SMTPResponseException as error:
            client.close()
            kind = LetNobodyIn if error.code in ACCOUNT else NotSent
            raise kind(_told(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise NotSent(type(error).__name__) from error
        return _Line(client, self.options, twin)


class _Line(Line):
    def __init__(self, client: aiosmtplib.SMTP, options: SmtpOptions, twin: Twin | None) -> None:
        self._client, self._options, self._twin = client, options, twin

    async def send(self, batch: Batch, sent: Callable[[], None]) -> Outcomes:
        row = orjson.loads(batch.payloads[0])
        try:
            sender = envelope_address(row["sender"] or self._options.sender)
            to = envelope_address(row["to"])
            made = mail(row, self._options.sender, self._options.reply_to, batch.at)
        except NotAnAddress as error:
            return Outcomes.all(Outcome.REJECTED, str(error))
        if self._twin:
            told = f"XTAILRACE {batch.sync} {self._twin.as_of.isoformat()} {batch.key}"
            await self._before(self._client.execute_command(told.encode()))
        try:
            await self._before(self._client.mail(sender, options=[f"SIZE={len(made)}"] if self._sizes else []))
            await self._before(self._client.rcpt(to))
        except SMTPResponseException as error:
            return await self._refused(error, is_account=isinstance(error, aiosmtplib.SMTPSenderRefused))
        sent()
        try:
            reply = await self._client.data(made)
        except SMTPResponseException as error:
            if error.code < REFUSED:  # a reply that is none
                raise Lost("the reply cannot be read") from error
            return await self._refused(error, is_account=False)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Lost(type(error).__name__) from error
        return Outcomes.all(Outcome.ACCEPTED, provider_id=_queue_id(reply.message))

    @property
    def _sizes(self) -> bool:
        return self._client.supports_extension("size")

    async def _before(self, step: Awaitable[Any]) -> None:
        """A step in which nothing of the message is handed over: without an answer it was certainly not sent."""
        try:
            await step
        except SMTPResponseException as error:
            if error.code < REFUSED:
                raise NotSent("the reply cannot be read") from error
            raise
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(type(error).__name__) from error

    async def _refused(self, error: SMTPResponseException, *, is_account: bool) -> Outcomes:
        """What a reply says of the message; the connection is made ready for the next."""
        told = _told(error)
        if error.code == CLOSING:
            raise NotSent(told) from error
        await self._before(self._client.rset())
        if error.code in ACCOUNT or (is_account and error.code >= PERMANENT):
            stop = "the relay does not take what this account sends: check its sender, user name and password"
            return Outcomes.all(Outcome.RETRY, told, stop=stop)
        if error.code >= PERMANENT:
            return Outcomes.all(Outcome.REJECTED, told)
        return Outcomes.all(Outcome.RETRY, told, throttled=bool(BUSY.match(told)))

    async def close(self) -> None:
        try:
            await self._client.quit()
        except (aiosmtplib.SMTPException, OSError):
            self._client.close()


def _told(error: SMTPResponseException) -> str:
    return f"{error.code} {' '.join(str(error.message).split())}"


def _queue_id(reply: str) -> str:
    """What the relay calls the message, where it says `queued as …`."""
    found = re.search(r"queued as (\S+)", reply, re.IGNORECASE)
    return found[1] if found else ""
