"""Mail Send as the recorder plays it: refuses what SendGrid documents to refuse, and knows what it would send.

Its limits are from the API description (twilio/sendgrid-oai), its refusals from the documentation's list of errors.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import orjson

from models.sync import Op
from sinks.base import Fault, Known, Simulated
from sinks.simulated import json_response

MOST_ROWS = 1_000  # personalizations a request
LARGEST_BODY = 30_000_000
LARGEST_SUBSTITUTIONS = LARGEST_ARGUMENTS = 10_000  # bytes a personalization

_ADDRESS = re.compile(r"[^<>@\s]+@[^<>@\s]+\.[^<>@\s]+")
_RESERVED = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)
_REFUSALS = {  # field of a personalization → why it is refused
    "to": "not an address, or one that the request has before",
    "from": "not an address",
    "subject": "a subject has at least one character",
    "headers": "a header is reserved",
    "substitutions": f"substitutions are text, of {LARGEST_SUBSTITUTIONS} bytes at most",
    "custom_args": f"custom arguments are text, of {LARGEST_ARGUMENTS} bytes at most",
}


def simulated(request: httpx.Request, fault: Fault) -> Simulated:
    """All messages of a request, or none."""
    if request.headers.get("Authorization") != "Bearer dev-api_key":
        return _refused(401, {"": "authorization required"})
    if len(request.content) > LARGEST_BODY:
        return _refused(413, {"": "content too large"})
    try:
        body = orjson.loads(request.content)
        people = [{"subject": body.get("subject", ""), **own} for own in body["personalizations"]]
        errors = dict(_errors(body, people))
    except (ValueError, LookupError, TypeError, AttributeError):
        return _refused(400, {"": "invalid request"})
    errors |= {f"personalizations.{offset}.to": reason for offset, reason in fault.reject.items()}
    if fault.refuse is not None:
        errors[""] = fault.refuse
    if errors:
        return _refused(400, errors)
    if body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
        return Simulated(httpx.Response(200))
    name = base64.urlsafe_b64encode(hashlib.sha256(request.content).digest())[:22].decode()
    known = tuple(_known(body, own) for own in people)
    return Simulated(httpx.Response(202, headers={"X-Message-Id": name}), known)


def _errors(body: Mapping[str, Any], people: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What is refused: the field and why. Raises KeyError and the like where a field is missing."""
    content = body["content"]
    if not 0 < len(people) <= MOST_ROWS:
        yield "personalizations", f"1 to {MOST_ROWS} personalizations are required"
    if not content or not all(part["value"] for part in content):
        yield "content", "a body has at least one character"
    for field in ("from", "reply_to"):
        if field in body and not _ADDRESS.fullmatch(body[field]["email"]):
            yield field, "not an address"
    heard: set[str] = set()
    for number, own in enumerate(people):
        yield from ((f"personalizations.{number}.{field}", _REFUSALS[field]) for field in _bad_fields(own, heard))
        heard.add(own["to"][0]["email"].lower())


def _bad_fields(own: Mapping[str, Any], heard: set[str]) -> Iterator[str]:
    """Fields of a personalization that are refused; `heard` are the addresses before it."""
    address = own["to"][0]["email"]
    fine = {
        "to": _ADDRESS.fullmatch(address) and address.lower() not in heard,
        "from": "from" not in own or _ADDRESS.fullmatch(own["from"]["email"]),
        "subject": own["subject"],
        "headers": not _RESERVED & {name.lower() for name in own.get("headers", ())},
        "substitutions": _is_text(own.get("substitutions", {}), LARGEST_SUBSTITUTIONS),
        "custom_args": _is_text(own["custom_args"], LARGEST_ARGUMENTS),
    }
    return (field for field, is_fine in fine.items() if not is_fine)


def _is_text(values: Mapping[str, Any], most: int) -> bool:
    texts = [text for pair in values.items() for text in pair]
    return all(isinstance(text, str) for text in texts) and sum(len(text.encode()) for text in texts) <= most


def _refused(status: int, errors: Mapping[str, str]) -> Simulated:
    told = [{"message": message, "field": field or None, "help": None} for field, message in errors.items()]
    return Simulated(json_response(status, {"errors": told}))


def _known(body: Mapping[str, Any], own: Mapping[str, Any]) -> Known:
    """The message as it goes out: tags replaced, what is its own before what all have."""
    bodies = {part["type"].partition("/")[2].replace("plain", "text"): part["value"] for part in body["content"]}
    shown = {"subject": own["subject"], "text": "", **bodies}
    for tag, value in own.get("substitutions", {}).items():
        shown = {name: text.replace(tag, value) for name, text in shown.items()}
    told = {
        "sender": _mailbox(own.get("from", body["from"])),
        "reply_to": _mailbox(body["reply_to"]) if "reply_to" in body else "",
        "unsubscribe_url": own.get("headers", {}).get("List-Unsubscribe", "").strip("<>"),
    }
    told = {name: text for name, text in told.items() if text}
    payload = {"to": own["to"][0]["email"], **shown, **told, **own["custom_args"]}
    return Known(Op.SEND, own["custom_args"]["send_key"], payload)


def _mailbox(mailbox: Mapping[str, str]) -> str:
    return f"{mailbox['name']} <{mailbox['email']}>" if "name" in mailbox else mailbox["email"]
