"""Messages that nothing takes away: what they were to leave by is gone from the project, and they would expire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from assets.destinations import destinations
from assets.journeys import documents
from assets.journeys.funnel import COPY, query
from models.settings import Settings
from models.sync import Sync
from warehouse.base import Warehouse


def stranded(settings: Settings, copy: Warehouse, declared: Iterable[Sync], as_of: datetime) -> Iterator[str]:
    """One line a journey, sink and purpose, with what is missing. `copy`: the published one; `declared`: all syncs.

    Files that cannot be read are told elsewhere (funnel.unread).
    """
    if not copy.columns(f"{COPY}.message_outbox"):
        return
    leave = {(sync.journey, sync.entry.sink, sync.entry.purpose) for sync in declared if sync.journey}
    broken = documents.unreadable(settings)
    for row in copy.rows(query(copy, "stranded_messages", COPY, unexpired_at=as_of)):
        journey, sink, purpose = str(row["journey"]), str(row["sink"]), str(row["purpose"])
        if (journey, sink, purpose) not in leave and journey not in broken:
            what = _missing(settings, journey, sink)
            yield f"journey {journey}: {row['messages']:,} {purpose} messages cannot leave by {sink}: {what}"


def _missing(settings: Settings, journey: str, sink: str) -> str:
    if journey not in {read.journey.journey for read in documents.readable(settings)}:
        return f"{settings.dbt_project.name}/{documents.FOLDER}/{journey}.yml is gone"
    if sink not in destinations(settings):
        return f"sinks.yml has no '{sink}'"
    return "its file has no such step any more, or a template is gone; `tailrace check` says what is wrong"
