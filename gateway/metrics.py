"""Figures of the service in Prometheus' text format (exposition format 0.0.4): three kinds, made to be read at once."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Measure(Protocol):
    """Anything that has figures: its lines, without ends."""

    def lines(self) -> Iterator[str]: ...


@dataclass
class Counter:
    """Only grows; one figure a combination of `labels`, which come from the code and never from a request."""

    name: str
    about: str
    labels: tuple[str, ...] = ()
    counts: Counts[tuple[str, ...]] = field(default_factory=Counts)

    def add(self, *values: str, by: int = 1) -> None:
        self.counts[values] += by

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.about, "counter")
        if not self.labels and not self.counts:
            yield f"{self.name} 0"
        for values, count in sorted(self.counts.items()):
            listed = ",".join(f'{label}="{value}"' for label, value in zip(self.labels, values, strict=True))
            yield f"{self.name}{{{listed}}} {count}" if listed else f"{self.name} {count}"


@dataclass
class Gauge:
    """What is so now."""

    name: str
    about: str
    read: Callable[[], float]

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.about, "gauge")
        yield f"{self.name} {self.read():g}"


@dataclass
class Histogram:
    """How long something takes, in seconds."""

    name: str
    about: str
    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(SECONDS, seconds)] += 1
        self.total += seconds

    def lines(self) -> Iterator[str]:
        yield from _head(self.name, self.about, "histogram")
        for limit, count in zip([*map(str, SECONDS), "+Inf"], accumulate(self.buckets), strict=True):
            yield f'{self.name}_bucket{{le="{limit}"}} {count}'
        yield f"{self.name}_sum {self.total:.6f}"
        yield f"{self.name}_count {sum(self.buckets)}"


def text(measures: Iterable[Measure]) -> str:
    """What `/metrics` answers."""
    return "\n".join(line for measure in measures for line in measure.lines()) + "\n"


def _head(name: str, about: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
