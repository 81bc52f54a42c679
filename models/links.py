"""Links that say who follows them: signed and sealed, without an end, no log-in needed.

A token is AES-SIV (RFC 5297) over who it is about: it can be neither altered nor read, so no address stands in a log.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHORTEST_KEY = 16  # characters: who can guess the key can unsubscribe anybody
LONGEST_TOKEN = 2_000  # characters: what is longer was not made here
_PURPOSE = b"tailrace link 1"
_KEY_BYTES = 64  # AES-256 in SIV mode takes two keys of 32


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a link is about: the person, the contact point the message went to, and what it was for."""

    profile_id: str
    channel: str
    contact: str
    purpose: str
    send_key: str


@dataclass(frozen=True)
class Links:
    """Makes and reads links. `keys`: the first signs, all are believed, so that a new key forgets no link."""

    url: str  # of the gateway, as people reach it, without a slash at the end
    keys: Sequence[str] = field(repr=False)

    @cached_property
    def _ciphers(self) -> list[AESSIV]:
        return [AESSIV(HKDF(SHA256(), _KEY_BYTES, None, _PURPOSE).derive(key.encode())) for key in self.keys]

    def token(self, recipient: Recipient) -> str:
        """The same recipient has the same token."""
        sealed = self._ciphers[0].encrypt(orjson.dumps(astuple(recipient)), [_PURPOSE])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def unsubscribe(self, token: str) -> str:
        return f"{self.url}/u/{token}"

    def preferences(self, token: str) -> str:
        return f"{self.url}/preferences/{token}"

    def read(self, token: str) -> Recipient | None:
        """Whom the token is about; None where it was not made with one of our keys."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != token:  # spare bits say nothing, and are refused
            return None
        for cipher in self._ciphers:
            try:
                return Recipient(*orjson.loads(cipher.decrypt(sealed, [_PURPOSE])))
            except (InvalidTag, ValueError):
                continue
        return None
