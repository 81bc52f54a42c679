"""Asset keys: a path that reads as one (`segments/seg_lapsed`, `sync/crm/seg_lapsed`), made in one place."""

from __future__ import annotations

import dagster as dg

PUBLISHED = dg.AssetKey(["published"])
PROFILE_MAP = dg.AssetKey(["identity", "profile_map"])
SEGMENT_DAYS = dg.AssetKey(["segment_days"])
COMPACTION = dg.AssetKey(["compaction"])
SUPPRESSIONS = dg.AssetKey(["suppressions"])


def raw(source: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", source])


def history(segment: str) -> dg.AssetKey:
    return dg.AssetKey(["segment_history", segment])


def log(table: str) -> dg.AssetKey:
    """An append-only table of `tailrace` as dbt sees it: a source of the models, filled by assets."""
    return dg.AssetKey(["tailrace", table])


def journey(name: str) -> dg.AssetKey:
    return dg.AssetKey(["journeys", name])


def sync(name: str) -> dg.AssetKey:
    """`crm/seg_lapsed` → `sync/crm/seg_lapsed`."""
    return dg.AssetKey(["sync", *name.split("/")])
