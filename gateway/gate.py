"""What the gateway is told when it starts: whom it believes, where it writes, how much it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.landing import Landing
from models.links import Links, Recipient
from models.sync import TRANSACTIONAL, Channel
from sinks.reporting import Reporting


@dataclass(frozen=True)
class Hook:
    """A destination whose provider calls back at `/webhooks/<its name>`."""

    kind: type[Reporting]
    channel: Channel | None  # what its contact points are
    secrets: Mapping[str, str] = field(repr=False)  # by the names in `kind.webhook_secrets`
    fetches: bool = False  # whether a signature may have to wait for a certificate from elsewhere


@dataclass(frozen=True)
class Limits:
    """What is refused with 413, 408, 429 or 503 before it costs anything."""

    webhook_bytes: int = 1_000_000  # of a body
    form_bytes: int = 16_384
    body_seconds: float = 30.0  # in which a body has to come
    body_bytes: int = 64 << 20  # of all bodies that are being read and answered
    requests: int = 256  # at once
    per_second: float = 1.0  # pages a client's address, forms a link …
    burst: int = 30  # … after so many at once
    clients: int = 20_000  # that are kept in mind


@dataclass(frozen=True)
class Gate:
    """Everything that the routes need. Holds secrets: a repr shows none."""

    links: Links = field(repr=False)  # its `url` is also how providers reach the webhooks
    salt: str = field(repr=False)
    destinations: Mapping[str, Hook]
    purposes: Mapping[
        str, str
    ]  # what a person chooses among → what they read; best every purpose of syncs and journeys
    landing: Landing  # of the source `outcomes`
    clock: Callable[[], datetime]
    limits: Limits = field(default_factory=Limits)
    target: str = ""  # which it is: `/healthz` says so, for whoever finds a gateway at an address
    hears_clock: bool = False  # in dev: `clock` is that of whoever calls

    def choices(self, recipient: Recipient) -> dict[str, str]:
        """Purpose → label: what this person chooses among."""
        own = {} if recipient.purpose == TRANSACTIONAL else {recipient.purpose: self.label(recipient.purpose)}
        return {**own, **self.purposes}

    def label(self, purpose: str) -> str:
        return self.purposes.get(purpose, purpose.replace("_", " "))
