"""What the recorder can be told to do: `PUT /_behaviour`. `{}` is a good vendor.

Faults go by the request's ordinal per sync, which starts again with every PUT, or by a seeded share; nothing is random.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.sync import Op

Do = Literal[
    "throttle",  # 429, in one of four dialects of "wait"
    "refuse",  # the batch as a whole, 400
    "lose",  # processed, then the connection is cut
    "cut",  # the connection is cut before anything is processed
    "duplicate",  # processed once, answered twice on one connection
    "garbage",  # processed, answered with bytes that are not JSON; the status is what it would have been
    "html",  # not processed, a proxy's page with status 200
    "empty",  # processed, answered with nothing; the status is what it would have been
    "unauthorised",  # 401
    "forbidden",  # 403
    "too_large",  # 413
    "error",  # 500, not processed
    "late_error",  # processed, then 500
    "slow",  # processed and answered after `seconds`
]
Wait = Literal["retry-after", "retry-after-date", "reset-epoch", "reset-seconds", "ratelimit-retry-after", "none"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Strict):
    """One fault and when it strikes: all conditions given must hold; without any it strikes always."""

    do: Do
    sync: str | None = None
    op: Op | None = None
    at: list[int] | None = Field(default=None, description="Request ordinals of the sync, from 1")
    after: int | None = Field(default=None, description="Every request past this ordinal")
    share: float | None = Field(default=None, ge=0, le=1, description="Of requests, by seed")
    times: int | None = Field(default=None, ge=1, description="At most this often, over all syncs")
    seconds: float = Field(default=1.0, ge=0, description="slow: the delay; throttle: what the vendor asks to wait")
    wait: Wait = Field(default="retry-after", description="throttle: the header that says so")
    reason: str = "the recorder was told to"

    def holds(self, seed: int, sync: str, op: str, ordinal: int) -> bool:
        return (
            (self.sync is None or self.sync == sync)
            and (self.op is None or self.op == op)
            and (self.at is None or ordinal in self.at)
            and (self.after is None or ordinal > self.after)
            and (self.share is None or share_of(seed, self.do, sync, ordinal) < self.share)
        )


class Reject(_Strict):
    """Rows the vendor does not want, by their content or a seeded share of identities or of a column's values."""

    where: dict[str, Any] = Field(default_factory=dict, description="Payload column → the value that is refused")
    share: float | None = Field(default=None, ge=0, le=1, description="Of identities, by seed")
    of: str | None = Field(default=None, description="The payload column whose values, not identities, the share is of")
    sync: str | None = None
    whole: bool = Field(default=False, description="A batch that holds such a row is refused as a whole")
    reason: str = "invalid"

    def holds(self, seed: int, sync: str, identity: str, payload: Any) -> bool:
        return (
            (self.sync is None or self.sync == sync)
            and all(payload.get(column) == value for column, value in self.where.items())
            and (self.share is None or self._drawn(seed, sync, identity, payload) < self.share)
        )

    def _drawn(self, seed: int, sync: str, identity: str, payload: Any) -> float:
        return share_of(seed, "reject", sync, payload.get(self.of) if self.of else identity)


class Rates(_Strict):
    """Shares of those to whom it can happen: opens of the delivered, clicks of the opened."""

    delivered: float = Field(default=0.97, ge=0, le=1)
    opened: float = Field(default=0.35, ge=0, le=1)
    clicked: float = Field(default=0.2, ge=0, le=1)
    converted: float = Field(default=0.15, ge=0, le=1)
    unsubscribed: float = Field(default=0.02, ge=0, le=1)
    complained: float = Field(default=0.001, ge=0, le=1)
    machine_opened: float = Field(default=0.3, ge=0, le=1, description="Of e-mails delivered, by a proxy")


class Feedback(_Strict):
    """Outcomes as files, and of messages over HTTP: where, and how people behave."""

    folder: str = Field(min_length=1, description="The landing folder of the outcomes source")
    gateway: str | None = Field(
        default=None,
        description="Where providers call back and people unsubscribe; without it messages have files, too",
    )
    seed: int = 0
    rates: Rates = Rates()


class Behaviour(_Strict):
    """The whole programme."""

    seed: int = 0
    latency: float = Field(default=0.0, ge=0, le=60, description="Seconds before every answer")
    rules: list[Rule] = Field(default_factory=list, description="The first that holds strikes")
    reject: list[Reject] = Field(default_factory=list)
    outcomes: Feedback | None = Field(default=None, description="Write outcomes about a second after rows came in")


def share_of(seed: int, *parts: object) -> float:
    """A number in [0, 1) that depends on nothing but these."""
    text = "\x1f".join(str(part) for part in (seed, *parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def wait_headers(rule: Rule, now: datetime) -> dict[str, str]:
    """The vendor's "wait" in the dialect the rule asks for."""
    until = now.astimezone(UTC) + timedelta(seconds=rule.seconds)
    match rule.wait:
        case "retry-after":
            return {"Retry-After": f"{rule.seconds:g}"}
        case "retry-after-date":
            return {"Retry-After": format_datetime(until, usegmt=True)}
        case "reset-epoch":
            return {"X-RateLimit-Reset": str(math.ceil(until.timestamp()))}
        case "reset-seconds":
            return {"X-RateLimit-Reset": f"{rule.seconds:g}"}
        case "ratelimit-retry-after":
            return {"X-RateLimit-Retry-After": f"{rule.seconds:g}"}
        case "none":
            return {}
