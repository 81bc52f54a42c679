"""Where each sync stands, for `tailrace status`: from the live warehouse or from the published copy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from assets.audience import audience_of
from assets.syncs import destination_digest
from models.errors import UserError
from models.settings import Settings
from models.sync import Mode, Sync
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class SyncState:
    """Counts of keys. `in_audience` is of the model as it is built now, less those without consent."""

    name: str
    in_audience: int
    accepted: int  # what the vendor holds; of messages: sent
    rejected: int
    unknown: int
    pending: int
    paused: bool


def sync_state(warehouse: Warehouse, settings: Settings, sync: Sync, paused: Collection[str] = ()) -> SyncState:
    """`paused` are the scopes the journal holds (`Journal.paused()`)."""
    schema = "tailrace" if warehouse.columns("tailrace.deliveries") else "main"
    destination = destination_digest(settings, sync)
    counts = {"accepted": 0, "pending": 0}
    waiting = {"rejects": 0, "unknowns": 0}
    if warehouse.columns(f"{schema}.deliveries"):
        values = {"sync": sync.name, "destination": destination}
        query = render(SQL, "sync_state", warehouse.dialect, deliveries=f"{schema}.deliveries", **values)
        counts = warehouse.rows(query)[0]
        literal = warehouse.dialect.literal
        for name in waiting:
            found = warehouse.rows(
                f"select count(*) as n from {schema}.{name} "
                f"where sync = {literal(sync.name)} and destination = {literal(destination)}"
            )
            waiting[name] = int(found[0]["n"])
    return SyncState(
        name=sync.name,
        in_audience=_messages(warehouse, sync, schema) if sync.journey else _in_audience(warehouse, sync),
        accepted=int(counts["accepted"]),
        rejected=waiting["rejects"],
        unknown=waiting["unknowns"],
        pending=int(counts["pending"]),
        paused=bool({sync.name, *sync.scopes, "all"} & set(paused)),
    )


def _messages(warehouse: Warehouse, sync: Sync, schema: str) -> int:
    """Messages of a journey that were admitted, sent or not."""
    if not warehouse.columns(f"{schema}.message_outbox"):
        return 0
    found = warehouse.rows(
        f"select count(distinct send_key) as n from {schema}.message_outbox "
        "where journey = ? and sink = ? and purpose = ? and decision = 'admitted'",
        [sync.journey, sync.entry.sink, sync.entry.purpose],
    )
    return int(found[0]["n"])


def _in_audience(warehouse: Warehouse, sync: Sync) -> int:
    """People in the model who may hear of it, whatever the mode; 0 where it is not built."""
    entry = sync.entry.model_copy(update={"mode": Mode.MIRROR})
    members = sync.model_copy(update={"entry": entry})
    try:
        audience = audience_of(warehouse, members, settled="")
    except UserError:
        return 0
    found = warehouse.rows(f"select count(*) as n from ({audience.sql}) as audience where not _suppressed")
    return int(found[0]["n"])
