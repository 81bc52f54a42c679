"""What the parsed project says about itself: which models there are, what is above one, whether its meaning changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from assets.parsed import Node, Project

_VARIABLE = re.compile(r"\bvar\(\s*['\"](?P<name>\w+)['\"]")
_CALL = re.compile(r"\b(\w+)\s*\(")
_MOMENT = re.compile(r"\b(var|_moment)\(\s*['\"](?P<name>as_of|known_by|today)['\"]")
_PER_RUN = frozenset({"as_of", "known_by", "today", "attach", "aside"})  # they change no meaning


def models(project: Project, folder: str, prefix: str = "") -> tuple[str, ...]:
    """The models of one folder (`segments`), those above first, then by name."""
    inside = {
        unique_id: node.name
        for unique_id, node in project.nodes.items()
        if unique_id.startswith("model.") and folder in node.fqn[1:-1] and node.name.startswith(prefix)
    }
    depth = {unique_id: len(ancestors(project, unique_id) & inside.keys()) for unique_id in inside}
    return tuple(inside[unique_id] for unique_id in sorted(inside, key=lambda one: (depth[one], inside[one])))


def unique_id(project: Project, model: str) -> str:
    """`seg_new` → `model.tailrace.seg_new`. Raises KeyError."""
    return next(
        key for key, node in project.nodes.items() if node.name == model and key.split(".")[0] in ("model", "seed")
    )


def ancestors(project: Project, node_id: str) -> frozenset[str]:
    """Everything above a node, dbt sources and seeds included."""
    found: set[str] = set()
    waiting = [node_id]
    while waiting:
        above = set(project.parents.get(waiting.pop(), ())) - found
        found |= above
        waiting.extend(above)
    return frozenset(found)


def definition(project: Project, names: Iterable[str], variables: Mapping[str, Any]) -> str:
    """A checksum of these models and all above them: their SQL, the project's macros and variables it uses, seeds.

    Models of packages are part of it with their own SQL; documentation, tests, routing and the clocks are not.
    `variables` are those of dbt_project.variables.
    """
    wanted: set[str] = set()
    for name in names:
        node_id = unique_id(project, name)
        wanted |= {node_id, *ancestors(project, node_id)}
    digest = hashlib.sha256()
    for node_id in sorted(wanted & (project.nodes.keys() | project.outside.keys())):
        for text in _said(project, node_id, variables):
            digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]


def clocks(project: Project, names: Iterable[str]) -> frozenset[str]:
    """Which of the clocks (`as_of`, `known_by`, `today`) these models read themselves, not through what is above."""
    nodes = [project.nodes[unique_id(project, name)] for name in names]
    code = [node.code for node in nodes]
    code += [project.macros[macro_id].code for node in nodes for macro_id in _macros(project, node)]
    return frozenset(found["name"] for text in code for found in _MOMENT.finditer(text))


def _said(project: Project, node_id: str, variables: Mapping[str, Any]) -> Iterator[str]:
    node = project.nodes.get(node_id) or project.outside[node_id]
    yield node_id
    yield node.checksum
    code = [node.code]
    for macro_id in sorted(_macros(project, node)):
        macro = project.macros[macro_id]
        yield f"{macro_id} {macro.code}"
        code.append(macro.code)
    names = {found["name"] for text in code for found in _VARIABLE.finditer(text)} - _PER_RUN
    for name in sorted(names):
        yield f"{name}={variables.get(name)!r}"


def _macros(project: Project, node: Node) -> frozenset[str]:
    """The project's own macros a node uses, through each other; dbt's are part of its version.

    Read from the model's text: what dbt notes on the node grows when a branch (`is_incremental`) is first compiled. Of
    one that each engine spells in its own way it is all spellings: the same project means the same on each.
    """
    ours = {macro.name: key for key, macro in project.macros.items()}
    spellings: dict[str, list[str]] = {}
    for name, key in ours.items():
        spellings.setdefault(name.rpartition("__")[2], []).append(key)
    found: set[str] = set()
    waiting = [ours[name] for name in _CALL.findall(node.code) if name in ours]
    while waiting:
        macro_id = waiting.pop()
        if macro_id in project.macros and macro_id not in found:
            found.add(macro_id)
            waiting.extend(project.macros[macro_id].calls)
            waiting.extend(spellings[project.macros[macro_id].name.rpartition("__")[2]])
    return frozenset(found)
