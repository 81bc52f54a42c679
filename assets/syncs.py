"""All syncs: those that models declare, and those that messages of journeys leave by. No two have one name or audience.

What a sync would do is assets/plans.py; nothing here needs a secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from assets import store
from assets.dbt_project import target_path
from assets.declarations import Node, above, declarations, pii_of, relation, without_secrets
from assets.destinations import destinations
from assets.journeys import documents, funnel, messages
from assets.journeys.documents import Read
from assets.messages import templates
from assets.mistakes import suggestion
from models.errors import ConfigError, UserError
from models.settings import Settings
from models.sync import Destination, Mode, Sync
from sinks import base, registry
from sinks.destinations import secrets_for

Manifest = Mapping[str, Any]


def load_syncs(settings: Settings, manifest: Manifest | None = None) -> list[Sync]:
    """Every declared sync, by name. Raises ConfigError with file, line, model, key and what is allowed.

    Without a manifest, the one of the target's last refresh. A journey whose file is half written has none: `status`
    lists it, and `check` says what is wrong.
    """
    manifest = read_manifest(settings) if manifest is None else manifest
    models = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    journeys = documents.readable(settings)
    known = destinations(settings)
    read = [(each.read(known), each.index) for each in declarations(settings, models)]
    syncs: dict[str, Sync] = {}
    for sync, index in sorted(read, key=lambda each: (each[0].file, each[0].line or 0, each[1])):
        if sync.slug in syncs:
            message = f"the sync {sync.name} is already declared in {syncs[sync.slug].file}; give one a `name`"
            raise ConfigError(message, file=sync.file, line=sync.line, key=f"{sync.model}.syncs[{index}]")
        if other := _shares_its_audience(sync, syncs.values()):
            place = ":".join(str(part) for part in (other.file, other.line) if part)
            options = " or ".join(f"`{name}`" for name in _destination(sync)[1]) or "account"
            message = f"this is the audience of {other.name} ({place}), and a mirror shares its audience with no other"
            message += f" sync; give one of them another {options}"
            raise ConfigError(message, file=sync.file, line=sync.line, key=f"{sync.model}.syncs[{index}]")
        syncs[sync.slug] = sync
    if {"profiles", "consent"} <= models.keys():
        for sync in _of_messages(settings, journeys, known, _people(models)):
            if other := syncs.get(sync.slug):
                message = (
                    f"its {sync.entry.purpose} messages would leave by {sync.name}, which is of {other.file} already; "
                    "give one of them another name"
                )
                raise ConfigError(message, file=sync.file, line=sync.line, key="journey")
            syncs[sync.slug] = sync
    return sorted(syncs.values(), key=lambda sync: sync.name)


def _of_messages(
    settings: Settings, journeys: Iterable[Read], known: Mapping[str, Destination], people: messages.People
) -> list[Sync]:
    with store.reading_any(settings) as copy:
        published = funnel.messages_of(settings, copy)
    folder = settings.dbt_project / documents.FOLDER
    return messages.syncs(journeys, known, templates.readable(settings), people, published, folder)


def _people(models: Mapping[str, Node]) -> messages.People:
    """What the messages of journeys are joined with, and everything above it."""
    profiles = models["profiles"]
    return messages.People(
        profiles=relation(profiles),
        consent=relation(models["consent"]),
        columns=frozenset(profiles["columns"]),
        pii=pii_of([profiles]),
        above=above(models, ["profiles", "consent"]),
    )


def read_manifest(settings: Settings) -> Manifest:
    """The manifest dbt wrote last for this target. Raises UserError when there is none."""
    path = target_path(settings) / "manifest.json"
    try:
        manifest: Manifest = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        message = f"no dbt manifest for target {settings.target} yet; run `tailrace refresh`"
        raise UserError(message) from error
    return manifest


def named(syncs: list[Sync], name: str) -> Sync:
    """The sync of this name. Raises UserError naming those there are."""
    for sync in syncs:
        if sync.name == name:
            return sync
    message = f"no sync '{name}'{suggestion(name, [sync.name for sync in syncs], 'there are')}"
    raise UserError(message)


def sink_of(settings: Settings, sync: Sync, *, secrets: bool = True) -> base.Sink:
    """The sink of the sync. Raises UserError when a secret is missing; without `secrets` it can plan and not send."""
    kind = registry.load(sync.destination.sink)
    options = kind.Options(**sync.options)
    if not secrets:
        return without_secrets(kind, options)
    return kind(options, secrets_for(kind, sync.entry.sink, sync.destination, settings))


def destination_digest(settings: Settings, sync: Sync) -> str:
    """What makes the sync itself: its target, account, model, the options that say where, and what a row is known by.

    Change one and it is another sync with a state of its own. Not so for messages: who got one has got it, wherever
    it would go today.
    """
    if sync.entry.mode is Mode.SEND_ON_ENTRY:
        return _digest([settings.target, sync.name, sync.entry.mode])
    account, where = _destination(sync)
    return _digest([settings.target, account, sync.model, sync.entry.name, sync.entry.mode, where, sync.identity])


def config_digest(sync: Sync) -> str:
    """The mapping and the sink's options: a row the vendor rejected is tried again when they change."""
    return _digest([sync.entry.key, sync.entry.fields, sync.options])


def _destination(sync: Sync) -> tuple[str, dict[str, Any]]:
    """The account, and the options that say where in it."""
    kind = registry.load(sync.destination.sink)
    options = kind.Options(**sync.options)
    where = {name: getattr(options, name) for name in kind.Options.destination_fields()}
    return without_secrets(kind, options).account, where


def _shares_its_audience(sync: Sync, others: Iterable[Sync]) -> Sync | None:
    """The first of the others whose rows a mirror would remove, or that would remove this mirror's."""
    if sync.entry.mode is Mode.SEND_ON_ENTRY or registry.load(sync.destination.sink).names_sync:
        return None
    for other in others:
        mirrored = Mode.MIRROR in {sync.entry.mode, other.entry.mode} and other.entry.mode is not Mode.SEND_ON_ENTRY
        if mirrored and sync.destination.sink == other.destination.sink and _destination(sync) == _destination(other):
            return other
    return None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
