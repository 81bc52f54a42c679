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
    for name, destination in found.items():
        _check(document, name, destination)
    return dict(found)


def _check(document: Document, name: str, destination: Destination) -> None:
    place = ("sinks", name)
    try:
        kind = base.load(destination.sink)
    except UserError as error:
        raise document.error(str(error), *place, "sink") from error
    for secret in destination.secrets:
        if secret not in kind.secrets:
            message = f"sink '{destination.sink}' has no such secret{suggestion(secret, kind.secrets)}"
            raise document.error(message, *place, "secrets", secret)
    document.check(kind.Options, *place, "options")
