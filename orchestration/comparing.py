"""`tailrace compare`: whether two warehouses publish the same, whatever engine either is on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from assets import comparison
from assets.comparison import Compared
from assets.dbt_project import read_manifest
from assets.publish import NAMED
from models.errors import UserError
from models.settings import Settings
from orchestration import environment
from warehouse.engine import Engine, engine


def compare(settings: Settings, first: str, second: str) -> Iterator[Compared]:
    """Every table that either publishes. Raises UserError for a URL that is none, or where nothing is published."""
    ours, theirs = _engine(settings, first, "first"), _engine(settings, second, "second")
    tables = ours.published_digests().keys() | theirs.published_digests().keys()
    with ours.published() as one, theirs.published() as other:
        yield from comparison.compare(one, other, tables, volatile(read_manifest(settings)))


def volatile(manifest: Mapping[str, Any]) -> dict[str, set[str]]:
    """Published table → its columns with `meta: {volatile: true}`: our clock, a run's own id, or what holds one."""
    shown = {model: name for name, model in NAMED.items()}
    described = {node["name"]: node for node in (*manifest["nodes"].values(), *manifest["sources"].values())}
    return {
        shown.get(name, name): {
            column
            for column, about in node["columns"].items()
            if (about.get("config", {}).get("meta") or about.get("meta") or {}).get("volatile")
        }
        for name, node in described.items()
    }


def document(tables: list[Compared]) -> dict[str, Any]:
    """The JSON of `tailrace compare`."""
    return {
        "tables": [
            {
                "name": each.name,
                "rows_a": each.rows_a,
                "rows_b": each.rows_b,
                "differing": each.differing,
                "columns": each.columns,
            }
            for each in tables
        ]
    }


def _engine(settings: Settings, url: str, which: str) -> Engine:
    found = engine(replace(settings, warehouse_url=environment.warehouse(url)))
    if not found.is_published():
        message = f"nothing is published in the {which} warehouse; run `tailrace refresh` there"
        raise UserError(message)
    return found
