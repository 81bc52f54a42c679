"""How often somebody may ask: token buckets, those of the latest askers kept."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil

from starlette.requests import Request

_HOME_BITS = 64  # of an IPv6 address: what one customer of a provider has to himself


class Buckets:
    """A bucket a key, full at first: `burst` at once, then `per_second`. For one thread."""

    def __init__(self, per_second: float, burst: int, most: int) -> None:
        self._per_second, self._burst, self._most = per_second, burst, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key → tokens, seconds

    def take(self, key: str, now: float) -> int:
        """0 where one was left; else in how many whole seconds there will be. `now` in seconds, of any clock."""
        tokens = self._tokens(key, now)
        wait = self._wait(tokens)
        self._left.pop(key, None)
        self._left[key] = (tokens if wait else tokens - 1, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return wait

    def wait(self, key: str, now: float) -> int:
        """As `take`, and nothing is taken."""
        return self._wait(self._tokens(key, now))

    def _tokens(self, key: str, now: float) -> float:
        tokens, then = self._left.get(key, (float(self._burst), now))
        return min(float(self._burst), tokens + max(0.0, now - then) * self._per_second)

    def _wait(self, tokens: float) -> int:
        return 0 if tokens >= 1 else ceil((1 - tokens) / self._per_second)


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


def host(request: Request) -> str:
    """Whose bucket a request takes from where it says nothing better."""
    return client(request.client.host if request.client else "")
