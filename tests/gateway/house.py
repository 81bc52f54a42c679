"""A gateway to test: a provider of our own that signs and tells, people with links, and what was landed."""

import asyncio
import hashlib
import hmac
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import orjson

from gateway.app import application
from gateway.gate import Bounds, Gate, Hook
from gateway.landing import Landing, Pace
from models.journal_place import Place
from models.links import Links, Recipient
from models.outcome import Report, Told
from sinks.reporting import Heard, Reporting

AT = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
Result = TypeVar("Result")
SALT = "salt"
LINKS = Links("http://gateway.example/in", ("a key of a test",))
PURPOSES = {"marketing": "Offers & news", "newsletter": "The monthly letter"}
RECIPIENT = Recipient("p1", "email", "Ann@shop.example", "marketing", "m1")


class Toy(Reporting):
    """A provider that signs address and body, and tells a list of reports as they are."""

    webhook_secrets = ("key",)

    @classmethod
    def is_signed(cls, heard: Heard, secrets: Mapping[str, str], now: datetime) -> bool:
        signed = sign(secrets["key"], heard.url, heard.body)
        fresh = abs(now - datetime.fromisoformat(heard.headers["x-tailrace-received"])) < timedelta(minutes=5)
        return fresh and hmac.compare_digest(heard.headers.get("x-toy-signature", ""), signed)

    @classmethod
    def reports(cls, heard: Heard) -> Iterable[Report]:
        for told in orjson.loads(heard.body):
            yield Report(**{**told, "told": Told(told["told"]), "at": datetime.fromisoformat(told["at"])})

    @classmethod
    def tell(cls, url: str, reports: Sequence[Report], at: datetime) -> Iterator[httpx.Request]:  # noqa: ARG003
        body = orjson.dumps(reports)
        yield httpx.Request("POST", url, content=body, headers={"x-toy-signature": sign("dev-key", url, body)})


def sign(key: str, url: str, body: bytes) -> str:
    return hmac.new(key.encode(), url.encode() + b"\n" + body, hashlib.sha256).hexdigest()


def told(*reports: Report, name: str = "mail", url: str = LINKS.url) -> tuple[str, dict[str, Any]]:
    """Path, body and headers of the provider's request, as httpx takes them."""
    path = f"/webhooks/{name}"
    request = next(iter(Toy.tell(f"{url}{path}", reports, AT)))
    return path, {"content": request.content, "headers": {"x-toy-signature": request.headers["x-toy-signature"]}}


def report(number: int, event: Told = Told.DELIVERED, **fields: Any) -> Report:
    return Report(f"e{number}", event, AT, **{"send_key": f"m{number}", "contact": f"p{number}@shop.example", **fields})


@dataclass
class House:
    """A target's folder; `now` is the clock's, which a test moves."""

    root: Path
    now: datetime = AT
    limits: Bounds = field(default_factory=Bounds)
    pace: Pace = field(default_factory=lambda: Pace(seconds=60))
    place: Place | None = None  # of the journal; none: a file

    @property
    def folder(self) -> Path:
        return self.root / "landing" / "outcomes"

    @property
    def journal(self) -> Place:
        return self.place or self.root / "journal.sqlite"

    def landing(self) -> Landing:
        return Landing(self.folder, self.journal, lambda: self.now, self.pace)

    def gate(self, **fields: Any) -> Gate:
        hooks = {"mail": Hook(Toy, "email", {"key": "dev-key"}), "text": Hook(Toy, "sms", {"key": "dev-key"})}
        gate = Gate(LINKS, SALT, hooks, PURPOSES, self.landing(), lambda: self.now, self.limits)
        return replace(gate, **fields)

    def lines(self, pattern: str = "gateway-*.ndjson") -> list[dict[str, Any]]:
        """What is in finished files, in order."""
        files = sorted(self.folder.glob(pattern))
        return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def growing(self) -> list[dict[str, Any]]:
        """What is in files that grow."""
        return self.lines(".gateway-*.part")


class Client:
    """Speaks to the application in this process; several requests at once share a turn of its loop."""

    def __init__(self, gate: Gate, address: str = "203.0.113.7") -> None:
        self.gate = gate
        self._runner = asyncio.Runner()
        self.app = application(gate)
        transport = httpx.ASGITransport(self.app, client=(address, 4242))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://inside.example")

    def __enter__(self) -> Self:
        self.gate.landing.open()
        self._runner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self.http.aclose())
        self._runner.close()
        self.gate.landing.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    def get(self, path: str, **told: Any) -> httpx.Response:
        return self.run(self.http.get(path, **told))

    def post(self, path: str, **told: Any) -> httpx.Response:
        return self.run(self.http.post(path, **told))

    def posted(self, requests: Sequence[tuple[str, dict[str, Any]]]) -> list[httpx.Response]:
        """All at once."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*(self.http.post(path, **told) for path, told in requests))

        return self.run(all_of_them())
