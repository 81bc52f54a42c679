"""Messages that nothing takes away: what they were to leave by is gone from the project, and they would expire.

Their journeys' and templates' files do not matter: what was published leaves as it was published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from assets.destinations import destinations
from assets.journeys.funnel import COPY, query
from models.settings import Settings
from models.sync import Sync
from warehouse.base import Warehouse


def stranded(settings: Settings, copy: Warehouse, declared: Iterable[Sync], as_of: datetime) -> Iterator[str]:
    """One line a journey, sink and purpose, with what is missing. `copy`: the published one; `declared`: all syncs."""
    if not copy.columns(f"{COPY}.message_outbox"):
        return
    leave = {(sync.journey, sync.entry.sink, sync.entry.purpose) for sync in declared if sync.journey}
    for row in copy.rows(query(copy, "stranded_messages", COPY, unexpired_at=as_of)):
        journey, sink, purpose = str(row["journey"]), str(row["sink"]), str(row["purpose"])
        if (journey, sink, purpose) not in leave:
            what = _missing(settings, sink)
            yield f"journey {journey}: {row['messages']:,} {purpose} messages cannot leave by {sink}: {what}"


def _missing(settings: Settings, sink: str) -> str:
    known = destinations(settings)
    if sink not in known:
        return f"sinks.yml has no '{sink}'"
    return "the text of their template was not kept, or their contact point is no column of profiles any more"
