"""Delivery with claims and receipts, against the fastest Python client sending the same requests without either.

The receiver has its own process. The limit's requests are made beforehand; ours are made from the spool as they leave.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl
import report
from pyreqwest.client import Client, ClientBuilder

from models.delivery import Delivery
from models.settings import Settings
from models.sync import Op
from sinks import spool
from sinks.backlog import Chunk, cut
from sinks.base import Batch
from sinks.http import deliver
from sinks.journal import Journal
from sinks.limiter import Limiters
from sinks.recorder import RecorderOptions, RecorderSink
from sinks.transport import Rewrite

AT = datetime(2026, 3, 1, tzinfo=UTC)
Request = tuple[str, dict[str, str], bytes]


@dataclass(frozen=True)
class Kind:
    """One case: rows a request, the receiver's latency, and what has to be reached."""

    name: str
    rows: int
    connections: int
    latency: float
    goal: float
    goal_is: Literal["ratio at least", "ours at least"]
    sizes: tuple[int, int]
    quick: tuple[int, int]


KINDS = (
    Kind("1 row a request, 100 ms, 32 connections", 1, 32, 0.1, 300, "ours at least", (960, 9_600), (64, 128)),
    Kind("1 row a request, 0 ms, 32 connections", 1, 32, 0.0, 0.5, "ratio at least", (5_000, 50_000), (200, 400)),
    Kind(
        "500 rows a request, 0 ms, 8 connections",
        500,
        8,
        0.0,
        100_000,
        "ours at least",
        (1_000_000, 10_000_000),
        (5_000, 10_000),
    ),
)


def cases(options: report.Options) -> Iterator[report.Case]:
    """Each kind at each size, then how each grows."""
    done: list[report.Case] = []
    for kind in KINDS:
        with receiver(kind.latency) as url:
            for size in options.pick(kind.sizes, kind.quick):
                with tempfile.TemporaryDirectory(prefix="bench-deliver-") as folder:
                    done.append(at_size(Path(folder), url, kind, size, options.rounds))
                    yield done[-1]
    yield from report.growths(done)


def at_size(folder: Path, url: str, kind: Kind, size: int, rounds: int) -> report.Case:
    sink = RecorderSink(RecorderOptions(rows=kind.rows, connections=kind.connections), {"token": "dev-token"})
    written = folder / "rows.parquet"
    spool.write(written, people(size).to_arrow().to_reader())
    requests = list(prepared(sink, spool.Spool(written), Rewrite(url, sink.name, "crm/bench", AT)))
    runs = iter(range(1, 1_000))

    def ours() -> float:
        run = folder / f"run{next(runs)}"
        return size / report.seconds(lambda: ours_once(run, url, sink, written, size))

    def limit() -> float:
        return size / report.seconds(lambda: asyncio.run(limit_once(requests, kind.connections)))

    figures = report.alternate(ours, limit, rounds)
    return report.Case(kind.name, size, *figures, "rows/s", kind.goal, kind.goal_is)


def people(count: int) -> pl.DataFrame:
    """A spool of upserts with five fields."""
    number = pl.int_range(count)
    return pl.select(
        number.alias(spool.ROW),
        pl.lit(str(Op.UPSERT)).alias(spool.OP),
        pl.format("person{}@shop.example", number).alias("email"),
        pl.format("First{}", number % 1000).alias("first_name"),
        (number % 17).alias("orders"),
        (number * 31 % 100_000 / 100).alias("revenue"),
        pl.lit(AT).alias("last_order_at"),
    )


def prepared(sink: RecorderSink, rows: spool.Spool, rewrite: Rewrite) -> Iterator[Request]:
    """The requests that our loop makes, whole."""
    for frame in rows.frames(8_192):
        chunk = Chunk.of(sink, Op.UPSERT, frame)
        for work in cut(chunk, sink.limits):
            key = f"{chunk.first + work.offsets[0]:032x}"
            batch = Batch("crm/bench", Op.UPSERT, key, ("email",), AT, work.payloads, chunk.frame, work.offsets)
            request = sink.request(batch)
            told = dict(request.headers) | dict(rewrite.headers) | {"X-Tailrace-Request": key}
            yield rewrite.url(str(request.url)), told, request.content


def ours_once(folder: Path, url: str, sink: RecorderSink, written: Path, size: int) -> None:
    """A delivery as a run makes it, with a journal of its own."""
    settings = Settings(folder, folder, recorder=url)
    with Journal(settings.journal) as journal:
        delivery = Delivery("run1", "plan1", "crm/bench", 1, size, written.name, AT, AT)
        journal.open_delivery(delivery)
        summary = deliver(
            sink, spool.Spool(written), delivery, journal, settings=settings, key=["email"], limiters=Limiters(1)
        )
        assert summary.counts == {"accepted": size}, summary


async def limit_once(requests: list[Request], connections: int) -> None:
    """The same requests on as many connections, and their answers read."""
    waiting = iter(requests)

    async def connection(client: Client) -> None:
        for url, headers, body in waiting:
            answer = await client.post(url).headers(headers).body_bytes(body).build().send()
            assert bytes(await answer.bytes()).startswith(b'{"taken"')

    async with ClientBuilder().no_proxy().max_connections(connections).build() as client:
        await asyncio.gather(*(connection(client) for _ in range(connections)))


@contextmanager
def receiver(latency: float) -> Iterator[str]:
    """The quick receiver's address."""
    script = Path(__file__).with_name("quick_receiver.py")
    process = subprocess.Popen([sys.executable, str(script), str(latency)], stdout=subprocess.PIPE)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    report.main("deliver", cases, (__doc__ or "").splitlines()[0])
