"""Which events there are: what sources.yml declares, and what the published copy has of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assets import store
from assets.journeys import named
from assets.journeys.flat import flatten
from models.journey import Journey
from models.settings import Settings
from models.source import Source
from warehouse.engine import engine
from warehouse.query import render

SQL = Path(__file__).parents[1] / "sql" / "journeys"
SAMPLE = 1_000


@dataclass(frozen=True)
class Seen:
    """What was published: event → the sources that sent it, and → the properties of the last SAMPLE of that name.

    `purposes`: those that consent is about.
    """

    senders: Mapping[str, Collection[str]]
    properties: Mapping[str, Collection[str]]
    purposes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Events:
    """`seen` is None while nothing is published."""

    sources: Mapping[str, Source]
    seen: Seen | None

    @property
    def names(self) -> list[str]:
        """All that are known."""
        declared = {name for source in self.sources.values() for name in source.events or ()}
        return sorted(declared | set(self.seen.senders if self.seen else ()))

    @property
    def is_complete(self) -> bool:
        """Whether a name that is not among them is a mistake."""
        return self.seen is not None or all(source.events for source in self.sources.values())

    def senders(self, event: str) -> list[str]:
        """The sources that may send it: that declare it or sent it; else those of which nobody knows."""
        sent = self.seen.senders.get(event, ()) if self.seen else ()
        found = [name for name, source in self.sources.items() if event in (source.events or ()) or name in sent]
        return sorted(found) or sorted(name for name, source in self.sources.items() if not source.events)


def look(settings: Settings, journeys: Iterable[Journey]) -> Seen | None:
    """What the published copy has of the events that these journeys name; None where there is no copy."""
    if not engine(settings).is_published():
        return None
    with store.reading(settings) as copy:
        if not copy.columns("events"):
            return None
        senders: dict[str, set[str]] = {}
        for row in copy.rows(render(SQL, "seen_senders", copy.dialect)):
            senders.setdefault(row["name"], set()).add(row["source"])
        properties: dict[str, set[str]] = {}
        for event in {event for journey in journeys for event in _named(journey)} & senders.keys():
            found = copy.rows(render(SQL, "seen_properties", copy.dialect, event=event, sample=SAMPLE))
            properties[event] = {row["property"] for row in found}
        about = copy.rows(render(SQL, "seen_purposes", copy.dialect)) if copy.columns("consent") else []
        return Seen(senders, properties, frozenset(str(row["purpose"]) for row in about))


def _named(journey: Journey) -> set[str]:
    return {event.name for event in named.events(journey, flatten(journey))}
