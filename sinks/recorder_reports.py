"""What comes of recorded messages over HTTP: providers call the gateway's webhooks, people follow the links they got.

Everything is deterministic, so telling it again is telling the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import httpx

from models.outcome import Report, Told
from sinks.base import Sink
from sinks.reporting import Reporting

AS_OF = "X-Tailrace-As-Of"  # in dev the gateway's clock is that of whoever calls
TRIES, MOST_SECONDS = 20, 5.0
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
_TOLD = {told.value: told for told in Told}


@dataclass(frozen=True)
class Happened:
    """One outcome of a recorded message, on its way to the gateway."""

    destination: str
    kind: type[Sink]
    line: Mapping[str, Any]  # as it would stand in a file
    payload: Mapping[str, Any]

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.line["at"])

    @property
    def link(self) -> str | None:
        """By which a person gets out, where the message has one."""
        headers = self.payload.get("headers", {})
        link = self.payload.get("unsubscribe_url") or str(headers.get("List-Unsubscribe", "")).strip("<>")
        return link or None

    @property
    def is_by_link(self) -> bool:
        return self.line["event"] == Told.UNSUBSCRIBED and self.link is not None

    @property
    def report(self) -> Report | None:
        """What its provider has a word for; None for what only a shop knows (a conversion)."""
        told = _TOLD.get(self.line["event"])
        if told is None or not issubclass(self.kind, Reporting):
            return None
        return Report(
            event_id=self.line["id"],
            told=told,
            at=self.at,
            send_key=self.line["send_key"],
            contact=self.payload.get("to"),
            profile_id=self.payload.get("profile_id"),
            bounce="hard" if told is Told.BOUNCED else None,
            is_machine=bool(self.line.get("machine")),
        )


def tell(happened: Iterable[Happened], gateway: str) -> int:
    """Send what can be told to the gateway; how many outcomes. Raises httpx.HTTPError where it is not taken."""
    everything = sorted(happened, key=lambda one: (one.destination, one.line["at"], one.line["id"]))
    count = 0
    with httpx.Client(timeout=30) as client:
        for one in everything:
            if one.is_by_link and one.link:
                _post(client, httpx.Request("POST", one.link, data=ONE_CLICK), one.at)
                count += 1
        for destination, group in groupby(everything, key=attrgetter("destination")):
            for request, at, told in _requests(f"{gateway}/webhooks/{destination}", list(group)):
                _post(client, request, at)
                count += told
    return count


def _requests(url: str, happened: Sequence[Happened]) -> Iterator[tuple[httpx.Request, datetime, int]]:
    """A provider's requests, the moment each is made, and how many outcomes it tells."""
    kind = happened[0].kind
    reports = [one.report for one in happened if not one.is_by_link and one.report]
    if not issubclass(kind, Reporting):
        return
    for first in range(0, len(reports), kind.events_a_request):
        some = [report for report in reports[first : first + kind.events_a_request] if report]
        at = max(report.at for report in some)
        for place, request in enumerate(kind.tell(url, some, at)):
            yield request, at, len(some) if place == 0 else 0


def _post(client: httpx.Client, request: httpx.Request, at: datetime) -> None:
    """As a provider does it: again while it is asked to wait."""
    headers = {**request.headers, AS_OF: at.isoformat()}
    for _ in range(TRIES):
        response = client.request(request.method, request.url, content=request.read(), headers=headers)
        if response.status_code not in {429, 503}:
            break
        time.sleep(min(float(response.headers.get("retry-after", "1")), MOST_SECONDS))
    response.raise_for_status()
