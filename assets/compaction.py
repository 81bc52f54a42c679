"""Keeps what is append-only small: ledgers without their past, many small batches as one, what was replaced freed.

The warehouse is let go between two parts; whoever reads meanwhile sees the rows before or after, which are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from assets import ledger as ledgers
from assets import ledger_compaction, small_batches, stages, store
from assets.opening import Opener
from assets.sync_run import prepared
from assets.syncs import Manifest, load_syncs
from models.settings import Settings
from models.sync import Sync
from sinks.journal import Journal
from warehouse import batches


@dataclass(frozen=True)
class Compacted:
    """What it did, in ledgers and batches. `freed`: what was replaced a day ago; `left`: syncs that have not ended."""

    ledgers: int = 0
    merged: int = 0
    freed: int = 0
    left: tuple[str, ...] = ()


def compact(settings: Settings, at: datetime, manifest: Manifest | None = None) -> Compacted:
    """All that pays, now. Waits for the warehouse as a refresh does; raises WarehouseHeld where that takes long."""
    with store.locked(settings), stages.opened(settings) as warehouse:
        freed = sum(batches.discard_replaced(warehouse, log, at) for log in batches.logs(warehouse))
        small_batches.forget_killed(warehouse)
        warehouse.gather(f"{batches.SCHEMA}.batch")
    merged = part = _merged(settings, at)
    while part:
        part = _merged(settings, at)
        merged += part
    done = {sync.name: _ledgers(settings, sync, at) for sync in load_syncs(settings, manifest)}
    left = tuple(name for name, count in done.items() if count is None)
    return Compacted(sum(count or 0 for count in done.values()), merged, freed, left)


def _merged(settings: Settings, at: datetime) -> int:
    with store.writing(settings) as warehouse:
        return small_batches.merge(warehouse, at)


def _ledgers(settings: Settings, sync: Sync, at: datetime) -> int | None:
    """How many of the sync's ledgers it paid to write anew; None where one of its runs has not ended.

    Nobody folds and no run is opened meanwhile: whoever has the sync's lock waits for the warehouse, or has a run open.
    """
    with store.writing(settings) as warehouse, Journal(prepared(settings)) as journal:
        if Opener(settings, warehouse, journal).unclosed(sync.name):
            return None
        found = [ledgers.find(warehouse, sync, place) for place in ledgers.destinations(warehouse, sync)]
        return sum(ledger_compaction.compact(warehouse, each, sync.slug, at) for each in found if each)
