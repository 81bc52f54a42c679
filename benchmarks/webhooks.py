"""Signed webhooks landed before they are answered, against an empty 200 of the same server and against bare fsyncs.

Each server has its own process; its rate is by the processor time that it took, so that the client costs it nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import orjson
import report
import uvicorn
from pyreqwest.client import Client, ClientBuilder
from starlette.types import Receive, Scope, Send

from gateway.gate import Gate, Hook
from gateway.landing import Landing
from gateway.serve import serve
from models.links import Links
from models.outcome import Report, Told
from sinks.reporting import Heard, Reporting

URL = "https://gateway.example"
PATH = "/webhooks/mail"
KEY = "dev-key"
CONNECTIONS = 64
SPAWN = multiprocessing.get_context("spawn")


class Bench(Reporting):
    """An HMAC over the body and a list of events, as most providers have it."""

    webhook_secrets = ("key",)

    @classmethod
    def is_signed(cls, heard: Heard, secrets: Mapping[str, str], now: datetime) -> bool:  # noqa: ARG003
        signed = hmac.new(secrets["key"].encode(), heard.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(signed, heard.headers.get("x-signature", ""))

    @classmethod
    def reports(cls, heard: Heard) -> Iterable[Report]:
        for event in orjson.loads(heard.body):
            at = datetime.fromtimestamp(event["timestamp"], UTC)
            yield Report(event["id"], Told(event["event"]), at, send_key=event["send_key"], contact=event["email"])

    @classmethod
    def tell(cls, url: str, reports: Sequence[Report], at: datetime) -> Iterator[httpx.Request]:
        raise NotImplementedError


@dataclass(frozen=True)
class Body:
    content: bytes
    headers: dict[str, str]


def bodies(count: int, events: int) -> list[Body]:
    """Requests of so many events each."""
    made = []
    for number in range(count):
        told = [
            {
                "id": f"event-{number}-{event}",
                "event": "delivered",
                "timestamp": 1_793_000_000 + number,
                "send_key": f"{number:032x}",
                "email": f"person{number}@shop.example",
                "response": "250 2.0.0 OK; the message was queued for delivery to the person's mailbox",
            }
            for event in range(events)
        ]
        content = orjson.dumps(told)
        signature = hmac.new(KEY.encode(), content, hashlib.sha256).hexdigest()
        made.append(Body(content, {"x-signature": signature, "content-type": "application/json"}))
    return made


def cases(options: report.Options) -> Iterator[report.Case]:
    """One event a request, and fifty; then the disk."""
    for events, goal in ((1, 0.1), (50, 0.05)):
        for size in options.pick((10_000,), (500,)):
            yield against_empty(size, events, goal, options.rounds)
    for size in options.pick((5_000,), (500,)):
        yield against_disk(size, options.rounds)


def against_empty(size: int, events: int, goal: float, rounds: int) -> report.Case:
    sent = bodies(size, events)
    with folder() as root, running(_gateway, root) as ours, running(_empty, root) as limit:
        figures = report.alternate(lambda: ours.a_core(sent), lambda: limit.a_core(sent), rounds)
    name = f"events a webhook: {events}; a core, against an empty 200"
    return report.Case(name, size, *figures, "requests/s", goal, "ratio at least")


def against_disk(size: int, rounds: int) -> report.Case:
    """By the clock on the wall: what an answer waits for is the disk."""
    sent = bodies(size, 1)
    with folder() as root, running(_gateway, root) as ours:
        figures = report.alternate(
            lambda: size / report.seconds(lambda: ours.post(sent)),
            lambda: size / report.seconds(lambda: append(root / "bare", sent)),
            rounds,
        )
    return report.Case(
        "events a webhook: 1; by the clock, against append + fsync each",
        size,
        *figures,
        "requests/s",
        0.5,
        "ratio at least",
    )


def append(path: Path, sent: Sequence[Body]) -> None:
    """As durable, one after the other, without anything else."""
    with path.open("ab", buffering=0) as file:
        for body in sent:
            file.write(body.content + b"\n")
            os.fsync(file.fileno())


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    def a_core(self, sent: Sequence[Body]) -> float:
        """Requests a second of its processor time."""
        before = self._seconds()
        self.post(sent)
        return len(sent) / (self._seconds() - before)

    def post(self, sent: Sequence[Body]) -> None:
        asyncio.run(self._post(sent))

    async def _post(self, sent: Sequence[Body]) -> None:
        waiting = iter(sent)

        async def connection(client: Client) -> None:
            for body in waiting:
                request = client.post(f"{self.url}{PATH}").headers(body.headers).body_bytes(body.content)
                answer = await request.build().send()
                assert answer.status == 200, answer.status

        async with ClientBuilder().no_proxy().max_connections(CONNECTIONS).build() as client:
            await asyncio.gather(*(connection(client) for _ in range(CONNECTIONS)))

    def _seconds(self) -> float:
        told = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(target: Callable[[Path, Connection], None], root: Path) -> Iterator[Server]:
    listening, told = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=target, args=(root, told), daemon=True)
    process.start()
    told.close()
    try:
        server = Server(f"http://127.0.0.1:{listening.recv()}", process.pid or 0)
        server.post(bodies(200, 1))  # warm
        yield server
    finally:
        process.terminate()
        process.join()


@contextmanager
def folder() -> Iterator[Path]:
    """On the disk that has the checkout's temporary files: memory would sync in no time."""
    with tempfile.TemporaryDirectory(prefix="bench-webhooks-") as name:
        yield Path(name)


def _gateway(root: Path, told: Connection) -> None:
    def gate() -> Gate:
        landing = Landing(root / "landing", root / "journal.sqlite", _now)
        hooks = {"mail": Hook(Bench, "email", {"key": KEY})}
        return Gate(Links(URL, ("a key of a bench",)), "salt", hooks, {"marketing": "News"}, landing, _now)

    serve(gate, port=0, ready=told.send)


def _empty(_: Path, told: Connection) -> None:
    """An application that reads a body and answers nothing, as the server can do it at best."""
    config = uvicorn.Config(_nothing, access_log=False, lifespan="off", log_config=None, server_header=False)
    config.load()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        told.send(listening.getsockname()[1])
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(uvicorn.Server(config).serve([listening]))


async def _nothing(_: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


if __name__ == "__main__":
    report.main("webhooks", cases, (__doc__ or "").splitlines()[0])
