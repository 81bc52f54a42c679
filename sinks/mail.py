"""A composed message as the bytes of an e-mail: RFC 5322, MIME, and the headers by which people get out again.

List-Unsubscribe is RFC 2369, one click at it RFC 8058.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any


class NotAnAddress(ValueError):
    """No mail can go there; the text does not repeat it."""


def mail(row: Mapping[str, Any], sender: str, reply_to: str | None, at: datetime) -> bytes:
    """The message of a row (the fields of models/message.py). The same row has the same Message-ID.

    `sender` and `reply_to` stand in where the row has none. Raises NotAnAddress.
    """
    made = EmailMessage(policy=SMTP)
    from_ = _address(row["sender"] or sender)
    made["From"] = from_
    made["To"] = _address(row["to"])
    if answers := row["reply_to"] or reply_to:
        made["Reply-To"] = _address(answers)
    made["Subject"] = " ".join(row["subject"].split())
    made["Date"] = format_datetime(at)
    made["Message-ID"] = f"<{row['send_key']}@{from_.domain}>"
    if row["unsubscribe_url"]:
        made["List-Unsubscribe"] = f"<{row['unsubscribe_url']}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(row["text"], cte="quoted-printable")
    if row["html"]:
        made.add_alternative(row["html"], subtype="html", cte="quoted-printable")
    return made.as_bytes()


def envelope_address(text: str) -> str:
    """The bare address, its domain as DNS has it. Raises NotAnAddress."""
    return _address(text).addr_spec


def _address(text: str) -> Address:
    """`Name <local@domain>` or the address alone."""
    name, spec = parseaddr(text)
    local, _, domain = spec.rpartition("@")
    if not local or "." not in domain or any(letter in text for letter in "\r\n") or not local.isascii():
        raise NotAnAddress("no address that a relay takes: it must be like name@example.com")
    try:
        return Address(name, local, domain.encode("idna").decode())
    except (HeaderParseError, UnicodeError, ValueError, IndexError) as error:
        raise NotAnAddress("no address that a relay takes: it must be like name@example.com") from error
