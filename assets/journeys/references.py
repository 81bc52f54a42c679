"""Whether what a journey names is there: segments, events and their properties, sinks, templates, dates, audiences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from assets.journeys import named
from assets.journeys.flat import Flat, Node, Path
from assets.journeys.seen import SAMPLE, Events
from assets.messages import fitting
from assets.messages.compiling import compiled
from assets.messages.composing import OF_JOURNEY
from assets.messages.text import Text
from assets.mistakes import Mistake, suggestion
from models.errors import ConfigError
from models.journey import Journey, Send
from models.policy import Policy
from models.sync import TRANSACTIONAL, Destination
from models.times import in_words
from sinks.registry import load

DATES = ("date", "timestamp")  # what the type of a date or moment begins with


@dataclass(frozen=True)
class Project:
    """What there is to name. `profiles`: column → type; `synced`: the models of models/syncs."""

    segments: Collection[str]
    profiles: Mapping[str, str]
    synced: Collection[str]
    sinks: Mapping[str, Destination]
    templates: Mapping[str, Text]
    half_written: Mapping[str, ConfigError]  # files that are no templates yet
    events: Events
    policy: Policy

    @property
    def purposes(self) -> list[str]:
        """What a message may be for: what consent is about, or a template says."""
        seen = self.events.seen.purposes if self.events.seen else frozenset()
        said = {each.template.purpose for each in self.templates.values() if each.template.purpose}
        return sorted({"marketing", TRANSACTIONAL} | said | seen)


def unknown_purpose(purpose: str, project: Project) -> str | None:
    """What is wrong with a purpose that nobody knows; None for one that is known."""
    if purpose in project.purposes:
        return None
    message = f"no consent or template is about '{purpose}'{suggestion(purpose, project.purposes, 'known')}"
    return f"{message}; a new one is named in the front matter of its templates: `purpose: {purpose}`"


def problems(journey: Journey, flat: Flat, project: Project) -> Iterator[Mistake]:
    """Every mistake in the order it is looked for; `path` as the flat journey has it."""
    for segment, path in named.segments(journey, flat):
        if segment not in project.segments:
            known = sorted(project.segments)
            yield Mistake(path, f"no segment '{segment}'{suggestion(segment, known, 'in models/segments')}")
    yield from _events(journey, flat, project.events)
    yield from _entry_properties(journey, flat, project.events)
    for node in flat.nodes:
        if node.step.send:
            path = (*node.path, "send")
            yield from _send(node.step.send, path, project)
            yield from _variables(node.step.send.template, journey.entry.event, (*path, "template"), project)
        yield from _date(node, project.profiles)
        yield from _audience(node, project.synced)


def _events(journey: Journey, flat: Flat, events: Events) -> Iterator[Mistake]:
    for event in named.events(journey, flat):
        if event.name not in events.names and events.is_complete:
            message = f"no source sends '{event.name}'{suggestion(event.name, events.names, 'there are')}"
            message += "; one that is to come is named in its source's `events` in sources.yml"
            yield Mistake((*event.path, "event"), message)
            continue
        silent = [name for name in events.senders(event.name) if not events.sources[name].loaded_through]
        if event.is_awaited and silent:
            message = f"that '{event.name}' did not come is known only when its sources are loaded until then, and"
            message += f" {' and '.join(silent)} in sources.yml does not say until when; add there `loaded_through:"
            message += " {lag: 2 hours}`, {closes: day} or {marker: …}"
            yield Mistake((*event.path, "event"), message)
        if event.match and journey.entry.event:
            yield from _property(event.match, event.name, (*event.path, "match"), events)


def _entry_properties(journey: Journey, flat: Flat, events: Events) -> Iterator[Mistake]:
    for name, path in named.entry_properties(journey, flat):
        if journey.entry.event:
            yield from _property(name, journey.entry.event, path, events)
        else:
            message = (
                f"compares with the entry event, and this journey is entered by the segment {journey.entry.segment}"
            )
            yield Mistake(path, f"`{path[-1]}` {message}; leave it out, or enter by an `event`")


def _property(name: str, event: str, path: Path, events: Events) -> Iterator[Mistake]:
    known = events.seen.properties.get(event) if events.seen else None
    if known is not None and name not in known:
        message = f"none of the last {SAMPLE:,} events '{event}' has a property '{name}'"
        yield Mistake(path, message + suggestion(name, sorted(known), "they have"))


def _send(send: Send, path: Path, project: Project) -> Iterator[Mistake]:
    reaching = [name for name, sink in project.sinks.items() if sink.channel]
    if send.sink not in project.sinks:
        yield Mistake((*path, "sink"), f"no sink '{send.sink}'{suggestion(send.sink, reaching, 'in sinks.yml')}")
    elif send.sink not in reaching:
        message = f"'{send.sink}' reaches nobody: it has no `channel` in sinks.yml"
        yield Mistake((*path, "sink"), message + suggestion(send.sink, reaching, "with a channel"))
    if error := project.half_written.get(send.template):
        yield Mistake((*path, "template"), f"cannot be read: {error}")
        return
    found = project.templates.get(send.template)
    if not found:
        hint = suggestion(send.template, list(project.templates), "in dbt_project/templates")
        yield Mistake((*path, "template"), f"no template '{send.template}'{hint}")
    elif found.template.purpose not in (None, send.purpose):
        message = f"'{send.purpose}' is not what {found.file.name} is for; allowed: {found.template.purpose}"
        yield Mistake((*path, "purpose"), message)
    elif message := unknown_purpose(send.purpose, project) or "":
        yield Mistake((*path, "purpose"), message)
    channel = load(project.sinks[send.sink].sink).channel if send.sink in project.sinks else None
    if found and channel:
        yield from (Mistake((*path, "template"), wrong) for wrong in fitting.problems(found, channel, send.purpose))
    window = project.policy.cap_window
    if send.expires < window and send.purpose != TRANSACTIONAL:
        message = "could never be sent: it expires before it is decided which messages are; allowed: at least"
        yield Mistake((*path, "expires"), f"{message} the `cap_window` of policy.yml, {in_words(window)}")


def _variables(name: str, event: str | None, path: Path, project: Project) -> Iterator[Mistake]:
    """What a template uses and no message of this journey would have."""
    if name not in project.templates:
        return
    read, columns = project.templates[name], project.profiles.keys() - OF_JOURNEY
    template, file = compiled(read), read.file.name
    seen = project.events.seen.properties.get(event) if event and project.events.seen else None
    known = set(seen or ())
    is_all = not event or seen is not None  # of an event that was never seen, there may be any property
    no_property = f"no property of the last {SAMPLE:,} events '{event}'"
    for used in sorted(template.columns & project.profiles.keys() & OF_JOURNEY):
        yield Mistake(path, f"{file} uses 'profile.{used}', a word that messages need themselves: rename the column")
    for used in sorted(template.columns - project.profiles.keys()):
        hint = suggestion(used, sorted(columns))
        yield Mistake(path, f"{file} uses 'profile.{used}', which is no column of profiles{hint}")
    for used in sorted(template.properties - known if is_all else ()):
        message = f"which is {no_property}{suggestion(used, sorted(known))}" if event else "and no event enters it"
        yield Mistake(path, f"{file} uses 'event.{used}', {message}")
    for used in sorted(template.variables - known - columns if is_all else ()):
        message = "which is no column of profiles" + (f" and {no_property}" if event else "")
        yield Mistake(path, f"{file} uses '{used}', {message}{suggestion(used, sorted({*columns, *known}))}")


def _date(node: Node, profiles: Mapping[str, str]) -> Iterator[Mistake]:
    name = node.step.wait.date if node.step.wait else None
    dates = [column for column, kind in profiles.items() if kind.lower().startswith(DATES)]
    if name and name not in dates:
        what = f"has type {profiles[name]}" if name in profiles else "is no column of profiles"
        message = f"'{name}' {what}{suggestion(name, dates, 'dates and moments are')}"
        yield Mistake((*node.path, "wait", "date"), message)


def _audience(node: Node, synced: Collection[str]) -> Iterator[Mistake]:
    name = node.step.sync.audience if node.step.sync else None
    model = f"sync_journey_{name}"
    if name and model not in synced:
        message = (
            f"nothing delivers the audience '{name}': write dbt_project/models/syncs/{model}.sql with a `meta.syncs`"
        )
        there = [each.removeprefix("sync_journey_") for each in sorted(synced) if each.startswith("sync_journey_")]
        yield Mistake((*node.path, "sync", "audience"), message + suggestion(name, there, "audiences there are"))
