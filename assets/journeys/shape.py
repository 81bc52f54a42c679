"""Whether the steps of a journey hold together: names, ways, what nobody reaches, loops that never rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from assets.journeys.flat import END, Flat, Node, ways
from assets.mistakes import Mistake, suggestion
from models.journey import EXIT, NEXT, Journey, Migration

FORKS = frozenset({"wait_for", "branch", "split"})  # these leave by ways of their own


def problems(journey: Journey, flat: Flat) -> Iterator[Mistake]:
    """Every mistake in the order it is looked for; `path` as the flat journey has it."""
    yield from _entry(journey)
    broken = [*_names(flat), *_ways(flat)]
    yield from broken
    if not broken:  # else nobody can say where a way leads
        yield from _unreachable(flat)
        yield from _restless(flat)
    yield from _migration(journey, flat)


def _entry(journey: Journey) -> Iterator[Mistake]:
    entry = journey.entry
    if entry.gap and entry.policy == "once":
        message = "is between two entries of a person, and they enter once; leave it out, or say which `reentry`:"
        yield Mistake(("entry", "gap"), f"{message} after_exit, always")
    for place, condition in enumerate(journey.exit):
        if condition.segment and condition.segment == entry.segment:
            message = f"'{condition.segment}' is who enters: everybody would leave at once; name another segment"
            yield Mistake(("exit", place, "segment"), message)


def _names(flat: Flat) -> Iterator[Mistake]:
    count: Counter[str] = Counter()
    for node in flat.nodes:
        name, path = node.step.name, (*node.path, "name")
        if name in (EXIT, NEXT):
            yield Mistake(path, f"'{name}' has a meaning of its own where a step leads on; give another name")
        elif name:
            count[name] += 1
            if count[name] > 1:
                yield Mistake(path, f"there is a step '{name}' already; every name is given once")


def _ways(flat: Flat) -> Iterator[Mistake]:
    """Ways that lead nowhere: to a name that is none, or over an empty list."""
    allowed = [*(node.step.name for node in flat.nodes if node.step.name), EXIT, NEXT]
    for node in flat.nodes:
        for _, target, inner in ways(node.step):
            path = (*node.path, *inner)
            if not target:
                yield Mistake(path, "has no steps; write some, or `next` to go on with what follows, or `exit`")
            elif isinstance(target, str) and target not in allowed:
                yield Mistake(path, f"no step '{target}'{suggestion(target, allowed)}")
        for name in node.step.split.steps if node.step.split else ():
            if name in (EXIT, NEXT):
                message = f"'{name}' has a meaning of its own where a step leads on; give the way another name"
                yield Mistake((*node.path, "split", "steps", name), message)
        if node.step.split and len(node.step.split.steps) == 1:
            yield Mistake((*node.path, "split"), "has one way only; a split has two or more")


def _unreachable(flat: Flat) -> Iterator[Mistake]:
    """The first of every stretch of steps that nobody comes to."""
    graph = _graph(flat)
    come_to = _reach(graph, flat.first)
    for node in flat.nodes:
        if node.id not in come_to:
            yield Mistake(
                node.path, "nobody comes to this step: every way leaves the journey or goes on elsewhere before"
            )
            come_to = come_to | _reach(graph, node.id)


def _restless(flat: Flat) -> Iterator[Mistake]:
    """Loops without a wait for a duration. A loop has a way that leads to a named step before or around it."""
    rests = {node.id for node in flat.nodes if node.step.wait and node.step.wait.duration}
    graph = _graph(flat, without=rests)
    for node in flat.nodes:
        for _, target, inner in ways(node.step):
            if isinstance(target, str) and target in graph and node.id in _reach(graph, target):
                message = f"goes round to '{target}' and back here without a rest; put a wait for a duration between,"
                yield Mistake((*node.path, *inner), f"{message} such as `wait: 1 day`")


def _migration(journey: Journey, flat: Flat) -> Iterator[Mistake]:
    if isinstance(journey.on_publish, Migration):
        allowed = [*(node.id for node in flat.nodes), EXIT]
        for old, new in journey.on_publish.migrate.items():
            if new not in allowed:
                message = f"this version has no step '{new}'{suggestion(new, allowed)}"
                yield Mistake(("on_publish", "migrate", old), message)


def _graph(flat: Flat, without: Collection[str] = ()) -> Mapping[str, list[str]]:
    return {node.id: _after(node) for node in flat.nodes if node.id not in without}


def _after(node: Node) -> list[str]:
    if node.kind == EXIT:
        return []
    leads = [to for way, to in node.ways.items() if way != NEXT] if node.kind in FORKS else [node.ways[NEXT]]
    return [to for to in leads if to not in (END, EXIT)]


def _reach(graph: Mapping[str, list[str]], first: str) -> set[str]:
    """`first` and all that can come after it."""
    found, waiting = set(), [first]
    while waiting:
        here = waiting.pop()
        if here in graph and here not in found:
            found.add(here)
            waiting += graph[here]
    return found
