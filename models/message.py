"""A message as its sink gets it: composed from a template for one person, and addressed."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Message:
    """One row for a sink that carries messages. What a channel has no use for is None or empty."""

    send_key: str  # the message's own name: it travels with it, and comes back with what became of it
    profile_id: str
    to: str  # the contact point: an address, a phone number in E.164, a device's token
    subject: str  # one line: of an e-mail; the title of a push; empty for a text message
    text: str
    html: str | None  # of an e-mail that has one
    sender: str | None  # `Name <address>` where the template says it
    reply_to: str | None
    unsubscribe_url: str | None  # one click at it unsubscribes; None where nobody can (transactional)
    preferences_url: str | None
    purpose: str
    journey: str | None  # None where a segment sends it
    node: str | None
    template: str
    template_version: str  # the digest of its text
    locale: str  # the one it was composed in


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Message))
"""The columns of a composed frame, all text, in this order."""
