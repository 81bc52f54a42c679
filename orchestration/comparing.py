"""`tailrace compare`: whether two warehouses publish the same, whatever engine either is on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from assets import comparison
from assets.comparison import Compared
from assets.dbt_project import read_manifest
from assets.parsed import marked
from assets.publish import NAMED
from models.errors import UserError
from models.settings import Settings
from orchestration import environment
from orchestration.console import Tell, silent
from warehouse.engine import Engine, engine


def compare(settings: Settings, first: str, second: str, tell: Tell = silent) -> list[Compared]:
    """Every table that either publishes. Raises UserError for a URL that is none, or where nothing is published."""
    ours, theirs = _engine(settings, first, "first"), _engine(settings, second, "second")
    tables = sorted(ours.published_digests().keys() | theirs.published_digests().keys())
    left_out, found = volatile(read_manifest(settings)), list[Compared]()
    with ours.published() as one, theirs.published() as other:
        for done, name in enumerate(tables):
            tell(f"comparing {name}", done, len(tables))
            found.append(comparison.compare(one, other, name, left_out.get(name, ())))
    return found


def volatile(manifest: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Published table → its columns with `meta: {volatile: true}`: our clock, a run's own id, or what holds one."""
    shown = {model: name for name, model in NAMED.items()}
    described = {node["name"]: node for node in (*manifest["nodes"].values(), *manifest["sources"].values())}
    return {shown.get(name, name): marked(node, "volatile") for name, node in described.items()}


def document(tables: list[Compared]) -> dict[str, Any]:
    """The JSON of `tailrace compare`."""
    return {"tables": [asdict(each) for each in tables]}


def _engine(settings: Settings, url: str, which: str) -> Engine:
    found = engine(replace(settings, warehouse_url=environment.warehouse(url)))
    if not found.is_published():
        message = f"nothing is published in the {which} warehouse; run `tailrace refresh` there"
        raise UserError(message)
    return found
