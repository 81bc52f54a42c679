"""The dbt project as plain JSON: its manifest, and the models of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assets.dbt_project import read_manifest

__all__ = ["folder", "models", "read_manifest"]

Manifest = Mapping[str, Any]
Node = Mapping[str, Any]
NESTED = 3  # project, folder, …, name


def models(manifest: Manifest, *folders: str) -> list[Node]:
    """The models of these folders (all without any), by name."""
    found = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    return sorted((node for node in found if not folders or folder(node) in folders), key=lambda node: node["name"])


def folder(node: Node) -> str:
    """The folder of a model below models/; other resources by their kind (`seeds`)."""
    path: list[str] = node.get("fqn", [])
    return path[1] if node["resource_type"] == "model" and len(path) >= NESTED else f"{node['resource_type']}s"
