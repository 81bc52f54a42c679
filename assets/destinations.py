"""Reads sinks.yml, and checks each destination against its sink: the module, its options, the names of its secrets.

Also makes ready by which destinations the messages of a sync go on when their own is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from assets.configuration import Document, parse
from assets.mistakes import suggestion
from models.errors import UserError
from models.settings import Settings
from models.sync import Destination, Destinations, Mode, Sync
from sinks import base, registry
from sinks.destinations import Outlet, secrets_for
from sinks.reporting import Reporting

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def destinations(settings: Settings) -> dict[str, Destination]:
    """Every destination by name. Raises ConfigError with line, key and what is allowed; needs no secret."""
    document = parse(settings.project / "sinks.yml")
    found = document.read(Destinations).sinks
    checked = {name: _checked(document, name, destination) for name, destination in found.items()}
    for name in checked:
        _check_failover(document, name, checked)
    return checked


def failover(settings: Settings, sync: Sync) -> tuple[Outlet, ...]:
    """By what the sync's messages go on, in order; nothing for rows that are no messages.

    Raises UserError when a secret is missing.
    """
    if sync.entry.mode is not Mode.SEND_ON_ENTRY or not sync.destination.failover:
        return ()
    known = destinations(settings)
    return tuple(_outlet(settings, name, known[name]) for name in sync.destination.failover)


def _outlet(settings: Settings, name: str, destination: Destination) -> Outlet:
    kind = registry.load(destination.sink)
    secrets = secrets_for(kind, name, destination, settings)
    return Outlet(name, kind(kind.Options(**destination.options), secrets), destination.quota)


def _checked(document: Document, name: str, destination: Destination) -> Destination:
    """The destination, with the channel of its sink where that has one."""
    place = ("sinks", name)
    try:
        kind = registry.load(destination.sink)
    except UserError as error:
        raise document.error(str(error), *place, "sink") from error
    for secret, variable in destination.secrets.items():
        allowed = [*kind.secrets, *(kind.webhook_secrets if issubclass(kind, Reporting) else ())]
        if secret not in allowed:
            message = f"sink '{destination.sink}' has no such secret{suggestion(secret, allowed)}"
            raise document.error(message, *place, "secrets", secret)
        if not VARIABLE.fullmatch(variable):  # what stands there may be the secret: it is not repeated
            message = "is no name of an environment variable, like CRM_TOKEN; the secret itself does not stand here"
            raise document.error(message, *place, "secrets", secret)
    document.check(kind.Options, *place, "options")
    if kind.channel and destination.channel not in (None, kind.channel):
        message = f"sink '{destination.sink}' reaches people by {kind.channel}; leave `channel` out, or say that"
        raise document.error(message, *place, "channel")
    if not issubclass(kind, base.Carrier):
        for option in ("per_hour", "per_day", "warm_up"):
            if getattr(destination, option) is not None:
                message = f"sink '{destination.sink}' takes all rows at once: leave it out"
                raise document.error(message, *place, option)
    return destination.model_copy(update={"channel": kind.channel}) if kind.channel else destination


def _check_failover(document: Document, name: str, known: Mapping[str, Destination]) -> None:
    """Whether messages can go on by each that is named."""
    for position, other in enumerate(known[name].failover):
        wrong = _misnamed(name, position, known) or _unfit(name, other, known)
        if wrong:
            raise document.error(wrong, "sinks", name, "failover", position)
        document.read(registry.load(known[other].sink).Options, "sinks", other, "options")  # no sync adds to them


def _misnamed(name: str, position: int, known: Mapping[str, Destination]) -> str | None:
    others = known[name].failover
    other = others[position]
    if other not in known:
        return f"no sink '{other}'{suggestion(other, list(known), 'in sinks.yml')}"
    if other in others[:position]:
        return f"'{other}' is named twice"
    circle = next(_ways_back(name, (name, other), known), None)
    return f"goes round in a circle: {' → '.join(circle)}" if circle else None


def _ways_back(name: str, way: tuple[str, ...], known: Mapping[str, Destination]) -> Iterator[tuple[str, ...]]:
    """From one that stands in for `name`, by those that stand in for it, to `name` again."""
    if way[-1] == name:
        yield way
    elif way[-1] in known and way[-1] not in way[:-1]:
        for further in known[way[-1]].failover:
            yield from _ways_back(name, (*way, further), known)


def _unfit(name: str, other: str, known: Mapping[str, Destination]) -> str | None:
    """Why messages for one destination cannot go by the other."""
    ours, theirs = known[name], known[other]
    if ours.channel is None:
        return f"only messages go on by another destination, and '{name}' has no channel"
    if theirs.channel != ours.channel:
        return f"'{other}' reaches people by {theirs.channel or 'no channel'}, '{name}' by {ours.channel}"
    for sink in (ours.sink, theirs.sink):
        if not issubclass(registry.load(sink), base.Carrier) or Mode.SEND_ON_ENTRY not in registry.load(sink).modes:
            return f"sink '{sink}' sends no messages"
    if (registry.load(ours.sink).channel is None) != (registry.load(theirs.sink).channel is None):
        return f"of sink '{ours.sink}' and sink '{theirs.sink}' only one is sent composed messages"
    return None
