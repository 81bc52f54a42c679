"""What a sink of sinks.yml needs to be driven: the values of its secrets, and the wire.

In dev every secret is `dev-<NAME>` and every request goes to the recorder, whatever sinks.yml says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from models.errors import UserError
from models.links import SHORTEST_KEY, Links
from models.quota import Quota
from models.settings import Settings
from models.sync import Destination
from sinks.base import Carrier, HttpSink, LineSink, Sink
from sinks.leases import Lease
from sinks.transport import HttpTransport, Rewrite, Transport
from sinks.wire import HttpWire, LineWire, Wire, twin_of

LINK_KEY = "TAILRACE_LINK_KEY"


@dataclass(frozen=True)
class Outlet:
    """A destination that is ready to be sent to: its name in sinks.yml, its sink, the quota of its account."""

    name: str
    sink: Sink
    quota: Quota


def secrets_for(kind: type[Sink], name: str, destination: Destination, settings: Settings) -> Mapping[str, str]:
    """The secrets of the destination `name`, in prod from the environment variables that sinks.yml names.

    Raises UserError naming the variable that is missing.
    """
    where = f"sinks.yml: {name}: secrets"
    if settings.target != "prod":
        return {secret: f"dev-{secret}" for secret in kind.secrets}
    found: dict[str, str] = {}
    for secret in kind.secrets:
        variable = destination.secrets.get(secret)
        if variable is None and secret in kind.optional_secrets:
            continue
        if variable is None:
            message = f"{where}: '{secret}' is missing; name the environment variable that holds it"
            raise UserError(message)
        if not settings.environ.get(variable):
            message = f"{where}: {secret}: the environment variable {variable} is not set"
            raise UserError(message)
        found[secret] = settings.environ[variable]
    return found


def links_for(settings: Settings) -> Links:
    """The links of this target's messages: signed with TAILRACE_LINK_KEY, read with that of before, too.

    Raises UserError where prod has no key, or a short one, or is reached by an address that is not https.
    """
    if settings.target != "prod":
        return Links(settings.gateway, ("dev-TAILRACE_LINK_KEY",))
    keys = [key.strip() for key in settings.environ.get(LINK_KEY, "").split(",") if key.strip()]
    if not keys or any(len(key) < SHORTEST_KEY for key in keys):
        message = (
            f"{LINK_KEY} must hold the key that signs unsubscribe links, at least {SHORTEST_KEY} characters of chance; "
            "several are separated by commas, the newest first"
        )
        raise UserError(message)
    if not settings.gateway.startswith("https://"):
        message = (
            f"TAILRACE_GATEWAY is {settings.gateway}; in prod it is the https address by which people reach the gateway"
        )
        raise UserError(message)
    return Links(settings.gateway, tuple(keys))


def wire_for(
    sink: Carrier,
    settings: Settings,
    *,
    sync: str,
    as_of: datetime,
    now: Callable[[], datetime],
    transport: Transport | None = None,
    lease: Lease | None = None,
) -> Wire:
    """What carries one delivery, as long as its lease; `transport`: instead of the network."""
    is_live, recorder = settings.target == "prod", settings.recorder.rstrip("/")
    if isinstance(sink, LineSink):
        return LineWire(sink, None if is_live else partial(twin_of, recorder, sink.name, sync, as_of), lease)
    assert isinstance(sink, HttpSink), f"a sink speaks HTTP or has lines: {type(sink)}"
    rewrite = None if is_live else Rewrite(recorder, sink.name, sync, as_of)
    return HttpWire(sink, transport or HttpTransport(sink.limits.connections, rewrite, sink.public_url), now, lease)
