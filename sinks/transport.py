"""Carries requests: pyreqwest on the wire, httpx's types in the contract, and in dev everything to the recorder.

Measured on loopback, 32 in flight: httpx's own pool 190 requests/s, aiohttp 5,500, pyreqwest 11,000. Its retries,
redirects, cookies, decompression and environment proxies are off: the loop decides what is sent again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import httpx
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import Url
from pyreqwest.response import Response

from models.errors import NeedsPerson
from sinks.addresses import public

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0  # shorter than servers close idle connections: a request on a dying one would be unknown


class NotSent(Exception):
    """Certainly not processed: no connection, no name, no TLS. The text names the cause and nothing of the request."""


class Lost(Exception):
    """Perhaps processed: anything that went wrong after the first byte may have left."""


class LetNobodyIn(Exception):
    """The other side refuses the account; the text is its own."""


class Transport(Protocol):
    """What the loop sends through. Entered and left inside the running event loop."""

    def ready(self) -> None:
        """Raise NeedsPerson where it is known before any claim that nobody listens."""

    def start(
        self, request: httpx.Request, key: str, seconds: float, sent: Callable[[], None] | None = None
    ) -> Coroutine[Any, Any, httpx.Response]:
        """Hand a request to the network, call `sent`, wait for the answer: at most `seconds`.

        Raises NotSent or Lost.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class Rewrite:
    """In dev: which recorder hears a request, and what it is told about the run."""

    recorder: str
    sink: str
    sync: str
    as_of: datetime

    def url(self, url: str) -> str:
        """`https://host/path` → `<recorder>/<sink>/host/path`."""
        return f"{self.recorder}/{self.sink}/{url.partition('://')[2]}"

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        return [("X-Tailrace-Sync", self.sync), ("X-Tailrace-As-Of", self.as_of.isoformat())]


class _Answer(httpx.Response):
    """A response that came whole. httpx would wrap the bytes in a stream and read it again, 30 µs an answer."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        super().__init__(status, headers=headers, stream=httpx.ByteStream(b""))
        self._content = body


class HttpTransport:
    """The wire. One a delivery: its connections are as many as the sink allows."""

    def __init__(self, connections: int, rewrite: Rewrite | None = None, public_url: str | None = None) -> None:
        self._connections = connections
        self._rewrite = rewrite
        self._public_url = None if rewrite else public_url  # whose host must be of the public internet
        self._client: Client | None = None

    def ready(self) -> None:
        if self._public_url:
            public(self._public_url)
        if self._rewrite is None:
            return
        parts = urlsplit(self._rewrite.recorder)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            message = (
                f"no recorder answers at {self._rewrite.recorder} ({error.strerror or error}); nothing was sent. "
                "Start one (tailrace recorder), or set TAILRACE_RECORDER"
            )
            raise NeedsPerson(message) from error

    async def start(
        self, request: httpx.Request, key: str, seconds: float, sent: Callable[[], None] | None = None
    ) -> httpx.Response:
        assert self._client, "used outside its block"
        url = str(request.url)
        headers = [
            (str(name, "latin-1"), str(value, "latin-1"))
            for name, value in request.headers.raw
            if name.lower() not in _SET_BY_CLIENT
        ]
        if self._rewrite:
            url = self._rewrite.url(url)
            headers += [*self._rewrite.headers, ("X-Tailrace-Request", key)]
        try:
            builder = (
                self._client.request(request.method, _parsed(url)).headers(headers).timeout(timedelta(seconds=seconds))
            )
            ready = builder.body_bytes(request.read()).build()
        except (PyreqwestError, ValueError) as error:  # an address or a header that cannot be written
            raise NotSent(_innermost(error)) from error
        try:
            answer = await _Begun(ready.send(), sent)
            body = bytes(await answer.bytes())
        except PyreqwestError as error:
            raise (NotSent if _NOT_CONNECTED in _causes(error) else Lost)(_innermost(error)) from error
        return _response(answer.status, list(answer.headers.items()), body)

    async def __aenter__(self) -> Self:
        builder = (
            ClientBuilder()
            .no_proxy()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .user_agent("tailrace")
            .max_connections(self._connections)
            .pool_max_idle_per_host(self._connections)
            .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
            .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        )
        if self._public_url:  # looked up once: a name that leads elsewhere a moment later does not
            pinned = public(self._public_url)
            builder = builder.resolve(pinned.host, pinned.address, pinned.port)
        self._client = builder.build()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client:
            await self._client.close()


_SET_BY_CLIENT = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})


@lru_cache(maxsize=256)
def _parsed(url: str) -> Url:
    """Most syncs have one address an operation."""
    return Url(url)


class _Begun:
    """An awaitable whose first step, which hands the request to the network's own thread, is followed by a call.

    The same by a task costs two more turns of the event loop a request.
    """

    def __init__(self, work: Coroutine[Any, Any, Response], begun: Callable[[], None] | None) -> None:
        self._work, self._begun = work, begun

    def __await__(self) -> Generator[Any, Any, Response]:
        try:
            try:
                waits = self._work.send(None)
            finally:  # also where the answer came within the first step
                if self._begun:
                    self._begun()
            while True:
                try:
                    value = yield waits
                except BaseException as error:  # noqa: BLE001 - a cancelled connection: the wire decides what follows
                    waits = self._work.throw(error)
                else:
                    waits = self._work.send(value)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def _response(status: int, headers: list[tuple[str, str]], body: bytes) -> httpx.Response:
    """The answer as the contract has it. Raises Lost where it is not encoded as its headers say."""
    if not any(name == "content-encoding" for name, _ in headers):
        return _Answer(status, headers, body)
    response = httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
    try:
        response.read()
    except httpx.DecodingError as error:
        raise Lost("the answer is not encoded as its headers say") from error
    return response


# The wire's classes do not tell: a reset after the request was sent is a ConnectError too, and a time-out while the
# answer is awaited a ConnectTimeoutError. Only this cause says that no connection was made: test_transport proves it.
_NOT_CONNECTED = "client error (Connect)"


def _causes(error: PyreqwestError) -> list[str]:
    """What led to an error, outermost first."""
    details = error.args[-1] if isinstance(error.args[-1], dict) else {}
    return [str(cause["message"]) for cause in details.get("causes") or ()]


def _innermost(error: Exception) -> str:
    """The kind and innermost cause of an error: never its outer lines, which hold the address and perhaps a key."""
    causes = _causes(error) if isinstance(error, PyreqwestError) else []
    return causes[-1] if causes else type(error).__name__
