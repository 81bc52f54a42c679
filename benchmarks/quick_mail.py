"""A relay that takes every message at once and keeps none: what a benchmark of delivery by SMTP speaks to.

python benchmarks/quick_mail.py     prints its port, and runs until it is ended
"""

from __future__ import annotations

import asyncio

REPLIES = {
    b"EHLO": b"250-quick\r\n250-SIZE 30000000\r\n250 8BITMIME\r\n",
    b"MAIL": b"250 2.1.0 OK\r\n",
    b"RCPT": b"250 2.1.5 OK\r\n",
    b"RSET": b"250 2.0.0 OK\r\n",
    b"DATA": b"354 go on\r\n",
    b"XTAI": b"250 OK\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class Session(asyncio.Protocol):
    """Lines until DATA, then a message until its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._out, self._held, self._in_data = transport, b"", False
        transport.write(b"220 quick\r\n")

    def data_received(self, data: bytes) -> None:
        self._held += data
        while True:
            end = self._held.find(b"\r\n.\r\n" if self._in_data else b"\r\n")
            if end < 0:
                return
            line, self._held = self._held[:end], self._held[end + (5 if self._in_data else 2) :]
            if self._in_data:
                self._in_data = False
                self._out.write(b"250 2.0.0 queued as 1\r\n")
            else:
                verb = line[:4].upper()
                self._in_data = verb == b"DATA"
                self._out.write(REPLIES[verb])


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
