"""What a connection may cost before anybody knows who calls: bytes and seconds of heads, and connections at once.

uvicorn with httptools has no such limits of its own: a head of 300 MB is read to its end, half a one waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SWEEP_TICKS = 10  # of uvicorn, a tenth of a second each, between two looks for who is too slow
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class Line:
    """What one connection may take, and how many there may be."""

    connections: int = 800  # less than the 1,024 files that a process has by default
    head_bytes: int = 64 << 10  # of address and headers; also of what follows a body
    headers: int = 256
    pipelined: int = 16  # requests that wait on one connection
    head_seconds: float = 10.0  # in which a whole head has to come
    answer_seconds: float = 120.0  # longest of all, with the body and a disk that waits: nobody reads the answer


def protocol(line: Line) -> type[BoundedProtocol]:
    """A class, since uvicorn makes its objects and hands over nothing of ours."""
    return type("Bounded", (BoundedProtocol,), {"line": line})


class BoundedProtocol(HttpToolsProtocol):
    """Counts what was read since the last whole head or part of a body, wherever in a request that is.

    So it counts trailers and what is passed over between requests, too.
    """

    line = Line()

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._room = self.line.head_bytes
        self._has_body = False
        self._since = self.loop.time()  # when it was last free for a request

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.line.connections:
            self._close(_FULL)

    def data_received(self, data: bytes) -> None:
        while data and not self.transport.is_closing():
            some, data = data[: self._room], data[self._room :]
            before, self._has_body = self.cycle, False
            super().data_received(some)
            is_ahead = self._has_body or self.cycle is not before
            self._room = self.line.head_bytes if is_ahead else self._room - len(some)
            if self._room <= 0 or self._is_swamped():
                self._close(_TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        self._has_body = True
        super().on_body(body)

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def sweep(self, now: float) -> None:
        """Close it where a head did not come in time, or an answer is not read."""
        is_free = self.cycle is None or self.cycle.response_complete
        if now - self._since > (self.line.head_seconds if is_free else self.line.answer_seconds):
            self.transport.abort()  # what is still to be written nobody waits for

    def _is_swamped(self) -> bool:
        return len(self.headers or ()) > self.line.headers or len(self.pipeline) > self.line.pipelined

    def _close(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()


def sweep(connections: Iterable[Any], now: float) -> None:
    """Close whoever is too slow. `now` by the clock of the loop."""
    for connection in [*connections]:
        if isinstance(connection, BoundedProtocol):
            connection.sweep(now)
