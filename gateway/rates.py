"""How often somebody may ask: token buckets, those of the latest askers kept."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil

_HOME_BITS = 64  # of an IPv6 address: what one customer of a provider has to himself


class Buckets:
    """A bucket a key, full at first: `burst` at once, then `per_second`. For one thread."""

    def __init__(self, per_second: float, burst: int, most: int) -> None:
        self._per_second, self._burst, self._most = per_second, burst, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key → tokens, seconds

    def take(self, key: str, now: float) -> int:
        """0 where one was left; else in how many whole seconds there will be. `now` in seconds, of any clock."""
        tokens, then = self._left.pop(key, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + max(0.0, now - then) * self._per_second)
        wait = 0 if tokens >= 1 else ceil((1 - tokens) / self._per_second)
        self._left[key] = (tokens if wait else tokens - 1, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return wait


@lru_cache(maxsize=4_096)
def client(host: str) -> str:
    """Whose address it is: of IPv6 the network, for a client has as many addresses as it likes."""
    try:
        address = ip_address(host)
    except ValueError:  # no address: a socket of the system, a test
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Network((int(address) >> _HOME_BITS << _HOME_BITS, _HOME_BITS)))
    return host
