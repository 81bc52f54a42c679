"""What a vendor says of contact points in its refusals: that one is dead, or that its person wants no more.

Suppressed at once, and landed as bounces and unsubscribes: so a device that lost its app leaves the profile with the
next refresh, as after a report of the provider's.
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
from sinks.suppression import Row, contact_hash, dead, refused
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
    refusals = [(row, _told(sinks, row)) for row in opener.warehouse.rows(query) if row["contact"]]
    found = [(row, told) for row, told in refusals if told]
    if not found:
        return 0
    # there before any row of the list whose line it holds, and named as the gateway's are: see `position_told`
    kept = next(opener.settings.outcomes.glob(f"dead-{opened.run_id}-*.ndjson"), None)
    position = opener.journal.suppression_position()
    with written_aside(kept or opener.settings.outcomes / f"dead-{opened.run_id}-{position}.ndjson") as file:
        file.writelines(
            orjson.dumps(_line(row, told, sync, CONTACTS.get(channel, "contact"), opened)) + b"\n"
            for row, told in found
        )
    opener.journal.suppress(entry for row, told in found for entry in _listed(row, told, sync, salt, at))
    return len(found)


def _told(sinks: Mapping[str, Sink], row: Mapping[str, Any]) -> Told | None:
    sink, reason = sinks.get(str(row["sink"])), str(row["reason"])
    if sink is None:
        return None
    return Told.BOUNCED if sink.is_dead(reason) else Told.UNSUBSCRIBED if sink.has_unsubscribed(reason) else None


def _listed(row: Mapping[str, Any], told: Told, sync: Sync, salt: str, at: datetime) -> list[Row]:
    contact = contact_hash(salt, str(row["contact"]))
    return dead(contact, {sync.entry.purpose}, at) if told is Told.BOUNCED else [refused(contact, None, at)]


def _line(row: Mapping[str, Any], told: Told, sync: Sync, field: str, opened: Opened) -> dict[str, Any]:
    """What somebody told the vendor before is no answer to this message: it has not its key and purpose then."""
    about = {"bounce": "hard", "send_key": row["send_key"], "purpose": sync.entry.purpose}
    return {
        "id": f"{row['sink']}:{row['send_key']}:dead",
        "event": told,
        "at": opened.as_of,
        "sync": sync.name,
        "sink": row["sink"],
        "channel": sync.destination.channel,
        field: row["contact"],
        "profile_id": row["profile_id"],
        "reason": row["reason"],
        **(about if told is Told.BOUNCED else {}),
    }
