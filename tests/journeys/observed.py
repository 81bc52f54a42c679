"""A target as an oracle's world: what its logs say was known and when, and the ticks that ran over it.

So that journeys which ran in the real loop, night by night, are compared with the oracle person by person.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from assets import segments
from assets.journeys import live, named, publication, tables
from assets.journeys.flat import flatten
from models.clock import Clock
from models.policy import Policy
from tests.journeys import harness
from tests.journeys.oracle import (
    Consent,
    Event,
    Facts,
    Loaded,
    Membership,
    Merge,
    Oracle,
    Pause,
    Tick,
    Version,
    World,
)
from warehouse.base import Warehouse


def world(warehouse: Warehouse, policy: Policy) -> World:
    """Everything the ticks of this target could know."""
    return World(
        policy=policy,
        events=[_event(row) for row in _rows(warehouse, f"select * from {tables.EVENTS}")],
        merges=_merges(warehouse),
        memberships=[
            Membership(
                row["entry_id"],
                row["segment"],
                row["profile_id"],
                row["change"],
                row["cause"],
                row["as_of"],
                row["known_by"],
            )
            for row in _rows(warehouse, f"select * from {segments.HISTORY}")
        ],
        facts=[
            Facts(
                row["profile_id"],
                row["email"],
                row["phone"],
                row["time_zone"],
                {name: text for name, text in json.loads(row["dates"]).items() if text is not None},
                row["as_of"],
                row["known_by"],
                row["push_token"],
            )
            for row in _rows(warehouse, f"select * from {tables.PROFILES}")
        ],
        consents=[
            Consent(
                row["profile_id"],
                row["channel"],
                row["contact_point"],
                row["purpose"],
                row["granted"],
                row["suppressed"],
                row["as_of"],
                row["known_by"],
            )
            for row in _rows(warehouse, f"select * from {tables.CONSENT}")
        ],
        versions=[
            Version(
                each.journey,
                each.version,
                each.published_at.astimezone(UTC),
                each.salt,
                {event: list(sources) for event, sources in each.sources.items()},
                dict(each.channels),
            )
            for each in publication.published(warehouse, Clock.at(datetime(2100, 1, 1, tzinfo=UTC)))
        ],
        loaded=[
            Loaded(row["source"], row["through"], row["known_at"])
            for row in _rows(warehouse, f"select * from {tables.LOADED}")
        ],
        pauses=_pauses(warehouse),
    )


def ticks(warehouse: Warehouse) -> list[Tick]:
    """The ticks that wrote something, in order, each with the journeys that moved in it."""
    found: dict[int, tuple[datetime, datetime, set[str]]] = {}
    for row in _rows(warehouse, f"select tick, journey, as_of, known_by from {tables.TICKS} order by tick"):
        found.setdefault(row["tick"], (row["as_of"], row["known_by"], set()))[2].add(row["journey"])
    return [Tick(as_of, known_by, frozenset(journeys)) for as_of, known_by, journeys in found.values()]


def differences(warehouse: Warehouse, policy: Policy) -> str:
    """What ticks of this target left otherwise than the oracle, and events that none took; empty if all is well."""
    oracle = account(warehouse, policy)
    found = harness.differences(harness.of_oracle(oracle), harness.of_engine(warehouse))
    return "\n".join([found, *(f"not taken: {event}" for event in untaken(warehouse))]).strip()


def account(warehouse: Warehouse, policy: Policy) -> Oracle:
    """The oracle's own account of what this target's ticks could know."""
    oracle = Oracle(world(warehouse, policy))
    for tick in ticks(warehouse):
        oracle.tick(tick)
    return oracle


def untaken(warehouse: Warehouse) -> list[tuple[str, str]]:
    """Events that some journey names, since the first was published, which no tick took (or one more than once)."""
    versions = publication.published(warehouse)
    names = {event.name for each in versions for event in named.events(each.journey, flatten(each.journey))}
    since = min(each.published_at for each in versions)
    (last,) = _rows(
        warehouse, f"select max(events_as_of) as as_of, max(events_known_by) as known_by from {tables.TICKS}"
    )
    there = Counter(
        (row["source"], row["event_id"])
        for row in _rows(warehouse, f"select source, event_id, name, occurred_at, known_at from {live.EVENTS}")
        if row["name"] in names and since <= row["occurred_at"] <= last["as_of"] and row["known_at"] <= last["known_by"]
    )
    taken = Counter(
        (row["source"], row["event_id"]) for row in _rows(warehouse, f"select source, event_id from {tables.EVENTS}")
    )
    return sorted(((there - taken) + (taken - there)).keys())


def _event(row: dict[str, Any]) -> Event:
    properties = {name: value for name, value in json.loads(row["properties"] or "{}").items() if value is not None}
    return Event(
        row["source"],
        row["event_id"],
        row["profile_id"],
        row["name"],
        row["occurred_at"],
        row["known_at"],
        properties,
    )


def _merges(warehouse: Warehouse) -> list[Merge]:
    """Who became whom: of each profile its first winner, who may have become another later."""
    rows = _rows(
        warehouse,
        "select identifier, profile_id, as_of, known_by from tailrace.profile_id_history "
        "where identifier_type = 'profile_id' and change = 'merged' order by number",
    )
    first: dict[str, Merge] = {}
    for row in rows:
        first.setdefault(row["identifier"], Merge(row["identifier"], row["profile_id"], row["as_of"], row["known_by"]))
    return list(first.values())


def _pauses(warehouse: Warehouse) -> list[Pause]:
    open_: dict[str, datetime] = {}
    found: list[Pause] = []
    for row in _rows(warehouse, f"select scope, change, changed_at from {tables.PAUSES} order by changed_at, position"):
        if row["change"] == "paused":
            open_.setdefault(row["scope"], row["changed_at"])
        elif row["scope"] in open_:
            found.append(Pause(row["scope"], open_.pop(row["scope"]), row["changed_at"]))
    return [*found, *(Pause(scope, at, None) for scope, at in open_.items())]


def _rows(warehouse: Warehouse, sql: str) -> list[dict[str, Any]]:
    return [
        {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in warehouse.rows(sql)
    ]
