"""What is to say of some providers that call back, beside the contract in sinks/reporting.py.

`Undated` tells no times, so a replay has no date to be refused by; `Checked` knows of its secrets what cannot be right.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sinks.reporting import Reporting

RECEIVED = "x-tailrace-received"  # an ISO moment with its offset: when the gateway heard the request
LARGEST_FORM, MOST_FIELDS = 64 << 10, 200  # bytes and fields of a form that has to be read before its signature


class Undated(Reporting):
    """What it tells happened when the gateway heard it, which the header RECEIVED says over whatever came.

    The gateway keeps in mind what it was told: an event that is told again is as old as it was the first time.
    """


@dataclass(frozen=True)
class Setup:
    """What a destination's callbacks are believed by."""

    url: str  # where they have to come, as the outside names it
    options: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)


class Checked(Reporting):
    """Finds what sinks.yml or the environment say and what can never be: nobody would hear of it but as a 401."""

    @classmethod
    @abstractmethod
    def mistakes(cls, setup: Setup) -> Iterable[tuple[tuple[str, str], str]]:
        """The keys in the destination's entry, and what is wrong there. No message holds a secret."""
