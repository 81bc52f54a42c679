"""What a person decided by a link: a row of the suppression list and a line, from the same moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Literal

import orjson

from gateway.landing import Written
from models.links import Recipient
from models.outcome import CONTACTS, Told
from sinks.suppression import Row, Seen, Stance, allowed, contact_hash, refused

Change = Literal[Told.UNSUBSCRIBED, Told.RESUBSCRIBED]

REPEATED = timedelta(minutes=1)
"""A decision made again so soon is the same one: a double click, a mail client that asks again. Later it is another,
since the person may have said yes elsewhere meanwhile, and of two lines with one id staging keeps the first."""

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """A no or a yes of whoever follows the link of `recipient` to one purpose."""

    recipient: Recipient
    purpose: str
    told: Change
    asked_at: datetime


def written(decisions: Iterable[Decision], salt: str, seen: Seen) -> Written:
    """Rows and lines of what one person decided at once. What is decided again is written again: it may be lost."""
    lines: list[bytes] = []
    rows: list[Row] = []
    for decision in decisions:
        contact = contact_hash(salt, decision.recipient.contact)
        at = _moment(decision, seen.stance(contact, decision.purpose))
        row = refused if decision.told is Told.UNSUBSCRIBED else allowed
        rows.append(row(contact, decision.purpose, at))
        lines.append(_line(decision, at))
    return Written(lines, rows)


def _moment(decision: Decision, stance: Stance) -> datetime:
    """When it was decided: the moment before where it is a repeat, and never before what it overrules."""
    now = decision.asked_at.astimezone(UTC)
    same, other = stance.refused_at, stance.allowed_at
    if decision.told is Told.RESUBSCRIBED:
        same, other = other, same
    if same and (other is None or other < same) and same <= now < same + REPEATED:
        return same
    return other + _TICK if other and now <= other < now + REPEATED else now


def _line(decision: Decision, at: datetime) -> bytes:
    """As `stg_outcomes` reads it; the same decision has the same line."""
    recipient = decision.recipient
    key = orjson.dumps([recipient, decision.purpose, decision.told, at])
    return orjson.dumps(
        {
            "id": blake2b(key, digest_size=16).hexdigest(),
            "event": decision.told,
            "at": at,
            "profile_id": recipient.profile_id,
            CONTACTS.get(recipient.channel, "contact"): recipient.contact,
            "channel": recipient.channel,
            "purpose": decision.purpose,
            "send_key": recipient.send_key,
        }
    )
