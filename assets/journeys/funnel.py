"""How many people are at each step of a journey, came to it, were sent to, and reached the goal after it.

The counts of `tailrace journeys`; the mart `journey_funnel` counts the same. Reads the published copy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from assets.journeys import documents, publication, waits
from assets.journeys.flat import flatten
from assets.journeys.flat import ways as ways_of
from assets.journeys.messages import Published
from assets.journeys.pauses import paired
from assets.journeys.program import Version
from assets.messages import templates
from assets.messages.text import FOLDER
from assets.messages.versions import kept
from models.errors import ConfigError
from models.journey import NEXT, Journey, Step
from models.settings import Settings
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
COPY = "main"  # the schema of the published copy
TOTALS = ("entered", "now", "sent", "converted")
COUNTS = ("entered", "waiting", "left", "sent", "refused", "converted")

Counted = tuple[str, int, str]  # journey, version, step


@dataclass(frozen=True)
class Summary:
    """One journey. The numbers are None where it was never published; `blocked`: why it does not move."""

    journey: str
    version: int | None = None
    published_at: datetime | None = None
    entered: int | None = None
    now: int | None = None
    sent: int | None = None
    converted: int | None = None
    blocked: str | None = None
    is_written: bool = True  # there is a file of it
    differs: bool = False  # the file says something else than the published version


@dataclass(frozen=True)
class Place:
    """A step with its numbers, and the ways out of it with their steps. `leads_to`: a way that names another step."""

    node: str
    step: Step
    counts: Mapping[str, int] | None
    ways: Mapping[str, Sequence[Place]] = field(default_factory=dict)
    leads_to: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drawing:
    """A version of a journey as a tree."""

    journey: Journey
    version: int | None
    published_at: datetime | None
    places: Sequence[Place]

    @property
    def now(self) -> int:
        return sum(place.counts["waiting"] for place in _all(self.places) if place.counts)


def summaries(settings: Settings, copy: Warehouse | None) -> list[Summary]:
    """Every journey that is written or published, by name."""
    written = {read.journey.journey: read.journey for read in documents.readable(settings)}
    broken = documents.unreadable(settings)
    versions = published(copy)
    names = sorted({*written, *broken, *(version.name for version in versions)})
    totals = _totals(copy) if copy and versions else {}
    blocked = {name: _waits(error) for name, error in broken.items()} | (_blocked(copy, versions) if copy else {})
    found = []
    for name in names:
        mine = [version for version in versions if version.name == name]
        if not mine:
            found.append(Summary(name, blocked=blocked.get(name)))
            continue
        last, is_written = mine[-1], name in written or name in broken
        found.append(
            Summary(
                name,
                last.version,
                last.published_at,
                **{key: totals.get(name, {}).get(key, 0) for key in TOTALS},
                blocked=blocked.get(name),
                is_written=is_written,
                differs=name in written and written[name] != last.journey,
            )
        )
    return found


def unread(settings: Settings) -> list[str]:
    """Files that are no journey and no template: whoever is in a published version goes on, their messages wait."""
    broken = {"journey": documents.unreadable(settings), "template": templates.unreadable(settings)}
    return [f"{kind} {name}: {_waits(error)}" for kind, errors in broken.items() for name, error in errors.items()]


def _waits(error: ConfigError) -> str:
    return f"{error}; until it can be read its messages wait"


def drawings(settings: Settings, copy: Warehouse | None, name: str) -> list[Drawing]:
    """Every published version of a journey, the newest first; the working copy where none is. Raises UserError."""
    mine = [version for version in published(copy) if version.name == name]
    if not mine or copy is None:
        written = publication.named_journey(documents.readable(settings, name), name)
        return [draw(written.journey)]
    found = counts(copy, journey=name)
    return [draw(version.journey, version, found) for version in reversed(mine)]


def newest(copy: Warehouse | None) -> dict[str, Drawing]:
    """The newest version of every published journey, all counted at once."""
    versions = published(copy)
    found = counts(copy) if copy and versions else {}
    return {version.name: draw(version.journey, version, found) for version in versions}


def published(copy: Warehouse | None) -> list[Version]:
    """The versions in the copy; none where it has no journeys yet."""
    if copy is None or not copy.columns(f"{COPY}.journey_version"):
        return []
    return publication.published(copy, relation=f"{COPY}.journey_version")


def messages_of(settings: Settings, copy: Warehouse | None) -> Published:
    """What the messages of published versions are made of."""
    if copy is None:
        return Published()
    folder = settings.dbt_project / FOLDER
    return Published(published(copy), kept(copy, folder, f"{COPY}.template_version"))


def counts(warehouse: Warehouse, kept: str = COPY, journey: str | None = None) -> dict[Counted, dict[str, int]]:
    """The numbers of each step that anybody came to: of one journey, or of all."""
    rows = warehouse.rows(query(warehouse, "count_steps", kept, journey=journey))
    return {
        (str(row["journey"]), int(row["version"]), str(row["node"])): {key: int(row[key] or 0) for key in COUNTS}
        for row in rows
    }


def draw(
    journey: Journey, version: Version | None = None, found: Mapping[Counted, Mapping[str, int]] | None = None
) -> Drawing:
    """The tree of a journey; with the numbers of a version of it, or with none."""
    if version is None:
        return Drawing(journey, None, None, _Tree(None).places(journey.steps, ""))
    nodes = [node.id for node in flatten(journey).nodes]
    none = dict.fromkeys(COUNTS, 0)
    numbers = {node: (found or {}).get((version.name, version.version, node), none) for node in nodes}
    return Drawing(journey, version.version, version.published_at, _Tree(numbers).places(journey.steps, ""))


@dataclass(frozen=True)
class _Tree:
    numbers: Mapping[str, Mapping[str, int]] | None

    def places(self, steps: Sequence[Step], prefix: str) -> list[Place]:
        return [self._place(step, step.name or f"{prefix}{number}") for number, step in enumerate(steps, 1)]

    def _place(self, step: Step, node: str) -> Place:
        inner, leads = {}, {}
        for way, target, _ in ways_of(step):
            if not isinstance(target, str):
                inner[way] = self.places(target, f"{node}.{way}.")
            elif target != NEXT:
                leads[way] = target
        return Place(node, step, self.numbers[node] if self.numbers else None, inner, leads)


def _all(places: Sequence[Place]) -> Iterator[Place]:
    for place in places:
        yield place
        for inner in place.ways.values():
            yield from _all(inner)


def _totals(copy: Warehouse) -> dict[str, dict[str, int]]:
    rows = copy.rows(query(copy, "count_journeys", COPY))
    return {str(row["journey"]): {key: int(row[key] or 0) for key in TOTALS} for row in rows}


def query(
    warehouse: Warehouse, statement: str, kept: str, unexpired_at: datetime | None = None, **values: str | None
) -> str:
    """The text of a statement about what became of messages: of all, or of those that have not expired by a moment."""
    values_of_all = {"kept": kept, "has_deliveries": bool(warehouse.columns(f"{kept}.deliveries"))}
    return render(SQL, f"journeys/{statement}", warehouse.dialect, unexpired_at=unexpired_at, **values_of_all, **values)


def _blocked(copy: Warehouse, versions: list[Version]) -> dict[str, str]:
    """Journeys that do not move or do not send, and why."""
    found = waits.reasons(copy, COPY)
    if copy.columns(f"{COPY}.pause_change"):
        changes = copy.rows(query(copy, "why_pauses", COPY))
        for span in paired(changes):
            scope, _, name = span.scope.partition(":")
            if span.end is None and (scope == "journey" or span.scope == "all"):
                since = f"{span.begin.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
                for journey in {version.name for version in versions} & (
                    {name} if name else {each.name for each in versions}
                ):
                    found[journey] = (
                        f"{span.scope} is paused since {since}; `tailrace resume {span.scope}` lets it send"
                    )
    return found
