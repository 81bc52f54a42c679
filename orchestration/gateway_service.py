"""Assembles the gateway of a target from its files: whom it believes, where it lands, what people choose among."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from assets import configuration
from assets.destinations import destinations
from assets.journeys import documents
from assets.journeys.flat import flatten
from assets.syncs import read_manifest
from gateway import clock
from gateway.gate import Gate, Hook, normal
from gateway.landing import Landing, Pace
from gateway.serve import serve
from models.errors import UserError
from models.settings import Settings
from models.sync import TRANSACTIONAL, Destination
from sinks import registry
from sinks.base import Sink
from sinks.callbacks import Checked, Setup
from sinks.destinations import links_for
from sinks.reporting import Reporting


def run(settings: Settings, host: str, port: int, ready: Callable[[int], None], *, proxies: str) -> None:
    """Serve until told to stop. Raises UserError where something it needs is not said, or the port is taken."""
    serve(lambda: gate(settings), host, port, ready, proxies=proxies)


def gate(settings: Settings) -> Gate:
    """Everything the routes need, read once: after an edit of sinks.yml or policy.yml the gateway is started anew."""
    settings.root.mkdir(parents=True, exist_ok=True)
    policy, is_live = configuration.policy(settings), settings.target == "prod"
    time = clock.now if is_live else clock.said
    return Gate(
        links=links_for(settings),
        salt=policy.salt,
        destinations=_hooks(settings),
        purposes=_purposes(settings, policy.purposes),
        landing=Landing(settings.outcomes, settings.journal, clock.now, None if is_live else Pace(seconds=0.5)),
        clock=time,
        target=settings.fingerprint,
        hears_clock=not is_live,
    )


def _hooks(settings: Settings) -> dict[str, Hook]:
    """The destinations whose provider calls back, and in prod have named what its signatures are checked with."""
    found = {}
    for name, destination in destinations(settings).items():
        kind = registry.load(destination.sink)
        if not issubclass(kind, Reporting):
            continue
        secrets = _secrets(kind.webhook_secrets, name, destination, settings)
        if secrets is not None:
            _check(kind, name, destination, secrets, settings)
            found[name] = Hook(kind, destination.channel, secrets)
    return found


def _check(
    kind: type[Sink], name: str, destination: Destination, secrets: Mapping[str, str], settings: Settings
) -> None:
    """Raise ConfigError where no request of the provider could ever be believed. In dev it is the recorder."""
    if settings.target != "prod" or not issubclass(kind, Checked):
        return
    url = f"{links_for(settings).url}/webhooks/{name}"
    for path, message in kind.mistakes(Setup(url, destination.options, secrets)):
        raise configuration.parse(settings.project / "sinks.yml").error(message, "sinks", name, *path)


def _secrets(asked: Iterable[str], name: str, destination: Destination, settings: Settings) -> Mapping[str, str] | None:
    """What signatures are checked with; None where sinks.yml does not name all of it: then nothing is believed."""
    if settings.target != "prod":
        return {secret: f"dev-{secret}" for secret in asked}
    variables = {secret: destination.secrets.get(secret) for secret in asked}
    found: dict[str, str] = {}
    for secret, variable in variables.items():
        if variable is None:
            return None
        if not settings.environ.get(variable):
            message = f"sinks.yml: {name}: secrets: {secret}: the environment variable {variable} is not set"
            raise UserError(message)
        found[secret] = settings.environ[variable]
    return found


def _purposes(settings: Settings, labels: Mapping[str, str]) -> dict[str, str]:
    """What journeys, syncs and policy.yml name, as the list has it, with the words people read."""
    named = {"marketing", *labels}
    for read in documents.readable(settings):
        named |= {node.step.send.purpose for node in flatten(read.journey).nodes if node.step.send}
    with suppress(UserError):  # nothing was refreshed yet: syncs are not known
        for node in read_manifest(settings)["nodes"].values():
            syncs = (node["config"].get("meta") or {}).get("syncs") or []
            named |= {str(sync["purpose"]) for sync in syncs if isinstance(sync, dict) and sync.get("purpose")}
    words = {normal(name): label for name, label in labels.items()}
    purposes = sorted({normal(name) for name in named} - {TRANSACTIONAL, ""})
    return {name: words.get(name, name.capitalize()) for name in purposes}
