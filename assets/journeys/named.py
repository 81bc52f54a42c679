"""What a journey names of the world outside it, and where in its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assets.journeys.flat import Flat, Path
from models.journey import Journey


@dataclass(frozen=True)
class NamedEvent:
    """`path` leads to the part that names it; `match`: the property that must equal the entry event's."""

    name: str
    path: Path
    match: str | None = None
    is_awaited: bool = False  # by a `wait_for`, which gives it up some time


def events(journey: Journey, flat: Flat) -> Iterator[NamedEvent]:
    """Every event, the entry's first."""
    if journey.entry.event:
        yield NamedEvent(journey.entry.event, ("entry",))
    for place, condition in enumerate(journey.exit):
        if condition.event:
            yield NamedEvent(condition.event, ("exit", place), condition.match)
    if journey.goal:
        yield NamedEvent(journey.goal.event, ("goal",), journey.goal.match)
    for node in flat.nodes:
        if awaited := node.step.wait_for:
            yield NamedEvent(awaited.event, (*node.path, "wait_for"), awaited.match, is_awaited=True)


def segments(journey: Journey, flat: Flat) -> Iterator[tuple[str, Path]]:
    """Every segment, with the path to its name."""
    if journey.entry.segment:
        yield journey.entry.segment, ("entry", "segment")
    for place, condition in enumerate(journey.exit):
        if condition.segment:
            yield condition.segment, ("exit", place, "segment")
    for node in flat.nodes:
        for place, arm in enumerate(node.step.branch.arms if node.step.branch else ()):
            if arm.segment:
                yield arm.segment, (*node.path, "branch", "arms", place, "segment")


def entry_properties(journey: Journey, flat: Flat) -> Iterator[tuple[str, Path]]:
    """Every property that the entry event must have, with the path to its name."""
    if journey.entry.key:
        yield journey.entry.key, ("entry", "key")
    for event in events(journey, flat):
        if event.match:
            yield event.match, (*event.path, "match")
    for node in flat.nodes:
        for place, arm in enumerate(node.step.branch.arms if node.step.branch else ()):
            if arm.property:
                yield arm.property, (*node.path, "branch", "arms", place, "property")
