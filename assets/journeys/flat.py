"""A journey laid flat: its steps as nodes with ids, and where each leads. What it means is decided in SQL.

A node is known by its `name`, or by its place: `2`, `4.then.1`, `5.a.1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models.journey import NEXT, Journey, Step, Target

END = ""  # where nothing follows
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A step in its place. `ways`: each way out → the node it leads to, END or EXIT. `path` leads to it in the file."""

    id: str
    step: Step
    ways: dict[str, str]
    path: Path

    @property
    def kind(self) -> str:
        return self.step.kind


@dataclass(frozen=True)
class Flat:
    first: str
    nodes: tuple[Node, ...]

    def node(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.id == name), None)


def flatten(journey: Journey) -> Flat:
    """All nodes in the order of the file."""
    nodes = tuple(_nodes(journey.steps, "", END, ("steps",)))
    return Flat(_first(journey.steps, ""), nodes)


def _first(steps: tuple[Step, ...], prefix: str) -> str:
    return steps[0].name or f"{prefix}1"


def _nodes(steps: tuple[Step, ...], prefix: str, after: str, path: Path) -> Iterator[Node]:
    ids = [step.name or f"{prefix}{number}" for number, step in enumerate(steps, 1)]
    for place, (node, step, following) in enumerate(zip(ids, steps, [*ids[1:], after], strict=True)):
        targets = {way: target for way, target, _ in ways(step)}
        led = {way: _resolved(target, f"{node}.{way}.", following) for way, target in targets.items()}
        yield Node(node, step, {NEXT: following, **led}, (*path, place))
        for way, target, inner in ways(step):
            if not isinstance(target, str) and target:
                yield from _nodes(target, f"{node}.{way}.", following, (*path, place, *inner))


def ways(step: Step) -> Iterator[tuple[str, Target, Path]]:
    """Every way out of a step besides what follows it: its name, where it leads, where that is written."""
    if step.wait_for:
        yield "then", step.wait_for.then, ("wait_for", "then")
        yield "else", step.wait_for.otherwise, ("wait_for", "else")
    if step.branch:
        arms = step.branch.arms
        for place, arm in enumerate(arms):
            yield arm_name(place, len(arms)), arm.then, ("branch", "arms", place, "then")
        yield "else", step.branch.otherwise, ("branch", "else")
    if step.split:
        for name, target in step.split.steps.items():
            yield name, target, ("split", "steps", name)


def arm_name(place: int, count: int) -> str:
    """The only arm of a branch is `then`; of several each has its number, from 1."""
    return "then" if count == 1 else str(place + 1)


def _resolved(target: Target, prefix: str, following: str) -> str:
    if isinstance(target, str):
        return following if target == NEXT else target
    return _first(target, prefix) if target else following
