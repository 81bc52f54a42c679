"""What tests of delivery share: a recorder to be programmed, runs to be delivered, a transport without a network."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import polars as pl
import pyarrow as pa

from models.delivery import Delivery, Summary
from models.message import FIELDS
from models.settings import Settings
from models.sync import Op
from sinks import spool
from sinks.base import Sink
from sinks.http import deliver
from sinks.journal import Journal
from sinks.leases import Lease
from sinks.limiter import Backoff, Limiters
from sinks.settlement import Patience
from sinks.transport import Transport
from sinks.writer import Writer

CHECKOUT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
HASTY = Patience(attempts=4, throttled_seconds=2.0, backoff=Backoff(first=0.005, ceiling=0.05))


@dataclass
class Recorder:
    """The shipped recorder as a vendor to be programmed and asked."""

    url: str
    db: Path

    def behave(self, **behaviour: Any) -> None:
        httpx.put(f"{self.url}/_behaviour", json=behaviour).raise_for_status()

    def received(self, sync: str | None = None) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/_received", params={"sync": sync} if sync else {})
        return [httpx.Response(200, content=line).json() for line in answer.content.splitlines()]

    def identities(self, sync: str | None = None) -> list[str]:
        return [row["identity"] for row in self.received(sync)]


CONTACTS = {"email": "person{}@shop.example", "sms": "+4915112345{:03}", "push": "token-{}"}


def letters(count: int, channel: str = "email", first: int = 0, **columns: Any) -> pl.DataFrame:
    """Spool rows that are composed messages to made-up people."""
    numbers = range(first, first + count)
    told = {
        "send_key": [f"{number:032x}" for number in numbers],
        "profile_id": [f"p{number}" for number in numbers],
        "to": [CONTACTS[channel].format(number) for number in numbers],
        "subject": "Hello" if channel != "sms" else "",
        "text": [f"Hello {number}\n" for number in numbers],
        "html": [f"<p>Hello {number}</p>" for number in numbers] if channel == "email" else None,
        "unsubscribe_url": [f"https://t.shop.example/u/{number}" for number in numbers],
        "preferences_url": [f"https://t.shop.example/preferences/{number}" for number in numbers],
        "purpose": "marketing",
        "journey": "welcome",
        "node": "1",
        "template": "hello",
        "template_version": "d1",
        "locale": "en",
        **columns,
    }
    listed = {
        name: value if isinstance(value, list | pl.Series) else [value] * count
        for name, value in ((name, told.get(name)) for name in FIELDS)
    }
    return pl.DataFrame(
        {"_row": list(numbers), "_op": [str(Op.SEND)] * count, **listed},
        schema_overrides=dict.fromkeys(FIELDS, pl.String),
    )


def people(count: int, op: Op = Op.UPSERT, first: int = 0, **columns: Sequence[Any]) -> pl.DataFrame:
    """Spool rows of made-up people."""
    numbers = range(first, first + count)
    return pl.DataFrame(
        {
            "_row": list(numbers),
            "_op": [str(op)] * count,
            **columns,
            "email": [f"person{number}@shop.example" for number in numbers],
            "orders": list(numbers),
        }
    )


@dataclass
class Desk:
    """One journal and what is delivered through it."""

    settings: Settings
    journal: Journal
    runs: int = 0
    delivery: Delivery = field(init=False)

    def open(self, rows: pl.DataFrame, **fields: Any) -> spool.Spool:
        """The next run of the sync, its spool written and its delivery open."""
        self.runs += 1
        run_id = f"run{self.runs}"
        path = self.settings.spool / f"{run_id}.parquet"
        spool.write(path, rows.to_arrow().to_reader())
        given = {"sync": "crm/seg_test", "plan_id": f"plan{self.runs}"} | fields
        self.delivery = Delivery(
            run_id=run_id, epoch=self.runs, rows=len(rows), spool=path.name, as_of=AT, opened_at=AT, **given
        )
        self.journal.open_delivery(self.delivery)
        return spool.Spool(path)

    def deliver(
        self,
        sink: Sink,
        rows: pl.DataFrame,
        *,
        transport: Transport | None = None,
        patience: Patience = HASTY,
        key: Sequence[str] = ("email",),
        clock: Callable[[], datetime] | None = None,
        **fields: Any,
    ) -> Summary:
        """Send `rows` as the next run."""
        return self.run(sink, self.open(rows, **fields), transport=transport, patience=patience, key=key, clock=clock)

    def run(
        self,
        sink: Sink,
        opened: spool.Spool,
        *,
        transport: Transport | None = None,
        patience: Patience = HASTY,
        key: Sequence[str] = ("email",),
        writer: Writer | None = None,
        lease: Lease | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> Summary:
        """Send what was opened."""
        return deliver(
            sink,
            opened,
            self.delivery,
            self.journal,
            settings=self.settings,
            key=key,
            limiters=Limiters(seed=1, backoff=patience.backoff),
            transport=transport,
            writer=writer,
            lease=lease,
            patience=patience,
            seed=1,
            clock=clock,
        )

    def receipts(self) -> pa.Table:
        """Every receipt there is, one row a row."""
        fold = self.journal.begin_fold(AT)
        return pa.concat_tables([table for _, table in self.journal.receipts(fold)]) if fold else pa.table({})

    def last(self) -> dict[int, str]:
        """Row → its last outcome."""
        return {row["row"]: row["outcome"] for row in sorted(self.receipts().to_pylist(), key=lambda row: row["seq"])}


@dataclass
class Scripted:
    """A transport that asks a function; what it raises is what the network did."""

    answer: Callable[[httpx.Request, int], httpx.Response]
    requests: list[httpx.Request] = field(default_factory=list)

    def ready(self) -> None:
        return

    async def start(
        self, request: httpx.Request, _key: str, _seconds: float, sent: Callable[[], None] | None = None
    ) -> httpx.Response:
        self.requests.append(request)
        ordinal = len(self.requests)
        if sent:
            sent()
        await asyncio.sleep(0.001)
        return self.answer(request, ordinal)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return
