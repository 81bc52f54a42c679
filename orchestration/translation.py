"""How a dbt resource reads in Dagster: key, group, owners, description and what it depends on beyond its refs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from orchestration import keys
from orchestration.project import folder

Props = Mapping[str, Any]  # a node of the manifest

MARKETING = {"segments", "syncs"}
RAW = re.compile(r"^stg_(?P<source>[a-z0-9_]+)$")
FILLED_BY = {"profile_map": keys.PROFILE_MAP}  # tables of `tailrace` that one asset writes


class Translator(DagsterDbtTranslator):
    """`segments/seg_lapsed` in the group `segments`; a table of the schema `tailrace` is the asset that fills it."""

    def __init__(self, sources: Sequence[str]) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_metadata=False))
        self.sources = frozenset(sources)

    def get_asset_key(self, dbt_resource_props: Props) -> dg.AssetKey:
        name = dbt_resource_props["name"]
        if dbt_resource_props["resource_type"] == "source":
            return FILLED_BY.get(name, keys.log(name))
        return dg.AssetKey([folder(dbt_resource_props), name])

    def get_group_name(self, dbt_resource_props: Props) -> str | None:
        return folder(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Props) -> Sequence[str] | None:
        owner = dbt_resource_props.get("config", {}).get("meta", {}).get("owner")
        if owner:
            return [owner]
        return ["team:marketing" if folder(dbt_resource_props) in MARKETING else "team:data"]

    def get_asset_spec(self, manifest: Props, unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """A staging model `stg_<source>` reads `raw/<source>`, which dbt does not know as a source."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        match = RAW.match(spec.key.path[-1])
        if match is None or match["source"] not in self.sources:
            return spec
        return spec.replace_attributes(deps=[*spec.deps, keys.raw(match["source"])])
