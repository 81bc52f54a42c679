"""What a previewed model would do to its syncs: the audience it gives beside the one the published model gives.

The plan is exact about what the vendor holds; this needs no lock and no ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from assets.audience import Audience, audience_of
from assets.dbt_project import LIVE
from assets.scratch import Scratch
from models.sync import Mode, Sync
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
EARLIER = "published"  # the schema through which the published copy is seen
NOBODY = "select '' as entry_id where false"


@dataclass(frozen=True)
class SyncPreview:
    """Operations more than the published model would give; all of them for a sync that never ran."""

    sync: str
    mode: str
    upsert: int = 0
    remove: int = 0
    send: int = 0
    suppressed: int = 0  # in the model, without the consent that the sync asks for


def preview_syncs(scratch: Scratch, syncs: Iterable[Sync], tables: Collection[str]) -> tuple[SyncPreview, ...]:
    """Raises UserError for a sync that names a column which is not there."""
    warehouse = scratch.warehouse
    warehouse.execute(f"create schema if not exists {EARLIER}")
    for name in sorted(tables):
        quoted = warehouse.dialect.quote(name)
        for place in (EARLIER, LIVE) if name not in scratch.created else (EARLIER,):
            if not warehouse.columns(f"{place}.{quoted}"):
                warehouse.create_view(f"{place}.{quoted}", f"select * from {scratch.before(name)}")
    return tuple(_effect(scratch, sync, tables) for sync in syncs)


def _effect(scratch: Scratch, sync: Sync, tables: Collection[str]) -> SyncPreview:
    warehouse, mode = scratch.warehouse, sync.entry.mode
    now = _audience(warehouse, _read_in(LIVE, sync))
    ran = sync.model in tables and _has_run(scratch, sync, tables)
    earlier = _audience(warehouse, _read_in(EARLIER, sync)) if ran else None
    same = earlier is not None and tuple(earlier.columns) == tuple(now.columns)
    values = {"now": now, "before": earlier if same else None, "whole": mode in {Mode.MIRROR, Mode.UPSERT}}
    found = warehouse.rows(render(SQL, "compare_audiences", warehouse.dialect, **values))[0]
    if mode is Mode.SEND_ON_ENTRY:
        # who enters because the definition changed is not sent anything; nor, unless asked for, who was there at first
        first = sync.model not in tables and sync.entry.first_run == "send"
        return SyncPreview(sync.name, mode, send=found["upsert"] if first else 0, suppressed=found["suppressed"])
    remove = found["remove"] if mode is Mode.MIRROR else 0
    return SyncPreview(sync.name, mode, found["upsert"], remove, suppressed=found["suppressed"])


def _audience(warehouse: Warehouse, sync: Sync) -> Audience:
    """The people of the model, whatever the mode: no membership has an entry yet."""
    if sync.entry.mode is Mode.SEND_ON_ENTRY:
        entry = sync.entry.model_copy(update={"mode": Mode.APPEND})
        sync = sync.model_copy(update={"entry": entry})
    return audience_of(warehouse, sync, NOBODY)


def _read_in(schema: str, sync: Sync) -> Sync:
    """The same sync, of the model as that schema has it: dbt names the live one, by what it is in the database."""
    moved = {"relation": sync.relation, "profiles": sync.profiles, "consent": sync.consent}
    return sync.model_copy(update={name: (schema, place[1]) for name, place in moved.items() if place})


def _has_run(scratch: Scratch, sync: Sync, tables: Collection[str]) -> bool:
    if "sync_runs" not in tables:
        return False
    runs = scratch.before("sync_runs")
    return bool(scratch.warehouse.rows(f"select 1 as found from {runs} where sync = ? limit 1", [sync.name]))
