"""A sync: one dbt model going to one sink, as declared in the model's `meta.syncs`, with its defaults."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema, model_validator

from models.quota import Quota, WarmUp


class Mode(StrEnum):
    MIRROR = "mirror"  # the audience equals the model: upsert and remove
    UPSERT = "upsert"  # nothing is removed
    APPEND = "append"  # a key is sent once, at first sight
    SEND_ON_ENTRY = "send_on_entry"  # the unit is a row of the membership history


class Op(StrEnum):
    UPSERT = "upsert"
    REMOVE = "remove"
    SEND = "send"


def number(value: object) -> object:
    """Refuses true and false, which Python takes for 1 and 0, and what has no end or is none (`.inf`, `.nan`)."""
    if isinstance(value, bool) or not is_finite(value):
        message = f"must be a number, not {str(value).lower()[:40]}"
        raise ValueError(message)
    return value


def is_finite(value: object) -> bool:
    """False for numbers that no JSON and no column has; whatever is no number is fine here."""
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:  # of hundreds of digits
        return False


def _share(value: object) -> object:
    """`10%` → 0.1; numbers pass."""
    if isinstance(value, str):
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", value)
        if not found:
            message = f"'{value}' is not a share; write one like 10% or 0.1"
            raise ValueError(message)
        return float(found[1]) / 100
    return number(value)


SinkName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
_SHARES = [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"}]
Share = Annotated[float, BeforeValidator(_share), Field(ge=0), WithJsonSchema({"anyOf": _SHARES})]

Channel = Literal["email", "sms", "push"]
Purpose = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1)]  # as `consent` has it
TRANSACTIONAL = "transactional"  # what somebody asked for by what they did: it needs no consent, and no cap holds it


class Guards(BaseModel):
    """Limits past which a plan waits for `tailrace apply`. Removals for consent or suppression pass them all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_remove: Share = Field(default=0.10, description="Share of the audience that may leave in one plan …")
    max_remove_rows: int = Field(default=50, ge=0, description="… once more than this many rows leave")
    max_add: float = Field(
        default=3.0, gt=0, description="Adds may be this many times the audience, after the first run …"
    )
    max_add_rows: int = Field(default=50, ge=0, description="… once more than this many rows enter")
    max_send: int = Field(default=10_000, ge=0, description="Messages a run may send without an apply")


class SyncEntry(BaseModel):
    """One entry of `meta.syncs`. Keys that are not fields here are options of the sink, validated by its Options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sink: str = Field(description="A destination named in sinks.yml")
    name: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]*$", description="When a model goes twice to one sink"
    )
    key: tuple[str, ...] = Field(
        default=("profile_id",), min_length=1, description="Columns that make a row the same row"
    )
    fields: tuple[str, ...] | None = Field(default=None, description="Columns sent; default: all of the model")
    purpose: Purpose | None = Field(default=None, description="People without this consent are not in the audience")
    contact: str | None = Field(
        default=None, description="Column with the contact point that consent is about; default: email, else phone"
    )
    template: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]*$", description="Of a sink of messages: what is sent to who enters"
    )
    mode: Mode = Mode.MIRROR
    guards: Guards = Guards()
    first_run: Literal["hold", "send"] = Field(
        default="hold", description="send_on_entry: whether members present at the first evaluation are sent"
    )
    on_unknown: Literal["hold", "resend"] = Field(
        default="hold", description="A non-idempotent operation of unknown outcome waits for a person, or is sent again"
    )


class Destination(BaseModel):
    """An entry of sinks.yml: a module of `sinks/`, its account-wide options and the names of its secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sink: str = Field(description="The module in sinks/")
    description: str = ""
    channel: Channel | None = Field(default=None, description="Through what it reaches people: journeys send to it")
    secrets: dict[str, str] = Field(
        default_factory=dict, description="Secret the sink asks for → environment variable that holds it"
    )
    options: dict[str, Any] = Field(default_factory=dict)
    per_hour: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        description="Rows (messages) that may go to its account in a clock hour of UTC, of all syncs and journeys "
        "together; what finds no place goes in a later run",
    )
    per_day: int | None = Field(default=None, strict=True, ge=1, description="The same in a day of UTC")
    warm_up: WarmUp | None = Field(
        default=None, description="Of a new sending domain: `per_day` is reached slowly, from `begins` on"
    )
    failover: tuple[SinkName, ...] = Field(
        default=(),
        description="Destinations of the same channel by which messages go on, in this order, when this account is "
        "refused or its quota is used up; who was refused an address, or may have been reached, is not sent to again",
    )

    @model_validator(mode="after")
    def _warms_up_to_something(self) -> Self:
        if self.warm_up and (self.per_day is None or self.warm_up.first > self.per_day):
            raise ValueError("`warm_up` needs a `per_day` to grow to, no less than its `first`")
        return self

    @property
    def quota(self) -> Quota:
        return Quota(self.per_hour, self.per_day, self.warm_up)


class Sync(BaseModel):
    """A sync ready to plan: its entry, the model's relation, and everything its sink needs but the secrets' values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="The dbt model")
    relation: tuple[str, str] = Field(description="Schema and name of the model's table")
    profiles: tuple[str, str] | None = Field(default=None, description="Schema and name of the profiles table")
    consent: tuple[str, str] | None = Field(default=None, description="Schema and name of the consent table")
    file: str = Field(description="The file that declares it, for messages")
    line: int | None = None
    entry: SyncEntry
    destination: Destination
    options: dict[str, Any] = Field(description="The sink's options: those of the entry over those in sinks.yml")
    identity: tuple[str, ...] = Field(description="Columns by which the vendor knows a row")
    pii: frozenset[str] = Field(default=frozenset(), description="Columns shown masked")
    above: frozenset[str] = Field(
        default=frozenset(), description="The models its rows are built from, its own and what it joins included"
    )

    journey: str | None = Field(default=None, description="The journey whose messages it carries")
    variables: tuple[str, ...] = Field(default=(), description="Of a journey: the entry event's properties it sends")
    texts: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Of messages: the versions of templates they may be made of → their languages"
    )

    @property
    def scopes(self) -> tuple[str, ...]:
        """What holds it when it is paused, besides its own name and `all`."""
        found = [f"journey:{self.journey}"] if self.journey else []
        return (*found, *([f"channel:{self.destination.channel}"] if self.journey and self.destination.channel else []))

    @property
    def name(self) -> str:
        """`<sink>/<model>`, or `<sink>/<model>/<name>`."""
        parts = (self.entry.sink, self.model, self.entry.name)
        return "/".join(part for part in parts if part)

    @property
    def slug(self) -> str:
        """The name as part of a table or file name."""
        return slug_of(self.name)


def slug_of(name: str) -> str:
    """A sync's name as part of a table or file name."""
    return name.replace("/", "__")


class Destinations(BaseModel):
    """The whole of sinks.yml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sinks: dict[SinkName, Destination]
