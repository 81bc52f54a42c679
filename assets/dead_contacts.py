"""Contact points that a vendor called dead while it was sent to: suppressed at once, and landed as bounces.

So a device that lost its app leaves the profile with the next refresh, as after a report of the provider's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from assets.opening import Opened, Opener
from models.outcome import CONTACTS, Told
from models.sync import Sync
from sinks.aside import written_aside
from sinks.base import Sink
from sinks.suppression import contact_hash, dead
from warehouse.query import render

SQL = Path(__file__).parent / "sql"


def land(opener: Opener, opened: Opened, sync: Sync, sinks: Mapping[str, Sink], salt: str, at: datetime) -> int:
    """Of the run's rejected messages, before its planned rows are let go; how many contact points. Again is nothing.

    `sinks`: by destination, those that messages of the run left by: a reason is in the words of its own vendor.
    """
    channel, column = sync.destination.channel, sync.entry.contact
    if column is None or not any(sink.channel for sink in sinks.values()):
        return 0
    query = render(
        SQL, "rejected_messages", opener.warehouse.dialect, planned=opened.planned, run_id=opened.run_id, contact=column
    )
    found = [row for row in opener.warehouse.rows(query) if row["contact"] and _is_dead(sinks, row)]
    if not found:
        return 0
    purposes = {sync.entry.purpose}
    opener.journal.suppress(
        entry for row in found for entry in dead(contact_hash(salt, str(row["contact"])), purposes, at)
    )
    path = opener.settings.outcomes / f"dead-{opened.run_id}.ndjson"
    with written_aside(path) as file:
        file.writelines(
            orjson.dumps(_line(row, sync, CONTACTS.get(channel, "contact"), opened)) + b"\n" for row in found
        )
    return len(found)


def _is_dead(sinks: Mapping[str, Sink], row: Mapping[str, Any]) -> bool:
    sink = sinks.get(str(row["sink"]))
    return sink is not None and sink.is_dead(str(row["reason"]))


def _line(row: dict[str, Any], sync: Sync, field: str, opened: Opened) -> dict[str, Any]:
    return {
        "id": f"{row['sink']}:{row['send_key']}:dead",
        "event": Told.BOUNCED,
        "bounce": "hard",
        "at": opened.as_of,
        "sync": sync.name,
        "sink": row["sink"],
        "channel": sync.destination.channel,
        field: row["contact"],
        "profile_id": row["profile_id"],
        "send_key": row["send_key"],
        "purpose": sync.entry.purpose,
        "reason": row["reason"],
    }
