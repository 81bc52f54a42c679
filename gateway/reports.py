"""What a provider tells, as lines for `stg_outcomes` and rows of the suppression list."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC

import orjson

from gateway.gate import Gate
from gateway.landing import Written
from models.outcome import CONTACTS, Report, Told
from sinks.suppression import Row, Seen, allowed, contact_hash, dead, refused

_HEEDED = frozenset({Told.COMPLAINED, Told.UNSUBSCRIBED, Told.BOUNCED, Told.RESUBSCRIBED})
_HEARD = "heard:"  # instead of a purpose, beside the hash of an event's id. No delivery has it, so no claim heeds it


def written(name: str, gate: Gate, reports: Iterable[Report]) -> Written:
    """One line a report of the destination `name`. Raises TypeError where a report holds what is no text."""
    contact_field = CONTACTS.get(gate.destinations[name].channel, "contact")
    told = list(reports)
    lines = [_line(name, gate.destinations[name].channel, contact_field, report) for report in told]
    return Written(lines, [row for report in told for row in _rows(gate, report)])


def written_once(name: str, gate: Gate, reports: Iterable[Report], seen: Seen) -> Written:
    """As `written`, of a provider that tells no time: a repeat is as old as what it repeats, whenever that was.

    The list keeps when an event was heard that changed it, so a repeat of it is the same row and the same line.
    """
    told: list[Report] = []
    heard: list[Row] = []
    for report in reports:
        if _is_heeded(report):
            event = contact_hash(gate.salt, _event(name, report))
            at = seen.stance(event, _HEARD).refused_at or report.at
            heard.append(refused(event, _HEARD, at))
            told.append(replace(report, at=at))
        else:
            told.append(report)
    first = written(name, gate, told)
    return Written(first.lines, [*first.suppressions, *heard])


class Repeats:
    """The latest events that were landed, of providers that tell no time: what is told again costs nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: OrderedDict[str, None] = OrderedDict()

    def without(self, name: str, reports: Iterable[Report]) -> Sequence[Report]:
        """Those that were not landed lately."""
        return [report for report in reports if _event(name, report) not in self._events]

    def note(self, name: str, reports: Iterable[Report]) -> None:
        """They are durable."""
        for report in reports:
            self._events[_event(name, report)] = None
        while len(self._events) > self._most:
            self._events.popitem(last=False)


def _event(name: str, report: Report) -> str:
    """The provider's own id under the destination's name: a redelivery is the same event."""
    return f"{name}:{report.event_id}"


def _line(name: str, channel: str | None, contact_field: str, report: Report) -> bytes:
    line = {
        "id": _event(name, report),
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


def _is_heeded(report: Report) -> bool:
    """Nothing where the provider did not say whom it is about: the warehouse finds out by the message."""
    is_soft = report.told is Told.BOUNCED and report.bounce == "soft"
    return bool(report.contact) and report.told in _HEEDED and not is_soft


def _rows(gate: Gate, report: Report) -> Iterator[Row]:
    """A bounce is hard unless it is soft, as in `int_consent_decisions`; it and a complaint are for every purpose."""
    if not report.contact or not _is_heeded(report):
        return
    contact = contact_hash(gate.salt, report.contact)
    if report.told is Told.UNSUBSCRIBED:
        yield refused(contact, report.purpose, report.at)
    elif report.told is Told.RESUBSCRIBED:
        yield allowed(contact, report.purpose, report.at)
    else:
        yield from dead(contact, (*gate.purposes, report.purpose), report.at)
