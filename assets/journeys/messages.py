"""Messages of journeys as syncs: one a journey, destination and purpose, planned, claimed and delivered as any other.

A row is a message of the outbox that may go now; the plan, the journal and the recorder know it by its send_key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from assets.configuration import shown_path
from assets.journeys import waits
from assets.journeys.documents import Read
from assets.journeys.flat import flatten
from assets.journeys.templates import Read as ReadTemplate
from models.errors import ConfigError
from models.journey import Send
from models.policy import Policy
from models.sync import Destination, Guards, Mode, Sync, SyncEntry
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
OUTBOX = "message_outbox"
CONTACTS = {"email": "email", "sms": "phone"}  # channel → the column of profiles that it reaches
COLUMNS = ("profile_id", "journey", "node", "template", "variables")
TIMES = ("_expires_at", "_quiet_at")  # from when a message may not leave, for good and until it is planned again


@dataclass(frozen=True)
class People:
    """What message syncs join and wait for."""

    profiles: tuple[str, str]
    consent: tuple[str, str]
    columns: frozenset[str]  # of profiles
    pii: frozenset[str]
    above: frozenset[str]


def syncs(
    journeys: Iterable[Read],
    destinations: Mapping[str, Destination],
    templates: Mapping[str, ReadTemplate],
    people: People,
) -> list[Sync]:
    """What the journeys' messages leave by. Raises ConfigError where a destination or template is not there."""
    found = []
    for read in journeys:
        grouped: dict[tuple[str, str], list[Send]] = {}
        for node in flatten(read.journey).nodes:
            if send := node.step.send:
                grouped.setdefault((send.sink, send.purpose), []).append(send)
        found += [_sync(read, sends, destinations, templates, people) for sends in grouped.values()]
    return found


def _sync(
    read: Read,
    sends: Sequence[Send],
    destinations: Mapping[str, Destination],
    templates: Mapping[str, ReadTemplate],
    people: People,
) -> Sync:
    sink, purpose, journey = sends[0].sink, sends[0].purpose, read.journey.journey
    destination = destinations.get(sink)
    if destination is None or destination.channel is None or any(send.template not in templates for send in sends):
        message = "names a sink or template that is not there; `tailrace check` says which"
        raise ConfigError(message, file=shown_path(read.file))
    used = {name for send in sends for name in templates[send.template].template.variables}
    contact = CONTACTS[destination.channel]
    entry = SyncEntry(
        sink=sink,
        name=journey if purpose == "marketing" else f"{journey}_{_word(purpose)}",
        fields=(*COLUMNS, contact, *sorted(used & people.columns - {contact})),
        purpose=purpose,
        contact=contact,
        mode=Mode.SEND_ON_ENTRY,
        guards=Guards(),
    )
    return Sync(
        model=OUTBOX,
        relation=("tailrace", OUTBOX),
        profiles=people.profiles,
        consent=people.consent,
        file=shown_path(read.file),
        line=read.document.where("journey"),
        entry=entry,
        destination=destination,
        options=dict(destination.options),
        identity=("entry_id",),
        pii=people.pii | {"variables"},
        above=people.above,
        journey=journey,
        variables=tuple(sorted(used - people.columns)),
    )


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
        variables=dialect.json_object(
            {name: dialect.json_text("run.properties", f"$.{name}") for name in sync.variables}
        ),
    )


def sent_of_tick(warehouse: Warehouse) -> int:
    """How many messages of all journeys left since the last tick, without those that somebody gave their word for."""
    rows = warehouse.rows(render(SQL, "journeys/deliveries_of_tick", warehouse.dialect))
    return sum(int(row["messages"]) for row in rows if all(guard["ok"] for guard in _guards(row["document"])))


def _guards(document: str | None) -> list[dict[str, Any]]:
    """What the guards said of a plan when it was made; a plan is kept as long as its delivery is of today."""
    return json.loads(document)["guards"] if document else []


def _word(purpose: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in purpose)
