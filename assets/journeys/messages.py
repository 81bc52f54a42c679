"""Messages of journeys as syncs: one a journey, destination and purpose, planned, claimed and delivered as any other.

A row is a message of the outbox that may go now; the plan, the journal and the recorder know it by its send_key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.configuration import shown_path
from assets.journeys import waits
from assets.journeys.documents import Read
from assets.journeys.flat import flatten
from assets.journeys.program import Version
from assets.messages.compiling import Compiled, compiled_or_why
from assets.messages.composing import OF_JOURNEY
from assets.messages.text import Text
from models.journey import Journey
from models.policy import Policy
from models.sync import Destination, Guards, Mode, Sync, SyncEntry
from sinks.journal import Journal
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
OUTBOX = "message_outbox"
CONTACTS = {"email": "email", "sms": "phone", "push": "push_token"}  # channel → the column of profiles it reaches
COLUMNS = ("profile_id", "journey", "version", "node", "template", "template_version", "locale", "variables")
TIMES = ("_expires_at", "_quiet_at")  # from when a message may not leave, for good and until it is planned again


@dataclass(frozen=True)
class People:
    """What message syncs join and wait for."""

    profiles: tuple[str, str]
    consent: tuple[str, str]
    columns: frozenset[str]  # of profiles
    pii: frozenset[str]
    above: frozenset[str]


@dataclass(frozen=True)
class Published:
    """What was published: messages of it leave whatever the files say by now. `texts`: by digest."""

    versions: Sequence[Version] = ()
    texts: Mapping[str, Text] = field(default_factory=dict)


@dataclass
class _Leaving:
    """The messages of one journey that leave together."""

    journey: str
    sink: str
    purpose: str
    texts: dict[str, Text] = field(default_factory=dict)  # by digest


def syncs(
    journeys: Iterable[Read],
    destinations: Mapping[str, Destination],
    templates: Mapping[str, Text],
    people: People,
    published: Published,
    folder: Path,
) -> list[Sync]:
    """What messages leave by: those of the journeys as they are written, and as they were published.

    A journey whose file names what is not there has those of its published versions; `tailrace check` says what is
    wrong with the file. `folder`: where journeys are written.
    """
    written = {read.journey.journey: read for read in journeys}
    found: dict[tuple[str, str, str], _Leaving] = {}

    def leaving(journey: Journey, texts: Mapping[str, Text | None]) -> None:
        for node in flatten(journey).nodes:
            send = node.step.send
            text = send and texts.get(send.template)
            if not send or not text or not _reaches(destinations.get(send.sink), people):
                continue
            key = (journey.journey, send.sink, send.purpose)
            found.setdefault(key, _Leaving(*key)).texts[text.digest] = text

    for version in published.versions:
        leaving(version.journey, {name: published.texts.get(digest) for name, digest in version.templates.items()})
    for read in written.values():
        leaving(read.journey, templates)
    return [_sync(each, written.get(each.journey), folder, destinations[each.sink], people) for each in found.values()]


def _reaches(destination: Destination | None, people: People) -> bool:
    return (
        destination is not None and destination.channel is not None and CONTACTS[destination.channel] in people.columns
    )


def _sync(leaving: _Leaving, read: Read | None, folder: Path, destination: Destination, people: People) -> Sync:
    assert destination.channel, "only sinks that reach people have messages"
    tried = {digest: compiled_or_why(text) for digest, text in leaving.texts.items()}
    templates = [each for each in tried.values() if isinstance(each, Compiled)]  # messages of others are rejected
    bare = frozenset[str]().union(*(each.variables for each in templates))
    columns = frozenset[str]().union(*(each.columns for each in templates))
    properties = frozenset[str]().union(*(each.properties for each in templates))
    theirs = people.columns - OF_JOURNEY
    contact = CONTACTS[destination.channel]
    entry = SyncEntry(
        sink=leaving.sink,
        name=leaving.journey if leaving.purpose == "marketing" else f"{leaving.journey}_{_word(leaving.purpose)}",
        fields=(*COLUMNS, contact, *sorted((bare | columns) & theirs - {contact, *COLUMNS})),
        purpose=leaving.purpose,
        contact=contact,
        mode=Mode.SEND_ON_ENTRY,
        guards=Guards(),
    )
    return Sync(
        model=OUTBOX,
        relation=("tailrace", OUTBOX),
        profiles=people.profiles,
        consent=people.consent,
        file=shown_path(read.file if read else folder / f"{leaving.journey}.yml"),
        line=read.document.where("journey") if read else None,
        entry=entry,
        destination=destination,
        options=dict(destination.options),
        identity=("entry_id",),
        pii=people.pii | {"variables"},
        above=people.above,
        journey=leaving.journey,
        variables=tuple(sorted((bare - theirs) | properties)),
        texts={digest: _languages(each) for digest, each in tried.items()},
    )


def _languages(template: Compiled | str) -> tuple[str, ...]:
    """Of what is no template any more some: its rows have a locale as others do, until they are rejected."""
    return tuple(template.languages) if isinstance(template, Compiled) else ("en",)


def due(warehouse: Warehouse, sync: Sync, policy: Policy, settled: str, as_of: datetime) -> str:
    """A query of the messages that may go at this moment, with `entry_id`, COLUMNS and TIMES; none of who waits."""
    dialect = warehouse.dialect
    return render(
        SQL,
        "journeys/due_messages",
        dialect,
        sync=sync,
        policy=policy,
        settled=settled,
        as_of=as_of,
        is_waiting=sync.journey in waits.reasons(warehouse),
        variables=dialect.json_object({name: dialect.json_value("run.properties", name) for name in sync.variables}),
    )


def take_back(warehouse: Warehouse, journal: Journal, as_of: datetime, at: datetime) -> None:
    """Take what journeys withdrew back from sendings under way, where no request has claimed it yet: the first has it.

    A tick does, whose withdrawals are in the warehouse, and whoever has just opened a run in the journal: of two that
    overlap one sees what the other wrote.
    """
    rows = warehouse.rows(render(SQL, "journeys/withdrawn_messages", warehouse.dialect, as_of=as_of))
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        by_reason.setdefault(str(row["reason"]), []).append(str(row["send_key"]))
    for reason, keys in by_reason.items():
        journal.withdraw(keys, reason, at)


def sent_of_tick(warehouse: Warehouse) -> int:
    """How many messages of all journeys left since the last tick, without those that somebody gave their word for."""
    rows = warehouse.rows(render(SQL, "journeys/deliveries_of_tick", warehouse.dialect))
    return sum(int(row["messages"]) for row in rows if all(guard["ok"] for guard in _guards(row["document"])))


def _guards(document: str | None) -> list[dict[str, Any]]:
    """What the guards said of a plan when it was made; a plan is kept as long as its delivery is of today."""
    return json.loads(document)["guards"] if document else []


def _word(purpose: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in purpose)
