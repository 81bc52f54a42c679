"""From an entry of sinks.yml and a sync's options to a sink that can be driven: options, secrets, transport.

In dev every secret is `dev-<NAME>` and every request goes to the recorder, whatever sinks.yml says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from models.errors import UserError
from models.settings import Settings
from models.sync import Destination
from sinks.base import Options, Sink, load
from sinks.transport import HttpTransport, Rewrite


def options_for(destination: Destination, options: Mapping[str, Any], where: str) -> Options:
    """The sink's options of one sync, over those of its destination.

    Raises UserError that begins with `where` (the file and the model) and names the option and what is allowed.
    """
    kind = load(destination.sink).Options
    try:
        return kind.model_validate({**destination.options, **options})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        allowed = ", ".join(kind.model_fields)
        told = f"unknown option; allowed: {allowed}" if first["type"] == "extra_forbidden" else first["msg"]
        message = f"{where}: {key}: {told}"
        raise UserError(message) from error


def sink_for(name: str, destination: Destination, options: Options, settings: Settings) -> Sink:
    """The sink of the destination `name` with its secrets."""
    kind = load(destination.sink)
    return kind(options, secrets_for(kind, name, destination, settings))


def secrets_for(kind: type[Sink], name: str, destination: Destination, settings: Settings) -> Mapping[str, str]:
    """The secrets of the destination `name`, in prod from the environment variables that sinks.yml names.

    Raises UserError naming the variable that is missing.
    """
    where = f"sinks.yml: {name}: secrets"
    unknown = set(destination.secrets) - set(kind.secrets)
    if unknown:
        allowed = ", ".join(kind.secrets) or "none"
        message = f"{where}: sink '{destination.sink}' has no secret '{min(unknown)}'; allowed: {allowed}"
        raise UserError(message)
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
