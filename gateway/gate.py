"""What the gateway is told when it starts: whom it believes, where it writes, how much it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.landing import Landing
from models.links import Links, Recipient
from models.sync import TRANSACTIONAL, Channel
from sinks.callbacks import LARGEST_FORM
from sinks.reporting import Reporting


@dataclass(frozen=True)
class Hook:
    """A destination whose provider calls back at `/webhooks/<its name>`."""

    kind: type[Reporting]
    channel: Channel | None  # what its contact points are
    secrets: Mapping[str, str] = field(repr=False)  # by the names in `kind.webhook_secrets`


@dataclass(frozen=True)
class Bounds:
    """What is refused with 413, 408, 429 or 503 before it costs anything."""

    webhook_bytes: int = 1_000_000  # of a body
    webhook_form_bytes: int = LARGEST_FORM  # of one that is a form: it is read before its signature can be
    form_bytes: int = 16_384  # of a person's
    body_seconds: float = 30.0  # in which a body has to come
    body_bytes: int = 64 << 20  # of all bodies that are being read and answered
    requests: int = 256  # at once
    per_second: float = 1.0  # pages a client's address, forms a link …
    burst: int = 30  # … after so many at once
    unsigned_per_second: float = 5.0  # webhooks a client's address that nobody signed …
    unsigned_burst: int = 100  # … after so many: providers send for strangers, too, from addresses that all share
    clients: int = 20_000  # that are kept in mind
    events: int = 50_000  # that are kept in mind, of providers that tell no time


@dataclass(frozen=True)
class Gate:
    """Everything that the routes need. Holds secrets: a repr shows none."""

    links: Links = field(repr=False)  # its `url` is also how providers reach the webhooks
    salt: str = field(repr=False)
    destinations: Mapping[str, Hook]
    purposes: Mapping[str, str]  # what a person chooses among, as `normal` → what they read; best every one
    landing: Landing  # of the source `outcomes`
    clock: Callable[[], datetime]
    limits: Bounds = field(default_factory=Bounds)
    target: str = ""  # which it is: `/healthz` says so, for whoever finds a gateway at an address
    hears_clock: bool = False  # in dev: `clock` is that of whoever calls

    def choices(self, recipient: Recipient) -> dict[str, str]:
        """Purpose → label: what this person chooses among."""
        purpose = normal(recipient.purpose)
        own = {} if purpose == TRANSACTIONAL else {purpose: self.label(purpose)}
        return {**own, **self.purposes}

    def label(self, purpose: str) -> str:
        return self.purposes.get(normal(purpose), purpose.replace("_", " "))


def normal(purpose: str) -> str:
    """As the list has it: `Newsletter` and `newsletter` are one purpose."""
    return purpose.strip().lower()
