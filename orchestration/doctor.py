"""`tailrace doctor`: finds what an accident left behind and puts it right; what it cannot, it says who holds it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from assets import delivery_tables, runner, store
from assets.fold import Folder
from assets.opening import Opener
from models.errors import WarehouseHeld
from models.settings import Settings
from orchestration import upkeep
from orchestration.upkeep import Found
from sinks import journal_store, leases
from sinks.journal import Journal
from warehouse.engine import engine
from warehouse.lock import is_held

__all__ = ["Found", "examine"]


def examine(settings: Settings) -> list[Found]:
    """Everything found, each with what was done."""
    if not settings.home.exists():
        return []
    return [
        *_locks(settings),
        *_engine(settings),
        *_deliveries(settings),
        *upkeep.tidy(settings, datetime.now(UTC)),
        *_dagster(settings),
    ]


def _locks(settings: Settings) -> Iterator[Found]:
    """A lock dies with its process, so one that is held has a living holder; its name may be what is looked for."""
    for path in [*sorted(settings.root.glob("*.lock")), *sorted(settings.locks.glob("*.lock"))]:
        if is_held(path):
            holder = path.read_text().strip() or "unknown"
            yield Found(f"{path.stem} is held by process {holder}", f"nothing: wait for it, or end process {holder}")
    for sync, holder in leases.holders(settings.journal).items():
        if not is_held(runner.lock_file(settings, sync)):
            yield Found(f"{sync} is held by {holder}", "nothing: wait for it, or end it if it hangs")


def _engine(settings: Settings) -> Iterator[Found]:
    """What no repair changes: a database keeps what it was made with."""
    for remark in engine(settings).remarks():
        yield Found(remark, "nothing: pg_dump takes it to a database made as docs/engines.md says")


def _deliveries(settings: Settings) -> Iterator[Found]:
    """Runs whose process is gone: claims without an answer become `unknown`, the rest is planned anew."""
    for sync in sorted(_interrupted(settings)):
        if _settled(settings, sync):
            yield Found(f"{sync}: a run was interrupted", "settled: what is in doubt is in `unknowns`")


def _settled(settings: Settings, sync: str) -> bool:
    """False where a run of the sync is under way: it has settled what was before it.

    The sync is the last to be taken, so that a run is not kept waiting while this waits for the warehouse.
    """
    with store.writing(settings, how="beside") as warehouse, Journal(settings.journal) as journal:
        delivery_tables.prepare(warehouse)
        try:
            with runner.running(settings, sync):
                Folder(warehouse, journal, Opener(settings, warehouse, journal)).recover(sync, datetime.now(UTC))
        except WarehouseHeld:
            return False
    return True


def _interrupted(settings: Settings) -> set[str]:
    """Syncs with a delivery that the journal or the warehouse has open."""
    if not journal_store.exists(settings.journal) or not engine(settings).exists():
        return set()
    with Journal(settings.journal) as journal:
        names = {delivery.sync for delivery in journal.open_deliveries()}
    with store.writing(settings, how="beside") as warehouse:
        delivery_tables.prepare(warehouse)
        rows = warehouse.rows("select distinct sync from tailrace.sync_runs where closed_at is null")
    return names | {str(row["sync"]) for row in rows}


def _dagster(settings: Settings) -> Iterator[Found]:
    """Runs that Dagster believes in and no process carries out, and the pool slots that they hold."""
    if (settings.home / "dagster" / "history").exists():
        from orchestration import dagster_doctor  # noqa: PLC0415 - who never started Dagster need not wait for it

        yield from dagster_doctor.examine(settings)
