"""Where a name leads, and whether that is public: an address in a file is no way into a private network."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

import httpx

from models.errors import NeedsPerson

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"),)  # RFC 6052: a router goes to the IPv4 address at the end
_LOCAL = (  # RFC 8215: translated within a network; RFC 4291: IPv4 in IPv6 as it was once written
    ipaddress.IPv6Network("64:ff9b:1::/48"),
    ipaddress.IPv6Network("::/96"),
)


@dataclass(frozen=True)
class Pinned:
    """A host and the one address that requests to it go to: the one looked at, whatever its name says later."""

    host: str
    address: str
    port: int


def public(url: str) -> Pinned:
    """Where requests to `url` go. Raises NeedsPerson where any address of its host is not of the public internet."""
    parsed = httpx.URL(url)
    host, port = parsed.host, parsed.port or (443 if parsed.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"{host}: no such host ({error}); nothing was sent"
        raise NeedsPerson(message) from error
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    for address in addresses:
        if not is_public(address):
            message = (
                f"{host} is {address}, which is not of the public internet: nothing is sent there, unless the "
                "destination says `allow_private: true`"
            )
            raise NeedsPerson(message)
    return Pinned(host, str(addresses[0]), port)


def is_public(address: Address) -> bool:
    """Not private, not of this machine or link, not for many, and not such an address in the clothes of IPv6."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if any(address in net for net in _TRANSLATED):
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    inner = address.ipv4_mapped or address.sixtofour
    is_of_a_site = address.is_site_local or any(address in net for net in _LOCAL)
    return address.is_global and not address.is_multicast and not is_of_a_site and (inner is None or is_public(inner))
