"""Reads sinks.yml, and checks each destination against its sink: the module, its options, the names of its secrets."""

from __future__ import annotations

from assets.configuration import Document, parse
from assets.mistakes import suggestion
from models.errors import UserError
from models.settings import Settings
from models.sync import Destination, Destinations
from sinks import base


def destinations(settings: Settings) -> dict[str, Destination]:
    """Every destination by name. Raises ConfigError with line, key and what is allowed; needs no secret."""
    document = parse(settings.project / "sinks.yml")
    found = document.read(Destinations).sinks
    return {name: _checked(document, name, destination) for name, destination in found.items()}


def _checked(document: Document, name: str, destination: Destination) -> Destination:
    """The destination, with the channel of its sink where that has one."""
    place = ("sinks", name)
    try:
        kind = base.load(destination.sink)
    except UserError as error:
        raise document.error(str(error), *place, "sink") from error
    for secret in destination.secrets:
        allowed = [*kind.secrets, *(kind.webhook_secrets if issubclass(kind, base.Reporting) else ())]
        if secret not in allowed:
            message = f"sink '{destination.sink}' has no such secret{suggestion(secret, allowed)}"
            raise document.error(message, *place, "secrets", secret)
    document.check(kind.Options, *place, "options")
    if kind.channel and destination.channel not in (None, kind.channel):
        message = f"sink '{destination.sink}' reaches people by {kind.channel}; leave `channel` out, or say that"
        raise document.error(message, *place, "channel")
    return destination.model_copy(update={"channel": kind.channel}) if kind.channel else destination
