"""What the parsed project says about itself: which models there are, what is above one, whether its meaning changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

_VARIABLE = re.compile(r"\bvar\(\s*['\"](?P<name>\w+)['\"]")
_CALL = re.compile(r"\b(\w+)\s*\(")
_PER_RUN = frozenset({"as_of", "known_by", "today", "attach", "aside"})  # they change no meaning


def models(manifest: Manifest, folder: str, prefix: str = "") -> tuple[str, ...]:
    """The models of one folder (`segments`), those above first, then by name."""
    inside = {
        unique_id: node.name
        for unique_id, node in manifest.nodes.items()
        if unique_id.startswith("model.") and folder in node.fqn[1:-1] and node.name.startswith(prefix)
    }
    depth = {unique_id: len(ancestors(manifest, unique_id) & inside.keys()) for unique_id in inside}
    return tuple(inside[unique_id] for unique_id in sorted(inside, key=lambda one: (depth[one], inside[one])))


def unique_id(manifest: Manifest, model: str) -> str:
    """`seg_new` → `model.tailrace.seg_new`. Raises KeyError."""
    return next(
        key for key, node in manifest.nodes.items() if node.name == model and key.split(".")[0] in ("model", "seed")
    )


def ancestors(manifest: Manifest, node_id: str) -> frozenset[str]:
    """Everything above a node, dbt sources and seeds included."""
    found: set[str] = set()
    waiting = [node_id]
    while waiting:
        above = set(manifest.parent_map.get(waiting.pop(), ())) - found
        found |= above
        waiting.extend(above)
    return frozenset(found)


def definition(manifest: Manifest, names: Iterable[str], variables: Mapping[str, Any]) -> str:
    """A checksum of these models and all above them: their SQL, the project's macros and variables it uses, seeds.

    Documentation, tests, routing and the clocks are not part of it. `variables` are those of dbt_project.variables.
    """
    wanted: set[str] = set()
    for name in names:
        node_id = unique_id(manifest, name)
        wanted |= {node_id, *ancestors(manifest, node_id)}
    digest = hashlib.sha256()
    for node_id in sorted(wanted & manifest.nodes.keys()):
        for text in _said(manifest, node_id, variables):
            digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:16]


def _said(manifest: Manifest, node_id: str, variables: Mapping[str, Any]) -> Iterator[str]:
    node: Any = manifest.nodes[node_id]
    yield node_id
    yield node.checksum.checksum
    code = [node.raw_code]
    for macro_id in sorted(_macros(manifest, node)):
        macro = manifest.macros[macro_id]
        yield f"{macro_id} {macro.macro_sql}"
        code.append(macro.macro_sql)
    names = {found["name"] for text in code for found in _VARIABLE.finditer(text)} - _PER_RUN
    for name in sorted(names):
        yield f"{name}={variables.get(name)!r}"


def _macros(manifest: Manifest, node: Any) -> frozenset[str]:
    """The project's own macros a node uses, through each other; dbt's are part of its version.

    Read from the model's text: what dbt notes on the node grows when a branch (`is_incremental`) is first compiled.
    """
    ours = {macro.name: key for key, macro in manifest.macros.items() if _is_ours(manifest, macro)}
    found: set[str] = set()
    waiting = [ours[name] for name in _CALL.findall(node.raw_code) if name in ours]
    while waiting:
        macro_id = waiting.pop()
        macro = manifest.macros.get(macro_id)
        if macro is not None and macro_id not in found and _is_ours(manifest, macro):
            found.add(macro_id)
            waiting.extend(macro.depends_on.macros)
    return frozenset(found)


def _is_ours(manifest: Manifest, macro: Any) -> bool:
    return bool(macro.package_name == manifest.metadata.project_name)
