"""Google's access tokens for a service account: an assertion that it signed, exchanged for a token.

developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import httpx
import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from google.auth import crypt, jwt
from pydantic import BaseModel, Field

from sinks.base import Fault, Simulated, form_request
from sinks.simulated import json_response

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEV_TOKEN, _DEV_SECRET = "dev-token", "dev-service_account"  # what the simulated endpoint grants, and to whom
_ASSERTED = timedelta(hours=1)  # the longest that Google takes
_SOON = timedelta(minutes=1)


class _Granted(BaseModel):
    access_token: str = Field(min_length=1)
    expires_in: int  # seconds


@dataclass(frozen=True)
class AccessToken:
    text: str
    until: datetime

    @classmethod
    def of(cls, response: httpx.Response, at: datetime) -> AccessToken:
        """Raises ValidationError where no token was granted."""
        granted = _Granted.model_validate_json(response.content)
        return cls(granted.access_token, at + timedelta(seconds=granted.expires_in))

    def is_good(self, at: datetime) -> bool:
        return at + _SOON < self.until


NO_TOKEN = AccessToken("", datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True)
class ServiceAccount:
    """Who asks for access tokens, and what they are to open."""

    email: str
    signer: crypt.Signer
    scope: str

    @classmethod
    def of(cls, secret: str, scope: str) -> ServiceAccount:
        """Raises ValueError where the secret is no service account's key; the error holds nothing of it."""
        if secret == _DEV_SECRET:
            return cls("dev@tailrace.invalid", crypt.ES256Signer(_dev_key()), scope)
        try:
            info = orjson.loads(secret)
            signer = crypt.RSASigner.from_service_account_info(info)  # type: ignore[no-untyped-call]
            signer.sign(b"a key of another kind fails here, not in the middle of a run")
            return cls(str(info["client_email"]), signer, scope)
        except (ValueError, LookupError, TypeError, AttributeError, UnsupportedAlgorithm):
            message = (
                "is not the key of a Google service account: its environment variable holds the whole JSON text that "
                "Google gave, with client_email and private_key"
            )
            raise ValueError(message) from None

    def asks(self, at: datetime) -> httpx.Request:
        issued = int(at.timestamp())
        expires = issued + int(_ASSERTED.total_seconds())
        claims = {"iss": self.email, "scope": self.scope, "aud": TOKEN_URL, "iat": issued, "exp": expires}
        assertion = str(jwt.encode(self.signer, claims), "ascii")  # type: ignore[no-untyped-call]
        return form_request(TOKEN_URL, [("grant_type", _GRANT), ("assertion", assertion)], {})


# --- the token endpoint as simulated


def _dev_key() -> ec.EllipticCurvePrivateKey:
    """The key that dev signs with and the recorder verifies by: known to everyone, and good for nothing else."""
    return ec.derive_private_key(int(hashlib.sha256(_DEV_SECRET.encode()).hexdigest(), 16), ec.SECP256R1())


def granted(request: httpx.Request, scope: str, fault: Fault) -> Simulated:
    """No clock is asked: dev's runs have their own."""
    try:
        form = parse_qs(request.content.decode(), strict_parsing=True)
        assertion = form["assertion"][0]
        claims = jwt.decode(assertion, verify=False)  # type: ignore[no-untyped-call]
        signed, _, signature = assertion.rpartition(".")
        is_genuine = crypt.ES256Verifier(_dev_key().public_key()).verify(
            signed.encode(), base64.urlsafe_b64decode(f"{signature}==")
        )
        asked = (form["grant_type"], claims["aud"], claims["scope"], bool(claims["iss"]))
        is_short = 0 < claims["exp"] - claims["iat"] <= _ASSERTED.total_seconds()
    except (ValueError, LookupError, TypeError):
        return _not_granted("invalid_request", "not understood")
    if not is_genuine or not is_short or asked != ([_GRANT], TOKEN_URL, scope, True):
        return _not_granted("invalid_grant", "the assertion's signature, audience, scope or time does not fit")
    if fault.refuse is not None:
        return _not_granted("invalid_grant", fault.refuse)
    return Simulated(json_response(200, {"access_token": DEV_TOKEN, "expires_in": 3599, "token_type": "Bearer"}))


def _not_granted(error: str, description: str) -> Simulated:
    return Simulated(json_response(400, {"error": error, "error_description": description}))
