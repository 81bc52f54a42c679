"""The recorder's own SMTP port: what sinks/smtp.py speaks to in dev. It takes messages as it takes requests.

`XTAILRACE <sync> <as of> <batch>` before a message says whose it is; the bytes of the message are those of prod.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from typing import Any

import orjson
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, syntax

from sinks.recorder_behaviour import Reject, Rule
from sinks.recorder_store import Row

SINK, PASSWORD = "smtp", b"dev-password"
LARGEST = 30_000_000
_BEFORE = {  # what a rule does → the reply to MAIL
    "throttle": "451 4.7.1 too many messages",
    "unauthorised": "530 5.7.0 authentication required",
    "forbidden": "550 5.7.1 not allowed to send",
    "too_large": "552 5.3.4 too large",
    "error": "451 4.3.0 local error",
    "refuse": "554 5.7.1 refused",
}
_UNREADABLE = frozenset({"garbage", "html", "empty"})
_CUTS = frozenset({"lose", "late_error"})

Find = Callable[[str], Rule | None]
"""The rule for this sync's next message, or none."""
Refuse = Callable[[str, dict[str, Any]], Reject | None]
"""Why a recipient is refused, by sync and payload."""
Keep = Callable[[list[Row]], Awaitable[None]]

logging.getLogger("mail.log").setLevel(logging.ERROR)  # it warns of every message on a port without TLS


async def listen(host: str, find: Find, refuse: Refuse, keep: Keep) -> tuple[asyncio.Server, int]:
    """The server, and the port it listens on."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Port(_Handler(find, refuse, keep)), host, 0)
    return server, int(server.sockets[0].getsockname()[1])


def _known(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, auth: Any) -> AuthResult:
    return AuthResult(success=isinstance(auth, LoginPassword) and auth.password == PASSWORD, handled=False)


class _Port(SMTP):
    """Whose the next message is, and what is to happen to it."""

    def __init__(self, handler: _Handler) -> None:
        super().__init__(
            handler,
            data_size_limit=LARGEST,
            hostname="recorder.invalid",
            auth_require_tls=False,
            authenticator=_known,
        )
        self.told = ("", "", "")
        self.rule: Rule | None = None

    @syntax("XTAILRACE sync as_of batch")
    async def smtp_XTAILRACE(self, arg: str | None) -> None:  # noqa: N802 - as the library finds commands
        sync, as_of, batch = (arg or "").split(" ", 2)
        self.told, self.rule = (sync, as_of, batch), self.event_handler.find(sync)
        await self.push("250 OK")


class _Handler:
    def __init__(self, find: Find, refuse: Refuse, keep: Keep) -> None:
        self.find, self._refuse, self._keep = find, refuse, keep

    async def handle_MAIL(  # noqa: N802 - as the library calls it
        self, server: _Port, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        rule = server.rule
        if rule and rule.do == "cut":
            _abort(server)
        if rule and rule.do in _BEFORE:
            return _BEFORE[rule.do]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: _Port, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if found := self._refuse(server.told[0], {"to": address, "email": address}):
            return f"550 5.1.1 {found.reason}"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: _Port, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        sync, as_of, batch = server.told
        rule, content = server.rule, envelope.content
        assert isinstance(content, bytes), "decode_data is off"
        payload = _payload(content) | {"to": envelope.rcpt_tos[0]}
        identity = str(payload["headers"]["Message-ID"]).strip("<>").partition("@")[0]
        await self._keep([(sync, SINK, "send", identity, orjson.dumps(payload).decode(), batch, as_of)])
        if rule and rule.do == "slow":
            await asyncio.sleep(rule.seconds)
        if rule and rule.do in _CUTS:
            _abort(server)
        if rule and rule.do in _UNREADABLE:
            return "\x00 {]"
        return f"250 2.0.0 OK: queued as {identity[:12]}"


def _abort(server: SMTP) -> None:
    transport = server.transport
    assert isinstance(transport, asyncio.Transport), "it listens on TCP"
    transport.abort()


def _payload(content: bytes) -> dict[str, Any]:
    """A message as people look at it: parsed by the standard library, as a mail program would."""
    message = message_from_bytes(content, policy=MAIL)
    assert isinstance(message, EmailMessage), "the policy makes them"
    parts = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
    texts = {kind: part.get_content().replace("\r\n", "\n") if part else None for kind, part in parts.items()}
    return {
        "subject": str(message["Subject"]),
        "text": texts["plain"],
        "html": texts["html"],
        "headers": {name: str(value) for name, value in message.items()},
    }
