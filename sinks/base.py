"""The contract of a sink. A sink is a module of this package that defines `Sink`; its name is the module's name.

A sink says what its vendor accepts and how it answers; it never loops, waits, retries or remembers.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from models.delivery import Outcomes
from models.errors import UserError
from models.sync import Mode, Op


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


@dataclass(frozen=True)
class Batch:
    """Rows that leave as one request. `payloads` are one JSON text a row, made by column (`Sink.payloads`)."""

    sync: str
    op: Op
    key: str  # idempotency key: the same bytes carry the same key
    rows: pl.DataFrame
    payloads: Sequence[str]


@dataclass(frozen=True)
class Known:
    """What the vendor would know after a request, one a row: for the recorder, which counts at the receiver."""

    op: Op
    identity: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Simulated:
    """The vendor's answer to a request, and what it now knows. Row `i` of `rows` is row `i` of the request."""

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
    modes: ClassVar[frozenset[Mode]] = frozenset(Mode)

    def __init__(self, options: Any, secrets: Mapping[str, str]) -> None:
        self.options = options
        self._secrets = secrets

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


class HttpSink(Sink):
    """A sink that speaks HTTP; `sinks/http.py` is the only loop that drives it."""

    def payloads(self, op: Op, rows: pl.DataFrame) -> Sequence[str]:  # noqa: ARG002 - some vendors differ by op
        """One JSON text a row, made by column; `rows` holds the sync's key and fields."""
        return rows.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()

    @abstractmethod
    def request(self, batch: Batch) -> httpx.Request:
        """The vendor's real request."""

    @abstractmethod
    def outcomes(self, batch: Batch, response: httpx.Response) -> Outcomes:
        """What the vendor's answer says of every row. 401, 403, 429 and 5xx are read by the loop before."""

    @classmethod
    @abstractmethod
    def simulate(cls, request: httpx.Request, fault: Fault) -> Simulated:
        """The vendor's answer to a real request, and what it now knows. Refuses a request without its dev secret."""


class BulkSink(Sink):
    """A sink that takes a whole delivery at once (a file): idempotent by the name it derives from sync and plan."""

    @abstractmethod
    def send(self, sync: str, plan_id: str, frames: Iterable[tuple[Op, pl.DataFrame]]) -> Outcomes:
        """Take every row, removes first, and make it durable before returning."""


def discover() -> dict[str, type[Sink]]:
    """Every sink by its module's name: the modules of this package that define a concrete subclass of `Sink`."""
    found: dict[str, type[Sink]] = {}
    for module in pkgutil.iter_modules(importlib.import_module("sinks").__path__):
        if module.name == "base":
            continue
        loaded = importlib.import_module(f"sinks.{module.name}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, Sink) and value.__module__ == loaded.__name__:
                found[module.name] = value
    return found


def load(name: str) -> type[Sink]:
    """The sink of this name. Raises UserError naming those there are."""
    found = discover()
    if name not in found:
        message = f"no sink '{name}'; there are: {', '.join(sorted(found))}"
        raise UserError(message)
    return found[name]
