"""The contract of a sink whose provider calls back. The gateway listens, the recorder tells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import httpx

from models.outcome import Report


@dataclass(frozen=True)
class Heard:
    """A request that came to the gateway's `/webhooks/{sink}`: the address as the provider called it, the raw body."""

    url: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Reporting(ABC):
    """What a sink adds whose provider calls back: is it really the provider, and what does it tell."""

    webhook_secrets: ClassVar[tuple[str, ...]] = ()  # what its signatures are checked with: named in sinks.yml, too
    events_a_request: ClassVar[int] = 1  # of those it tells at once

    @classmethod
    @abstractmethod
    def is_signed(cls, heard: Heard, secrets: Mapping[str, str], now: datetime) -> bool:
        """Whether the provider signed exactly this body, lately where its signatures have a time.

        Compares in constant time; never raises, whatever the headers hold.
        """

    @classmethod
    @abstractmethod
    def reports(cls, heard: Heard) -> Iterable[Report]:
        """What a signed request tells, in our words; what is nobody's business (a deferral) is left out.

        Raises ValueError, LookupError or TypeError where the body is not what the provider documents.
        """

    @classmethod
    @abstractmethod
    def tell(cls, url: str, reports: Sequence[Report], at: datetime) -> Iterator[httpx.Request]:
        """The provider's own requests that tell this, signed at `at` with the dev secrets: the recorder makes them."""
