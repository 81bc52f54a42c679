"""Published versions: explicit, recorded, never rewritten. What is not published moves nobody."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC

import pyarrow as pa

from assets import configuration
from assets.journeys import in_use, named, tables
from assets.journeys.documents import Read
from assets.journeys.flat import flatten
from assets.journeys.occurrences import last_moment
from assets.journeys.program import Version
from assets.journeys.references import Project
from assets.messages import versions as texts
from assets.mistakes import suggestion
from models.clock import Clock
from models.errors import Refused, UserError
from models.journey import Journey, Migration
from models.settings import Settings
from warehouse.base import Warehouse
from warehouse.batches import append_once


def named_journey(journeys: Collection[Read], name: str) -> Read:
    """The journey of this name. Raises UserError with those there are."""
    for read in journeys:
        if read.journey.journey == name:
            return read
    names = sorted(read.journey.journey for read in journeys)
    message = f"no journey '{name}'{suggestion(name, names, 'in dbt_project/journeys')}"
    raise UserError(message)


def publish(
    warehouse: Warehouse, settings: Settings, read: Read, project: Project, clock: Clock
) -> tuple[Version, bool]:
    """Publish the journey as it is written; the version, and whether it is a new one.

    `project` is what it was checked against. From the clock's `as_of` on people and events enter it. Raises Refused
    for a clock not after the last tick's or version's, ConfigError where `migrate` names a step the last one has not,
    where runs under way would be left without a segment or template, or where its only time to enter is over.
    """
    name = read.journey.journey
    versions = [each for each in published(warehouse) if each.name == name]
    version = compiled(settings, read.journey, project, clock, number=len(versions) + 1)
    if versions and _same(versions[-1], version):
        return versions[-1], False
    if versions:
        _check_migration(read, versions[-1])
        in_use.require(warehouse, versions, project, read, read.file)
    _refuse_past(warehouse, versions, clock)
    _refuse_over(read, versions, clock)
    texts.keep(warehouse, (project.templates[name] for name in version.templates), clock.known_by)
    append(warehouse, version, clock)
    return version, True


def compiled(settings: Settings, journey: Journey, project: Project, clock: Clock, *, number: int) -> Version:
    """The version that publishing would record: with what it names as it is now."""
    flat, salt = flatten(journey), configuration.policy(settings).salt
    sends = [node.step.send for node in flat.nodes if node.step.send]
    awaited = {event.name for event in named.events(journey, flat) if event.is_awaited}
    channels = {send.sink: project.sinks[send.sink].channel for send in sends}
    return Version(
        journey=journey,
        version=number,
        published_at=clock.as_of,
        salt=hashlib.sha256(f"{salt}|{journey.journey}".encode()).hexdigest()[:16],
        sources={event: project.events.senders(event) for event in sorted(awaited)},
        channels={sink: channel for sink, channel in channels.items() if channel},
        templates={send.template: project.templates[send.template].digest for send in sends},
    )


def date_columns(versions: Iterable[Version]) -> set[str]:
    """The columns of profiles that waits of these versions read."""
    return {name for version in versions for name in awaited_dates(version.journey)}


def awaited_dates(journey: Journey) -> set[str]:
    """The columns of profiles that its waits read."""
    waits = [node.step.wait for node in flatten(journey).nodes]
    return {wait.date for wait in waits if wait and wait.date}


def _same(last: Version, new: Version) -> bool:
    def told(version: Version) -> tuple[object, ...]:
        return version.journey, dict(version.sources), dict(version.channels), dict(version.templates)

    return told(last) == told(new)


def _check_migration(read: Read, last: Version) -> None:
    policy, flat = read.journey.on_publish, flatten(last.journey)
    if not isinstance(policy, Migration):
        return
    if policy == last.journey.on_publish:
        message = f"this map was carried out when version {last.version} was published; take it out, or write another"
        raise read.document.error(message, "on_publish", "migrate")
    for step in policy.migrate:
        if flat.node(step) is None:
            known = [node.id for node in flat.nodes]
            message = f"version {last.version} has no step '{step}'{suggestion(step, known, 'it has')}"
            raise read.document.error(message, "on_publish", "migrate", step)


def _refuse_past(warehouse: Warehouse, versions: Collection[Version], clock: Clock) -> None:
    ticked = warehouse.rows(f"select max(as_of) as as_of from {tables.TICKS}")[0]["as_of"]
    for what, last in (("tick", ticked), ("version", max((each.published_at for each in versions), default=None))):
        if last is not None and clock.as_of <= last:
            message = (
                f"the last {what} was as of {last.astimezone(UTC).isoformat()}: what is published as of "
                f"{clock.as_of.isoformat()} would change the past; use a later --as-of"
            )
            raise Refused(message)


def _refuse_over(read: Read, versions: Sequence[Version], clock: Clock) -> None:
    """A campaign whose time has passed would let in nobody, ever; an edit of one that took people in may say it."""
    entry = read.journey.entry
    if entry.at is None or (versions and versions[-1].journey.entry.at == entry.at):
        return
    over = last_moment(entry.at, entry.zone)
    if over < clock.as_of:
        message = (
            f"{entry.at:%Y-%m-%d %H:%M} is over: the last clock that counts showed it at {over:%Y-%m-%d %H:%M} UTC, "
            f"before this is published as of {clock.as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC, so nobody would ever "
            "enter; write a later moment"
        )
        raise read.document.error(message, "entry", "at")


def append(warehouse: Warehouse, version: Version, clock: Clock) -> None:
    """Make a version known; the same version again is nothing."""
    spec = version.journey.model_dump_json(by_alias=True)
    assert Journey.model_validate_json(spec) == version.journey, "every tick reads it back"
    row = {
        "journey": version.name,
        "version": version.version,
        "spec": spec,
        "salt": version.salt,
        "sources": json.dumps({event: list(names) for event, names in version.sources.items()}),
        "channels": json.dumps(dict(version.channels)),
        "templates": json.dumps(dict(version.templates)),
        "published_at": version.published_at,
        "known_by": clock.known_by,
    }
    batch_id = f"journey/{version.name}/{version.version}"
    append_once(warehouse, batch_id, tables.VERSIONS, pa.Table.from_pylist([row]), clock.known_by)


def published(warehouse: Warehouse, clock: Clock | None = None, relation: str = tables.VERSIONS) -> list[Version]:
    """Every version published by the clock (all, without one), oldest first. `relation`: the log or its copy."""
    condition = f"where published_at <= {warehouse.dialect.literal(clock.as_of)}" if clock else ""
    rows = warehouse.rows(f"select * from {relation} {condition} order by journey, version")
    return [
        Version(
            journey=Journey.model_validate_json(row["spec"]),
            version=int(row["version"]),
            published_at=row["published_at"],
            salt=row["salt"],
            sources=json.loads(row["sources"]),
            channels=json.loads(row["channels"]),
            templates=json.loads(row["templates"]),
        )
        for row in rows
    ]
