"""The parsed project as plain values, read from dbt's manifest.json: what the models say, not how dbt runs them.

Importing dbt takes seconds; who only asks what changed need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """One model, seed or test. `fqn`: the project, the folders and the name."""

    unique_id: str
    name: str
    resource_type: str
    fqn: tuple[str, ...]
    code: str  # as written
    checksum: str
    materialized: str
    file: str  # below dbt_project/
    column_types: Mapping[str, str]  # of a seed


@dataclass(frozen=True)
class Macro:
    """One macro of the project's own."""

    unique_id: str
    name: str
    code: str
    calls: tuple[str, ...]  # ids of the macros it uses


@dataclass(frozen=True)
class Project:
    """Everything by its unique id. `parents`: what is directly above a node, dbt sources included."""

    nodes: Mapping[str, Node]
    macros: Mapping[str, Macro]
    parents: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, str]  # dbt source → what it is called in the warehouse


def project(manifest: Mapping[str, Any]) -> Project:
    """The project that a manifest.json describes."""
    own = manifest["metadata"]["project_name"]
    return Project(
        nodes={key: _node(node) for key, node in manifest["nodes"].items()},
        macros={key: _macro(macro) for key, macro in manifest["macros"].items() if macro["package_name"] == own},
        sources={key: f"{source['schema']}.{source['identifier']}" for key, source in manifest["sources"].items()},
        parents={key: tuple(above) for key, above in manifest["parent_map"].items()},
    )


def _node(node: Mapping[str, Any]) -> Node:
    config = node["config"]
    return Node(
        unique_id=node["unique_id"],
        name=node["name"],
        resource_type=node["resource_type"],
        fqn=tuple(node["fqn"]),
        code=node["raw_code"],
        checksum=node["checksum"]["checksum"],
        materialized=config.get("materialized") or "",
        file=node["original_file_path"],
        column_types=config.get("column_types") or {},
    )


def _macro(macro: Mapping[str, Any]) -> Macro:
    return Macro(macro["unique_id"], macro["name"], macro["macro_sql"], tuple(macro["depends_on"]["macros"]))


def marked(node: Mapping[str, Any], mark: str) -> frozenset[str]:
    """The columns of a manifest's model or source with `meta: {<mark>: true}`."""
    return frozenset(
        name
        for name, column in node["columns"].items()
        if (column.get("config", {}).get("meta") or column.get("meta") or {}).get(mark)
    )
