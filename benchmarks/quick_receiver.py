"""A receiver as fast as Python can be, in its own process: reads a request, counts its rows, answers as the recorder.

python benchmarks/quick_receiver.py LATENCY_SECONDS        prints the port it listens on
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial

ROW = b'"email":'
END = b"\r\n\r\n"


class Receiver(asyncio.Protocol):
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.loop = asyncio.get_running_loop()
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(END)) >= 0:
            head = self.waiting[:end].lower()
            at = head.find(b"content-length:") + 15
            length = int(head[at:].split(b"\r", 1)[0])
            whole = end + len(END) + length
            if len(self.waiting) < whole:
                return
            rows = self.waiting.count(ROW, end, whole)
            self.waiting = self.waiting[whole:]
            self.answer(b'{"taken":%d,"rows":[]}' % rows)

    def answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        if self.latency:
            self.loop.call_later(self.latency, self.transport.write, head + body)
        else:
            self.transport.write(head + body)


async def main(latency: float) -> None:
    server = await asyncio.get_running_loop().create_server(partial(Receiver, latency), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
