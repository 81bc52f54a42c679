"""E-mail by SMTP (RFC 5321) through a relay of your own or a provider's; the relay signs with DKIM.

One message a transaction over kept connections. A connection that ends after DATA has begun leaves the message
`unknown`; every reply before it, and every 4xx, is certain. What bounces later comes to the sender's mailbox, not here.
"""

from __future__ import annotations

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
from sinks.mail import NotAnAddress, mail, recipient, sender_address
from sinks.smtp_answers import ACCOUNT, CLOSING, DEAD, REFUSED, queue_id, refusal, told
from sinks.transport import CONNECT_SECONDS, LetNobodyIn, Lost, NotSent


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
            replies=2,  # to DATA, and to the message
            envelope=-self.options.largest,  # JSON is up to twice what it says, escaped; a line measures what it sends
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
            await _greet(client)
            if options.username:
                await _log_in(client, options.username, self._secrets["password"])
        except SMTPResponseException as error:
            client.close()
            kind = LetNobodyIn if error.code in ACCOUNT else NotSent
            raise kind(told(error)) from error
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
            sender = sender_address(row["sender"] or self._options.sender)
            to = recipient(row["to"])
            made = mail(row, self._options.sender, self._options.reply_to, batch.at)
        except NotAnAddress as error:
            return Outcomes.all(Outcome.REJECTED, str(error))
        if len(made) > self._options.largest:
            reason = f"a message of {len(made)} bytes; the largest may have {self._options.largest}"
            return Outcomes.all(Outcome.REJECTED, reason)
        if self._twin:
            whose = f"XTAILRACE {batch.sync} {self._twin.as_of.isoformat()} {batch.key}"
            await self._before(self._client.execute_command(whose.encode()))
        try:
            await self._before(self._client.mail(sender, options=[f"SIZE={len(made)}"] if self._sizes else []))
            await self._before(self._client.rcpt(to))
        except SMTPResponseException as error:
            return await self._refused(error, of_sender=isinstance(error, aiosmtplib.SMTPSenderRefused))
        sent()
        try:
            reply = await self._client.data(made)
        except SMTPResponseException as error:
            if error.code < REFUSED:  # a reply that is none
                raise Lost("the reply cannot be read") from error
            return await self._refused(error, of_sender=False)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Lost(type(error).__name__) from error
        return Outcomes.all(Outcome.ACCEPTED, provider_id=queue_id(reply.message))

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

    async def _refused(self, error: SMTPResponseException, *, of_sender: bool) -> Outcomes:
        """What a reply says of the message; the connection is made ready for the next.

        The reply counts even where the relay hangs up after it: then the next message finds the line closed.
        """
        if error.code == CLOSING:
            raise NotSent(told(error)) from error
        outcomes = refusal(error, of_sender=of_sender)
        try:
            await self._client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._client.close()
        return outcomes

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def close(self) -> None:
        try:
            await self._client.quit()
        except (aiosmtplib.SMTPException, OSError):
            self._client.close()


async def _greet(client: aiosmtplib.SMTP) -> None:
    """Ask what the relay can do before the first message, which is then announced with its size like any other."""
    if not client.is_ehlo_or_helo_needed:
        return
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


async def _log_in(client: aiosmtplib.SMTP, username: str, password: str) -> None:
    """By the first method that works: some relays offer such as they do not have.

    As the client's own `login`, but a refusal is raised even where the relay hangs up after it. Raises SMTPException.
    """
    methods = {"cram-md5": client.auth_crammd5, "plain": client.auth_plain, "login": client.auth_login}
    refused: SMTPResponseException | None = None
    for name in client.supported_auth_methods:
        try:
            await methods[name](username, password)
        except (aiosmtplib.SMTPException, OSError) as error:
            if isinstance(error, aiosmtplib.SMTPAuthenticationError) and error.code != CLOSING:
                refused = error
                continue
            if refused:
                raise refused from error
            raise
        else:
            return
    raise refused or aiosmtplib.SMTPNotSupported("it offers no way to log in")
