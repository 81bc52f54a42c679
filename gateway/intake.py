"""What comes in: how many requests at once, how large their bodies, how long they may take; and what was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.parser import BytesParser
from email.policy import HTTP
from typing import NoReturn
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.gate import Bounds
from gateway.metrics import Counter

SOON, LATER = 1, 10  # seconds in Retry-After: when others are answered, when a disk may have room again
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 200  # of a form
ALWAYS = frozenset({"/healthz", "/readyz", "/metrics"})  # answered however much else is


def refuse(status: int, text: str, retry_after: int | None = None) -> NoReturn:
    """End the request here."""
    raise HTTPException(status, text, None if retry_after is None else {"Retry-After": str(retry_after)})


class Door:
    """Counts what is answered, and lets only so many in."""

    def __init__(self, app: ASGIApp, limits: Bounds, answered: Counter) -> None:
        self._app, self._limits, self._answered = app, limits, answered
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def told(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        is_full = self._inside >= self._limits.requests and scope["path"] not in ALWAYS
        app = _full if is_full else self._app
        self._inside += 1
        try:
            await app(scope, receive, told)
        finally:
            self._inside -= 1
            route = scope.get("route")
            self._answered.add(route.path if route else "none", str(status))


_full = PlainTextResponse("Too many requests at once\n", 503, {"Retry-After": str(SOON)})


class Bodies:
    """Reads bodies, as many at once as there is room for."""

    def __init__(self, limits: Bounds) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def read(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """The body; it counts as held until the block ends. Raises HTTPException: 413, 408, 503."""
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    async for chunk in request.stream():
                        self._held += len(chunk)
                        body += chunk
                        self._weigh(len(body), most)
            except TimeoutError:
                refuse(408, "The body did not come in time")
            yield bytes(body)
        finally:
            self._held -= len(body)

    def _weigh(self, size: int, most: int) -> None:
        if size > most:
            refuse(413, f"A body holds at most {most} bytes")
        if self._held > self._limits.body_bytes:
            refuse(503, "Too much at once", SOON)


def fields(kind: str, body: bytes) -> Mapping[str, list[str]]:
    """A form, in either of its encodings (RFC 8058 allows both). Raises HTTPException 400 where it has no end."""
    if kind.lower().startswith("multipart/form-data"):
        return _parts(kind, body)
    try:
        return parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        refuse(400, "Not a form of ours")


def _parts(kind: str, body: bytes) -> Mapping[str, list[str]]:
    whole = BytesParser(policy=HTTP).parsebytes(b"Content-Type: %s\r\n\r\n%s" % (kind.encode("latin-1"), body))
    found: dict[str, list[str]] = {}
    for part in whole.iter_parts():
        name = part.get_param("name", "", "content-disposition")
        found.setdefault(str(name), []).append(str(part.get_payload()).strip())
    return found
