"""What a relay's replies mean: for one message, for its recipient, or for the account. For sinks/smtp.py."""

from __future__ import annotations

import re

from aiosmtplib import SMTPResponseException

from models.delivery import Outcome, Outcomes

DEAD = re.compile(r"^5[0-9]{2} 5\.(1\.(1|2|3|6|10)|2\.1)\b")  # RFC 3463, RFC 7505: no such mailbox, or no such host
TOO_LARGE = re.compile(r"^5[0-9]{2} 5\.(2\.3|3\.4)\b|^552 (?!5\.[0-9])")  # RFC 3463; RFC 1870 where it has no such code
BUSY = re.compile(r"^(421|454)|^4[0-9]{2} 4\.(3\.2|7\.[0-9]+)\b")  # the relay takes nothing from us for now
ACCOUNT = frozenset({530, 534, 535, 538})  # RFC 4954: it asks who we are, or does not believe it
CLOSING = 421
REFUSED, PERMANENT = 400, 500

_STOP = "the relay does not take what this account sends: check its sender, user name and password"


def told(error: SMTPResponseException) -> str:
    """The reply on one line, its code first."""
    return f"{error.code} {' '.join(str(error.message).split())}"


def refusal(error: SMTPResponseException, *, of_sender: bool) -> Outcomes:
    """What a reply from 400 on says of the message. `of_sender`: it answered MAIL, which names sender and size."""
    reason = told(error)
    is_account = of_sender and error.code >= PERMANENT and not TOO_LARGE.match(reason)
    if error.code in ACCOUNT or is_account:
        return Outcomes.all(Outcome.RETRY, reason, stop=_STOP)
    if error.code >= PERMANENT:
        return Outcomes.all(Outcome.REJECTED, reason)
    return Outcomes.all(Outcome.RETRY, reason, throttled=bool(BUSY.match(reason)))


def queue_id(reply: str) -> str:
    """What the relay calls the message, where it says `queued as …`."""
    found = re.search(r"queued as (\S+)", reply, re.IGNORECASE)
    return found[1] if found else ""
