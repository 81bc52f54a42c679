"""What a provider tells, as lines for `stg_outcomes` and rows of the suppression list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC

import orjson

from gateway.gate import Gate
from gateway.landing import Written
from models.outcome import CONTACTS, Report, Told
from sinks.suppression import Row, allowed, contact_hash, dead, refused

_HEEDED = frozenset({Told.COMPLAINED, Told.UNSUBSCRIBED, Told.BOUNCED, Told.RESUBSCRIBED})


def written(name: str, gate: Gate, reports: Iterable[Report]) -> Written:
    """One line a report of the destination `name`. Raises TypeError where a report holds what is no text."""
    contact_field = CONTACTS.get(gate.destinations[name].channel, "contact")
    told = list(reports)
    lines = [_line(name, gate.destinations[name].channel, contact_field, report) for report in told]
    return Written(lines, [row for report in told for row in _rows(gate, report)])


def _line(name: str, channel: str | None, contact_field: str, report: Report) -> bytes:
    """`id` is the provider's own under the destination's name: a redelivery is the same event."""
    line = {
        "id": f"{name}:{report.event_id}",
        "event": report.told,
        "at": report.at.astimezone(UTC),
        "sink": name,
        "channel": channel,
        "send_key": report.send_key,
        contact_field: report.contact,
        "profile_id": report.profile_id,
        "purpose": report.purpose,
        "bounce": report.bounce,
        "machine": report.is_machine or None,
        "url": report.url,
        "reason": report.reason,
        "provider_id": report.provider_id,
    }
    return orjson.dumps({key: value for key, value in line.items() if value is not None})


def _rows(gate: Gate, report: Report) -> Iterator[Row]:
    """Nothing where the provider did not say whom it is about: the warehouse finds out by the message.

    A bounce is hard unless it is soft, as in `int_consent_decisions`; it and a complaint are for every purpose.
    """
    if not report.contact or report.told not in _HEEDED:
        return
    contact = contact_hash(gate.salt, report.contact)
    if report.told is Told.COMPLAINED or (report.told is Told.BOUNCED and report.bounce != "soft"):
        yield from dead(contact, (*gate.purposes, report.purpose), report.at)
    elif report.told is Told.UNSUBSCRIBED:
        yield refused(contact, report.purpose, report.at)
    elif report.told is Told.RESUBSCRIBED:
        yield allowed(contact, report.purpose, report.at)
