"""What a provider, or the person, tells of a message after it left: the way back, as the gateway lands it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal


class Told(StrEnum):
    """Our words; every sink that hears from its provider has a table from the provider's."""

    ACCEPTED = "accepted"  # the provider has it: settles an `unknown`
    REJECTED = "rejected"  # the provider did not pass it on: settles an `unknown`, too
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"


CONTACTS: Mapping[str | None, str] = {"email": "email", "sms": "phone"}
"""Channel → what a line of the source `outcomes` calls its contact point; `contact` for any other."""


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that was told. `event_id` is the provider's own: the same for a redelivery."""

    event_id: str
    told: Told
    at: datetime
    send_key: str | None = None  # the message's, where the provider gave it back
    contact: str | None = None  # the contact point
    profile_id: str | None = None
    purpose: str | None = None  # what an unsubscription is about; None: what the message was for, or marketing
    bounce: Literal["hard", "soft"] | None = None  # hard: the contact point does not exist
    is_machine: bool = False  # opened or clicked by no person: a proxy or a scanner
    url: str | None = None  # what was clicked
    reason: str | None = None  # the provider's own words
    provider_id: str | None = None  # the message's name there
