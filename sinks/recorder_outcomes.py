"""What people did with what the recorder received, as lines a source can load: the way back of the loop.

The same row gives the same outcomes with the same ids, so a repeated file is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from sinks.aside import written_aside
from sinks.recorder_behaviour import Rates, Reporting, share_of
from sinks.recorder_store import Store

_SOON, _LATER = timedelta(minutes=5), timedelta(hours=12)


def write(store: Store, reporting: Reporting) -> int:
    """Report on every row received since the last report, in one file written aside; the number of outcomes."""
    first, last = store.reported() + 1, store.last()
    if last < first:
        return 0
    found = (row for row in store.received(after=first - 1) if row[0] <= last)
    lines = (orjson.dumps(line) + b"\n" for row in found for line in outcomes(row, reporting))
    count = 0
    if (begun := next(lines, None)) is not None:  # a report of nothing is no file
        with written_aside(Path(reporting.folder) / f"outcomes-{first:09d}-{last:09d}.ndjson") as file:
            for line in chain([begun], lines):
                file.write(line)
                count += 1
    store.report(last)
    return count


def outcomes(row: tuple[Any, ...], reporting: Reporting) -> Iterator[dict[str, Any]]:
    """The outcomes of one received row, in the order they happen; none of a removal."""
    _, sync, op, identity, text, request, as_of = row
    if op == "remove" or not as_of:
        return
    payload = orjson.loads(text)
    at = datetime.fromisoformat(as_of)
    for event in _events(reporting, sync, identity):
        key = f"{reporting.seed}|{sync}|{identity}|{as_of}|{event}"
        spread = _SOON if event in {"delivered", "bounced"} else _LATER
        at += timedelta(seconds=1) + spread * share_of(reporting.seed, "time", key)
        yield {
            "id": blake2b(key.encode(), digest_size=12).hexdigest(),
            "event": event,
            "sync": sync,
            "profile_id": payload.get("profile_id"),
            "email": payload.get("email") or (payload.get("to") if "subject" in payload else None),
            "phone": payload.get("phone"),
            "send_key": identity if op == "send" else None,
            "at": at.isoformat(),
            "send_ref": request,
        }


def _events(reporting: Reporting, sync: str, identity: str) -> Iterable[str]:
    rates: Rates = reporting.rates

    def happens(event: str, rate: float) -> bool:
        return share_of(reporting.seed, event, sync, identity) < rate

    if not happens("delivered", rates.delivered):
        return ["bounced"]
    events = ["delivered"]
    if happens("opened", rates.opened):
        events.append("opened")
        if happens("clicked", rates.clicked):
            events.append("clicked")
            if happens("converted", rates.converted):
                events.append("converted")
    if happens("unsubscribed", rates.unsubscribed):
        events.append("unsubscribed")
    if happens("complained", rates.complained):
        events.append("complained")
    return events
