"""Standard Webhooks (standardwebhooks.com): how one is signed, and is this really the sender, and lately.

`webhook-id` is the same for a redelivery. Asymmetric signatures (`v1a`) are passed over.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime

from sinks.reporting import Heard

TOLERANCE = 300  # seconds, either way
_SECONDS = re.compile(r"[0-9]{1,12}")
_BASE64 = re.compile(r"whsec_[A-Za-z0-9+/]+=*")


def sign(secret: str, name: str, at: str, body: bytes) -> str:
    """`v1,<base64 of HMAC-SHA256>` over id, timestamp and body; `whsec_` secrets are base64, others plain text."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signature = hmac.new(key, b".".join((name.encode(), at.encode(), body)), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signature).decode()}"


def is_signed(heard: Heard, secret: str, now: datetime) -> bool:
    """Whether one of the signatures is of exactly this body, within five minutes of `now`.

    A `whsec_` secret is base64, any other is its own text. Compares in constant time; whatever the headers hold,
    nothing is raised. Raises ValueError where the secret cannot be one: empty, or `whsec_` and not base64.
    """
    key = readable(secret)
    name, at, signatures = (heard.headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not name or not name.isascii() or not _SECONDS.fullmatch(at):
        return False
    expected = sign(key, name, at, heard.body).encode()
    fits = [hmac.compare_digest(expected, each.encode(errors="replace")) for each in signatures.split(" ")]
    return any(fits) and abs(now.timestamp() - int(at)) <= TOLERANCE


def readable(secret: str) -> str:
    """The secret with padding enough: some senders show theirs without, and what is too much does no harm.

    Raises ValueError where it cannot be one.
    """
    if not secret.startswith("whsec_") and secret:
        return secret
    if not _BASE64.fullmatch(secret):  # what b64decode passes over would leave a shorter key, or none
        raise ValueError("a secret of webhooks is a text, or whsec_ and base64")
    return f"{secret}=="
