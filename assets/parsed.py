"""The parsed project as plain values, read from dbt's manifest.json: what the models say, not how dbt runs them.

Importing dbt takes seconds; who only asks what changed need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OWN = "tailrace"  # the package that this project is


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
    is_synced: bool


@dataclass(frozen=True)
class Macro:
    """One macro of the project's own."""

    unique_id: str
    name: str
    code: str
    calls: tuple[str, ...]  # ids of the macros it uses


@dataclass(frozen=True)
class Project:
    """Everything by its unique id. `parents`: what is directly above a node, dbt sources included.

    `outside`: nodes of packages, which are made elsewhere.
    """

    nodes: Mapping[str, Node]
    outside: Mapping[str, Node]
    macros: Mapping[str, Macro]
    parents: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, str]  # dbt source → what it is called in the warehouse


def project(manifest: Mapping[str, Any]) -> Project:
    """The project that a manifest.json describes."""
    nodes = manifest["nodes"].items()
    return Project(
        nodes={key: _node(node) for key, node in nodes if node["package_name"] == OWN},
        outside={key: _node(node) for key, node in nodes if node["package_name"] != OWN},
        macros={key: _macro(macro) for key, macro in manifest["macros"].items() if macro["package_name"] == OWN},
        sources={key: f"{source['schema']}.{source['identifier']}" for key, source in manifest["sources"].items()},
        parents={key: tuple(above) for key, above in manifest["parent_map"].items()},
    )


def without_packages(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same manifest as if its packages had no nodes: what is asked of it is what is built here."""
    gone = {key for kind in ("nodes", "sources") for key, node in manifest[kind].items() if node["package_name"] != OWN}
    if not gone:
        return manifest
    kept = {
        kind: {key: node for key, node in manifest[kind].items() if key not in gone} for kind in ("nodes", "sources")
    }
    for node in kept["nodes"].values():
        node["depends_on"]["nodes"] = [key for key in node["depends_on"].get("nodes", ()) if key not in gone]
    maps = {
        name: {key: [one for one in ids if one not in gone] for key, ids in manifest[name].items() if key not in gone}
        for name in ("parent_map", "child_map")
    }
    return {**manifest, **kept, **maps}


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
        is_synced=bool(declared_syncs(node)),
    )


def declared_syncs(node: Mapping[str, Any]) -> Any:
    """The `meta.syncs` of a model as it stands in the manifest, whatever was written there."""
    meta = node["config"].get("meta") or node.get("meta") or {}
    return meta.get("syncs") or []


def _macro(macro: Mapping[str, Any]) -> Macro:
    return Macro(macro["unique_id"], macro["name"], macro["macro_sql"], tuple(macro["depends_on"]["macros"]))


def marked(node: Mapping[str, Any], mark: str) -> frozenset[str]:
    """The columns of a manifest's model or source with `meta: {<mark>: true}`."""
    return frozenset(
        name
        for name, column in node["columns"].items()
        if (column.get("config", {}).get("meta") or column.get("meta") or {}).get(mark)
    )
