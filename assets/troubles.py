"""What people must know of runs that opened no delivery: refused, unable to start, or well again with nothing to send.

How a run ended that did open one is in `tailrace.delivery_closed`; `tailrace.sync_troubles` shows the last of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from models.errors import Refused, StorageFull, TailraceError
from models.sync import Sync
from warehouse import batches
from warehouse.base import Warehouse

UNOPENED, TROUBLES = "tailrace.unopened", "tailrace.sync_troubles"


@contextmanager
def noted(warehouse: Warehouse, sync: Sync, at: datetime) -> Iterator[None]:
    """Keep why the block raised, until a later run of the sync goes well."""
    try:
        yield
    except StorageFull:
        raise  # there is no room for the note either
    except TailraceError as error:
        _append(warehouse, sync, "refused" if isinstance(error, Refused) else "failed", str(error), at)
        raise


def settle(warehouse: Warehouse, sync: Sync, at: datetime) -> None:
    """Say that the sync went well with nothing to send; nothing is written where nothing was wrong."""
    if warehouse.rows(f"select 1 as found from {TROUBLES} where sync = ?", [sync.name]):
        _append(warehouse, sync, "done", None, at)


def syncs(warehouse: Warehouse) -> set[str]:
    """The syncs whose last run did not go well."""
    return {str(row["sync"]) for row in warehouse.rows(f"select sync from {TROUBLES}")}


def _append(warehouse: Warehouse, sync: Sync, how: str, reason: str | None, at: datetime) -> None:
    found = warehouse.rows(f"select count(*) as n from {UNOPENED} where sync = ?", [sync.name])
    batch = batches.Batch(warehouse, f"unopened/{sync.slug}/{found[0]['n'] + 1}")
    batch.append(UNOPENED, {"sync": sync.name, "how": how, "reason": reason, "ended_at": at})
    batch.commit(at)
