"""What people did with what the recorder received, as lines a source can load: the way back of the loop.

The same row gives the same outcomes with the same ids, so a repeated file is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from models.sync import Channel
from sinks.aside import written_aside
from sinks.recorder_behaviour import Feedback, Rates, share_of
from sinks.recorder_reports import Happened, tell
from sinks.recorder_store import Store
from sinks.registry import load

_SOON, _LATER = timedelta(minutes=5), timedelta(hours=12)


def write(store: Store, feedback: Feedback) -> int:
    """Report on every row received since the last report, in one file written aside; the number of outcomes.

    What comes of messages goes over HTTP where there is a gateway. Raises httpx.HTTPError where that does not take it;
    the next report tells all of it again, which is harmless.
    """
    first, last = store.reported() + 1, store.last()
    if last < first:
        return 0
    told: list[Happened] = []
    lines = _lines((row for row in store.received(after=first - 1) if row[0] <= last), feedback, told)
    count = 0
    if (begun := next(lines, None)) is not None:  # a report of nothing is no file
        with written_aside(Path(feedback.folder) / f"outcomes-{first:09d}-{last:09d}.ndjson") as file:
            for line in chain([begun], lines):
                file.write(line)
                count += 1
    if feedback.gateway:
        count += tell(told, feedback.gateway)
    store.report(last)
    return count


def _lines(rows: Iterator[tuple[Any, ...]], feedback: Feedback, told: list[Happened]) -> Iterator[bytes]:
    """The lines of the file; what goes over HTTP is put into `told` on the way."""
    for row in rows:
        for line in outcomes(row, feedback):
            happened = _happened(row, line) if feedback.gateway else None
            if happened is not None and (happened.is_by_link or happened.report):
                told.append(happened)
            elif happened is None or line["event"] == "converted":
                yield orjson.dumps(line) + b"\n"


def _happened(row: tuple[Any, ...], line: Mapping[str, Any]) -> Happened | None:
    """Of a message; None of a row."""
    _, sync, _, _, text, _, _, sink = row
    kind = load(sink)
    return Happened(sync.split("/")[0], kind, line, orjson.loads(text)) if kind.channel else None


def outcomes(row: tuple[Any, ...], feedback: Feedback) -> Iterator[dict[str, Any]]:
    """The outcomes of one received row, in the order they happen; none of a removal."""
    _, sync, op, identity, text, request, as_of, sink = row
    if op == "remove" or not as_of:
        return
    payload = orjson.loads(text)
    at = datetime.fromisoformat(as_of)
    for event, is_machine in _events(feedback, sync, identity, load(sink).channel):
        key = f"{feedback.seed}|{sync}|{identity}|{as_of}|{event}{'|machine' if is_machine else ''}"
        spread = _SOON if event in {"delivered", "bounced"} else _LATER
        at += timedelta(seconds=1) + spread * share_of(feedback.seed, "time", key)
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
            "machine": is_machine or None,
        }


def _events(feedback: Feedback, sync: str, identity: str, channel: Channel | None) -> Iterator[tuple[str, bool]]:
    """What happens, and whether a machine did it: only e-mails are opened before anybody looks."""
    rates: Rates = feedback.rates

    def happens(event: str, rate: float) -> bool:
        return share_of(feedback.seed, event, sync, identity) < rate

    if not happens("delivered", rates.delivered):
        yield "bounced", False
        return
    yield "delivered", False
    if channel == "email" and happens("machine opened", rates.machine_opened):
        yield "opened", True
    is_read = channel in (None, "email")  # nobody tells of a text or a push that it was opened
    if is_read and happens("opened", rates.opened):
        yield "opened", False
        if happens("clicked", rates.clicked):
            yield "clicked", False
            if happens("converted", rates.converted):
                yield "converted", False
    if happens("unsubscribed", rates.unsubscribed):
        yield "unsubscribed", False
    if is_read and happens("complained", rates.complained):
        yield "complained", False
