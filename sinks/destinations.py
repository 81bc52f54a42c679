"""What a sink of sinks.yml needs to be driven: the values of its secrets, and the wire.

In dev every secret is `dev-<NAME>` and every request goes to the recorder, whatever sinks.yml says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from models.errors import UserError
from models.settings import Settings
from models.sync import Destination
from sinks.base import Sink
from sinks.transport import HttpTransport, Rewrite


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
        if variable is None:
            message = f"{where}: '{secret}' is missing; name the environment variable that holds it"
            raise UserError(message)
        if not settings.environ.get(variable):
            message = f"{where}: {secret}: the environment variable {variable} is not set"
            raise UserError(message)
        found[secret] = settings.environ[variable]
    return found


def transport_for(sink: Sink, settings: Settings, *, sync: str, as_of: datetime) -> HttpTransport:
    """The wire of one delivery."""
    rewrite = None if settings.target == "prod" else Rewrite(settings.recorder.rstrip("/"), sink.name, sync, as_of)
    return HttpTransport(sink.limits.connections, rewrite)
