"""A composed message as the bytes of an e-mail: RFC 5322, MIME, and the headers by which people get out again.

List-Unsubscribe is RFC 2369, one click at it RFC 8058. The standard library encodes addresses, subjects and parts, and
reads the whole back in tests; its EmailMessage takes forty times as long to write it, longer than composing it.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from datetime import datetime
from email.charset import QP, Charset
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from typing import Any, NamedTuple

_UTF8 = Charset("utf-8")
_UTF8.header_encoding = QP
_LOCAL = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."
)  # RFC 5322 atoms
LONGEST = 900  # characters of a subject that is not folded: a line may have 998


class NotAnAddress(ValueError):
    """No mail can go there; the text does not repeat it."""


class _Address(NamedTuple):
    name: str
    local: str
    domain: str  # as DNS has it

    @property
    def bare(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def written(self) -> str:
        """As a header has it."""
        return formataddr((self.name, self.bare), _UTF8)


def mail(row: Mapping[str, Any], sender: str, reply_to: str | None, at: datetime) -> bytes:
    """The message of a row (the fields of models/message.py). The same row and moment are the same bytes.

    `sender` and `reply_to` stand in where the row has none. Raises NotAnAddress.
    """
    from_ = _address(row["sender"] or sender)
    headers = [("From", from_.written), ("To", recipient(row["to"]))]
    if answers := row["reply_to"] or reply_to:
        headers.append(("Reply-To", _address(answers).written))
    headers += [
        ("Subject", _line(row["subject"])),
        ("Date", format_datetime(at)),
        ("Message-ID", f"<{row['send_key']}@{from_.domain}>"),
    ]
    if row["unsubscribe_url"]:
        headers.append(("List-Unsubscribe", f"<{row['unsubscribe_url']}>"))
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    headers.append(("MIME-Version", "1.0"))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    if not row["html"]:
        return head.encode() + _part(row["text"], "plain")
    # `=_` is in no text that is quoted-printable, so no part can hold the boundary (RFC 2045, 6.7)
    boundary = f"=_{row['send_key']}"
    parts = (_part(row["text"], "plain"), _part(row["html"], "html"))
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
    kind = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    return b"%s%s%s--%s--\r\n" % (head.encode(), kind.encode(), body, boundary.encode())


def sender_address(text: str) -> str:
    """The bare address of `Name <address>`, its domain as DNS has it. Raises NotAnAddress."""
    return _address(text).bare


def recipient(text: str) -> str:
    """The same of an address that is written alone. Raises NotAnAddress.

    Who said no is known by their contact point as it is written: another way to write it (a name, a comment, a list,
    letters that DNS reads as others) would go past that no.
    """
    address, alone = _address(text), text.strip()
    domain = address.domain
    if not alone.isascii():
        try:
            domain = domain.encode().decode("idna")
        except UnicodeError as error:
            raise NotAnAddress(_UNLIKE) from error
    if f"{address.local}@{domain}".lower() != alone.lower():
        raise NotAnAddress(_NOT_ALONE)
    return address.bare


def _part(text: str, kind: str) -> bytes:
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    encoded = binascii.b2a_qp(text.replace("\r\n", "\n").replace("\r", "\n").encode())
    return head.encode() + encoded.replace(b"\n", b"\r\n")


def _line(text: str) -> str:
    """One line, encoded where it is not ASCII; a line too long for a header is encoded, so that it can be folded."""
    line = " ".join(text.split())
    if line.isascii() and line.isprintable() and len(line) < LONGEST:
        return line
    return Header(line, _UTF8, header_name="Subject").encode(linesep="\r\n")


@lru_cache(maxsize=4_096)
def _in_dns(domain: str) -> str:
    """Raises UnicodeError."""
    return domain.encode("idna").decode()


def _address(text: str) -> _Address:
    """`Name <local@domain>` or the address alone."""
    name, spec = parseaddr(text)
    local, _, domain = spec.rpartition("@")
    is_local = bool(local) and _LOCAL.issuperset(local) and not local.startswith(".") and not local.endswith(".")
    if not is_local or ".." in spec or not text.isprintable():
        raise NotAnAddress(_UNLIKE)
    try:
        known = _in_dns(domain)
    except UnicodeError as error:
        raise NotAnAddress(_UNLIKE) from error
    if "." not in known.strip(".") or not all(part.strip("-") == part and part for part in known.split(".")):
        raise NotAnAddress(_UNLIKE)
    return _Address(name, local, known)


_UNLIKE = "no address that a relay takes: it must be like name@example.com"
_NOT_ALONE = "no address alone: a recipient has no name, comment or second address, and is like name@example.com"
