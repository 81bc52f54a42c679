"""The contract of a sink. A sink is a module of this package that defines `Sink`; its name is the module's name.

A sink says what its vendor accepts and how it answers; it never loops, waits, retries or remembers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode

import httpx
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.delivery import Outcomes
from models.sync import Channel, Mode, Op


class Options(BaseModel):
    """What a sync may say to this sink. Fields made with `destination()` are part of the sync's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def destination_fields(cls) -> tuple[str, ...]:
        """The options that say *where* rows go: change one and it is another sync."""
        extras = ((name, field.json_schema_extra) for name, field in cls.model_fields.items())
        return tuple(name for name, extra in extras if isinstance(extra, dict) and extra.get("destination"))


def destination(default: Any = ..., *, description: str, **constraints: Any) -> Any:
    """An option that says where rows go."""
    return Field(default, description=description, json_schema_extra={"destination": True}, **constraints)


@dataclass(frozen=True)
class Operation:
    """One thing the vendor does. `idempotent`: doing it twice with the same rows is doing it once."""

    idempotent: bool


@dataclass(frozen=True)
class Limits:
    """What one request may hold, and what the account allows."""

    rows: int = 1  # per request
    bytes: int = 1_000_000  # per request body
    connections: int = 4  # requests in flight
    per_second: float | None = None  # requests a second an account, None where the vendor publishes none
    timeout: float = 30.0  # seconds until an answer is given up
    envelope: int = 256  # bytes of a body that are not rows; a row also costs its separator
    replies: int = 1  # waited for, each as long, from the last moment at which nothing has left

    @property
    def longest(self) -> float:
        """Seconds from that moment until it is known, or given up, what became of the rows."""
        return self.timeout * self.replies


class Batch(NamedTuple):
    """Rows that leave as one request. `payloads` are one JSON text a row, made by column (`HttpSink.payloads`)."""

    sync: str
    op: Op
    key: str  # idempotency key: the same bytes carry the same key
    identity: tuple[str, ...]  # the columns by which the vendor knows a row
    at: datetime  # when the request leaves: in dev by the run's clock
    payloads: Sequence[str]
    frame: pl.DataFrame  # the chunk these rows are part of …
    offsets: Sequence[int]  # … and which of its rows they are

    @property
    def rows(self) -> pl.DataFrame:
        """The sync's key and fields, typed."""
        if isinstance(self.offsets, range):
            return self.frame.slice(self.offsets.start, len(self.offsets))
        return self.frame[list(self.offsets)]


@dataclass(frozen=True)
class Known:
    """What the vendor would know after a request, one a row: for the recorder, which counts at the receiver."""

    op: Op
    identity: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Simulated:
    """The vendor's answer to a request, and what it now knows: the rows it took, in the order of the request."""

    response: httpx.Response
    rows: tuple[Known, ...] = ()


@dataclass(frozen=True)
class Fault:
    """What a programmed vendor does instead of taking a whole request: offsets of rows it rejects, with a reason."""

    reject: Mapping[int, str] = field(default_factory=dict)
    refuse: str | None = None  # the batch as a whole, with this reason, unless it is one good row


class Sink(ABC):
    """One destination: options and secrets in, requests out, answers read."""

    Options: ClassVar[type[Options]]
    secrets: ClassVar[tuple[str, ...]] = ()
    optional_secrets: ClassVar[frozenset[str]] = frozenset()  # of `secrets`, those an account may do without
    channel: ClassVar[Channel | None] = None  # of a sink of messages: its rows are those of models/message.py
    modes: ClassVar[frozenset[Mode]] = frozenset(Mode)
    reserved: ClassVar[frozenset[str]] = frozenset()  # columns that are the sink's own
    names_sync: ClassVar[bool] = False  # what arrives says whose it is: two syncs at one destination share no audience

    def __init__(self, options: Any, secrets: Mapping[str, str]) -> None:
        self.options = options
        self._secrets = secrets

    @property
    def name(self) -> str:
        """The module's name."""
        return type(self).__module__.rpartition(".")[2]

    @classmethod
    def is_dead(cls, reason: str) -> bool:  # noqa: ARG003 - most vendors have no such word
        """Whether a row rejected for this reason has a contact point that exists no more."""
        return False

    @classmethod
    def has_unsubscribed(cls, reason: str) -> bool:  # noqa: ARG003
        """Whether a row rejected for this reason is of somebody who told the vendor that they want no more."""
        return False

    @property
    def whole_audience(self) -> bool:
        """Whether every plan carries the whole audience as upserts, not only what changed."""
        return False

    @property
    @abstractmethod
    def account(self) -> str:
        """The account as the vendor would name it: rate limits and the sync's identity belong to it."""

    @property
    @abstractmethod
    def limits(self) -> Limits: ...

    @property
    @abstractmethod
    def operations(self) -> Mapping[Op, Operation]: ...

    def identity(self, key: Sequence[str]) -> tuple[str, ...]:
        """The columns by which the *vendor* knows a row of a sync with this key."""
        return tuple(key)


class Carrier(Sink):
    """A sink that takes a batch at a time; `sinks/http.py` is the only loop that drives it."""

    def payloads(self, op: Op, rows: pl.DataFrame) -> Sequence[str]:  # noqa: ARG002 - some vendors differ by op
        """One JSON text a row, made by column; `rows` holds the sync's key and fields, or composed messages."""
        return rows.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()


class HttpSink(Carrier):
    """A sink that speaks HTTP."""

    @abstractmethod
    def request(self, batch: Batch) -> httpx.Request:
        """The vendor's real request."""

    @abstractmethod
    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:
        """What the vendor's answer says of every row. 401, 403, 408, 413, 429, 1xx, 3xx and 5xx never come here.

        Raises ValueError, LookupError or TypeError where the answer is not what the vendor documents: the rows are
        then `unknown`. A batch refused as a whole is `Outcomes.all(REJECTED, reason, split=True)`.
        """

    @property
    def public_url(self) -> str | None:
        """An address that somebody wrote into a file, and that must be public; None for a vendor's own."""
        return None

    def is_about_rows(self, response: httpx.Response) -> bool:  # noqa: ARG002 - most vendors keep to what a status means
        """Whether `outcomes` reads this answer although its status is 401, 403, 408, 413, 429, 1xx, 3xx or 5xx."""
        return False

    def following(self, batch: Batch, answers: Sequence[httpx.Response]) -> httpx.Request | None:  # noqa: ARG002
        """The next request of an operation that takes several, given the answers so far, all of them 2xx or 4xx.

        None where there is no other. Only for idempotent operations: a chain that breaks is begun again.
        """
        return None

    def outcomes_of_chain(self, batch: Batch, answers: Sequence[httpx.Response]) -> Outcomes:
        """As `outcomes`, of all answers of a chain."""
        return self.outcomes(batch, answers[-1])

    def login(self, at: datetime) -> httpx.Request | None:  # noqa: ARG002 - most vendors know us by each request
        """A request that must be answered before the next one leaves (an access token); None where there is none now.

        Nothing of the rows is in it: whatever becomes of it, they were certainly not processed.
        """
        return None

    def logged_in(self, response: httpx.Response, at: datetime) -> None:
        """Keep what a 2xx answer to `login` gave. Raises ValueError, LookupError or TypeError where it gave nothing."""

    @classmethod
    @abstractmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        """The vendor's answer to a real request, and what it now knows. Refuses a request without its dev secret."""


class Line(ABC):
    """One connection of a protocol of its own. Not for two batches at once."""

    @abstractmethod
    async def send(self, batch: Batch, sent: Callable[[], None]) -> Outcomes:
        """Hand the rows over and say what became of each; `sent` is called before what cannot be taken back.

        From there on it takes no longer than the sink's `limits.longest`. What `sent` raises goes on to the caller.
        Raises NotSent or Lost (sinks/transport.py): the line is then closed.
        """

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it can take another batch."""

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye where the other side still listens."""


@dataclass(frozen=True)
class Twin:
    """In dev: where the recorder listens in the sink's own protocol, and what it is told about the run."""

    host: str
    port: int
    sync: str
    as_of: datetime


class LineSink(Carrier):
    """A sink with a protocol of its own, over connections that are kept while a delivery lasts."""

    @abstractmethod
    async def connect(self, twin: Twin | None) -> Line:
        """Raises NotSent where nobody is there, LetNobodyIn where the account is refused (sinks/transport.py)."""


_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


@lru_cache
def _parsed(url: str) -> httpx.URL:
    return httpx.URL(url)


def json_request(url: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> httpx.Request:
    """JSON. The address is parsed once, headers and body are given as bytes: 8 µs instead of 90."""
    return _request(method, url, body, {"Content-Type": _JSON, **headers})


def form_request(url: str, fields: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> httpx.Request:
    """A POST of a form, in the order of its fields."""
    return _request("POST", url, urlencode(fields).encode(), {"Content-Type": _FORM, **headers})


def _request(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
    given = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    request = httpx.Request(method, _parsed(url), headers=given, stream=httpx.ByteStream(body))
    request.read()
    return request


class BulkSink(Sink):
    """A sink that takes a whole delivery at once (a file): idempotent by the name it derives from sync and plan."""

    @abstractmethod
    def send(self, out: Path, sync: str, plan_id: str, frames: Iterable[tuple[Op, pl.DataFrame]]) -> None:
        """Take every row, removes first, and make it durable before returning. Frames may be empty.

        Raises StorageFull.

        `out` is the target's folder for what leaves without a network.
        """
