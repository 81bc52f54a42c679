"""What an answer, or its absence, says of a batch, before and around the sink's own reading of it.

The rule of unknowns: on a non-idempotent operation only what certainly was not processed is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import httpx

from models.delivery import Outcome, Outcomes
from sinks.base import Batch, HttpSink
from sinks.limiter import retry_after
from sinks.transport import Lost, NotSent

UNAUTHORISED = frozenset({401, 403})
REQUEST_TIMEOUT, TOO_LARGE, THROTTLED = 408, 413, 429
SERVER_ERROR = 500
REASON_CHARACTERS = 200
UNREADABLE = (ValueError, LookupError, TypeError)


def refused(sink: HttpSink, response: httpx.Response) -> Outcomes | None:
    """What a status says whatever the vendor; None where its own words are needed."""
    status = response.status_code
    if sink.is_about_rows(response):
        return None
    wait = retry_after(response.headers) if status >= 400 else None  # noqa: PLR2004 - whoever takes asks for no wait
    if status in UNAUTHORISED:
        stop = f"the vendor refuses the account ({status}): check the secrets of this destination"
        return Outcomes.all(Outcome.RETRY, _told(response), stop=stop)
    if status == THROTTLED:
        return Outcomes.all(Outcome.RETRY, "throttled (429)", throttled=True, retry_after=wait)
    if status == TOO_LARGE:
        return Outcomes.all(Outcome.REJECTED, f"too large for the vendor: {_told(response)}", split=True)
    if status >= SERVER_ERROR or status == REQUEST_TIMEOUT or not _is_final(status):
        return Outcomes.all(Outcome.UNKNOWN, _told(response), retry_after=wait)
    return None


def following(sink: HttpSink, batch: Batch, given: Sequence[httpx.Response]) -> httpx.Request | None:
    """The next request of the chain; none where the answers cannot be read: `read` says that then."""
    with suppress(*UNREADABLE):
        return sink.following(batch, given)
    return None


def read(sink: HttpSink, batch: Batch, given: Sequence[httpx.Response]) -> Outcomes:
    """One outcome a row. `RETRY` is certainly not processed, `UNKNOWN` perhaps."""
    response = given[-1]
    if outcomes := refused(sink, response):
        return outcomes
    try:
        return sink.outcomes_of_chain(batch, given)
    except UNREADABLE:
        return Outcomes.all(Outcome.UNKNOWN, f"unreadable answer: {_told(response)}")


def login(sink: HttpSink, response: httpx.Response, at: datetime) -> Outcomes | None:
    """Why the rows were not sent: the vendor let nobody in. None where it did."""
    if outcomes := refused(sink, response):
        certain = replace(outcomes.default, outcome=Outcome.RETRY)
        return replace(outcomes, default=certain, split=False)
    try:
        if response.is_error:
            stop = f"the vendor lets nobody in ({response.status_code}): check the secrets of this destination"
            return Outcomes.all(Outcome.RETRY, _told(response), stop=stop)
        sink.logged_in(response, at)
    except UNREADABLE:
        return Outcomes.all(Outcome.RETRY, f"not logged in: {_told(response)}")
    return None


def failed(error: NotSent | Lost) -> Outcomes:
    """What a request without an answer says of its rows."""
    if isinstance(error, NotSent):
        return Outcomes.all(Outcome.RETRY, f"not sent: {error}")
    return Outcomes.all(Outcome.UNKNOWN, f"no answer: {error}")


def _is_final(status: int) -> bool:
    """2xx and 4xx say what happened; redirects are not followed."""
    return 200 <= status < 300 or 400 <= status < SERVER_ERROR  # noqa: PLR2004 - classes of status codes


def _told(response: httpx.Response) -> str:
    """The status and the start of what came with it, for the receipt alone: it may name a person."""
    text = " ".join(response.text[: 4 * REASON_CHARACTERS].split())[:REASON_CHARACTERS]
    return f"{response.status_code} {text}".strip()
