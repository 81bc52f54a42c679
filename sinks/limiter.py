"""How fast an account may be asked: one limiter an account, shared by the syncs of this process.

Between processes the claim keeps the pace (sinks/allowances.py); the limiter asks for a claim no earlier than it can
be granted, and waits where the vendor says so.

Vendors say "wait" in four dialects (Retry-After as seconds or date, X-RateLimit-Reset as epoch or seconds,
X-RateLimit-Retry-After, and nothing at all: then back-off with full jitter).
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

EPOCH_FROM = 1_000_000_000  # a reset larger than this is a moment, not a number of seconds


@dataclass(frozen=True)
class Backoff:
    """Full jitter: a random part of a ceiling that doubles, in seconds."""

    first: float = 0.5
    ceiling: float = 30.0

    def wait(self, failures: int, jitter: random.Random) -> float:
        """How long after this many failures in a row (1, 2, …)."""
        return jitter.uniform(0, min(self.ceiling, self.first * 2 ** min(failures - 1, 30)))


class Limiter:
    """One account's pace. Safe to share by threads."""

    def __init__(self, per_second: float | None, *, jitter: random.Random, backoff: Backoff | None = None) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._jitter = jitter
        self._backoff = backoff or Backoff()
        self._lock = threading.Lock()
        self._next = 0.0  # the earliest moment of the next request, by the monotonic clock
        self._blocked_until = 0.0
        self._failures = 0
        self._throttled_at: float | None = None

    def reserve(self) -> float:
        """Take the next slot: 0 to go now, else the seconds to wait before asking again (no slot is taken then)."""
        with self._lock:
            now = time.monotonic()
            if now < self._blocked_until:
                # spread over a tenth of the wait: connections that all return at once are refused at once
                return (self._blocked_until - now) * (1 + self._jitter.uniform(0, 0.1))
            if now < self._next:
                return self._next - now
            self._next = max(self._next, now - self._interval) + self._interval
            return 0.0

    def follow(self, at: float) -> None:
        """Another process was faster: the next slot that is ours is at this moment, by the monotonic clock."""
        with self._lock:
            self._next = max(self._next, at + self._interval)

    def throttled(self, retry_after: float | None) -> float:
        """The vendor said "wait": hold everyone back as long as it asked, or by blind back-off; the seconds."""
        with self._lock:
            now = time.monotonic()
            if now >= self._blocked_until:  # the answers of one volley are one failure
                self._failures += 1
            wait = self._backoff.wait(self._failures, self._jitter) if retry_after is None else retry_after
            self._blocked_until = max(self._blocked_until, now + wait)
            self._throttled_at = self._throttled_at or now
            return wait

    def answered(self) -> None:
        """The vendor took a request: it is not throttling any more."""
        if self._throttled_at is not None or self._failures:
            with self._lock:
                self._failures, self._throttled_at = 0, None

    def throttled_for(self) -> float:
        """Seconds since the vendor last took anything, 0 when it does."""
        throttled_at = self._throttled_at
        return time.monotonic() - throttled_at if throttled_at else 0.0


class Limiters:
    """The limiters of this process by quota key. The same `seed` gives the same jitter in the same order of calls."""

    def __init__(self, seed: int | None = None, backoff: Backoff | None = None) -> None:
        self._jitter = random.Random(seed)  # noqa: S311 - spreads load, hides nothing
        self._backoff = backoff
        self._lock = threading.Lock()
        self._limiters: dict[str, Limiter] = {}

    def of(self, key: str, per_second: float | None) -> Limiter:
        with self._lock:
            if key not in self._limiters:
                self._limiters[key] = Limiter(per_second, jitter=self._jitter, backoff=self._backoff)
            return self._limiters[key]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the vendor asks to wait, `None` where it does not say or what it says cannot be read.

    Moments are measured by the vendor's own clock, its `Date`, so neither clock has to be right.
    """
    for name in ("retry-after", "x-ratelimit-retry-after", "x-ratelimit-reset"):
        if text := headers.get(name):
            wait = _seconds(text.strip(), headers.get("date"))
            if wait is not None:
                return max(wait, 0.0)
    return None


def _seconds(text: str, date: str | None) -> float | None:
    number = _number(text)
    if number is None:
        moment = _moment(text)
        return None if moment is None else moment - _now(date)
    return number - _now(date) if number > EPOCH_FROM else number


def _now(date: str | None) -> float:
    told = _moment(date) if date else None
    return time.time() if told is None else told


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(text: str) -> float | None:
    """An HTTP date as seconds since the epoch."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
