"""The tick of a target: what refreshes left, what was paused, which journeys wait for a segment or a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC

from assets import configuration, store
from assets.dbt_project import LIVE
from assets.journeys import crowds, people, publication, tables, waits
from assets.journeys.messages import OUTBOX, take_back
from assets.journeys.tick import Inputs, Ticked, TooMany
from assets.journeys.ticking import tick
from models.clock import Clock
from models.settings import Settings
from sinks.journal import Journal
from warehouse.base import Warehouse
from warehouse.batches import Batch
from warehouse.engine import engine

EVENTS = f"{LIVE}.int_events"
TURN = "journeys"  # of whoever moves them, or says how they move


@dataclass(frozen=True)
class JourneysResult:
    """What a tick did. `waiting`: journeys that did not move → why. `skipped`: why there was no tick this time."""

    clock: Clock
    ticked: Ticked = field(default_factory=Ticked)
    waiting: Mapping[str, str] = field(default_factory=dict)
    skipped: str | None = None


def advance(warehouse: Warehouse, settings: Settings, journal: Journal, clock: Clock) -> JourneysResult:
    """Move every published journey up to the clock.

    Without a published version, or before the first refresh, nothing happens; with a clock before the last tick's there
    is no tick: a refresh that was launched before it has more to do than to move journeys.
    """
    with engine(settings).turn(TURN), store.deciding(settings):
        return _advance(warehouse, settings, journal, clock)


def _advance(warehouse: Warehouse, settings: Settings, journal: Journal, clock: Clock) -> JourneysResult:
    if backwards := _backwards(warehouse, clock):
        return JourneysResult(clock, skipped=backwards)
    copy_pauses(warehouse, journal, clock)
    versions = publication.published(warehouse, clock)
    through = people.through(warehouse)
    if not versions or through is None:
        return JourneysResult(clock)
    policy = configuration.policy(settings)
    waiting = waits.behind(warehouse, versions, through)
    inputs = Inputs(
        events=EVENTS,
        events_clock=Clock(min(clock.as_of, through.as_of), min(clock.known_by, through.known_by)),
        versions=versions,
        waiting=frozenset(waiting),
        most=policy.at_once(_people(warehouse)),
        approved=crowds.approved(warehouse),
    )
    try:
        ticked = tick(warehouse, policy, clock, inputs)
    except TooMany as found:
        waiting |= crowds.hold(warehouse, clock, versions, found.entries)
        ticked = tick(warehouse, policy, clock, replace(inputs, waiting=frozenset(waiting)))
    # of ticks before, too: one may have been killed between its rows and this
    if any(OUTBOX in delivery.sync.split("/") for delivery in journal.open_deliveries()):
        take_back(warehouse, journal, clock.as_of, clock.known_by)
    return JourneysResult(clock, ticked, waiting)


def copy_pauses(warehouse: Warehouse, journal: Journal, clock: Clock) -> None:
    """Bring what was paused and resumed into the warehouse: arbitration decides by it."""
    literal = warehouse.dialect.literal
    known = warehouse.rows(
        f"select max(position) as position from {tables.PAUSES} where journal_id = {literal(journal.id)}"
    )
    for position, scope, change, at in journal.pause_changes(int(known[0]["position"] or 0)):
        batch = Batch(warehouse, f"pause/{journal.id}/{position}")
        values = {
            "journal_id": journal.id,
            "position": position,
            "scope": scope,
            "change": change,
            "changed_at": at,
        }
        batch.append(tables.PAUSES, values)
        batch.commit(clock.known_by)


def _people(warehouse: Warehouse) -> int:
    return int(warehouse.rows(f"select count(*) as n from {LIVE}.profiles")[0]["n"])


def _backwards(warehouse: Warehouse, clock: Clock) -> str | None:
    """That the clock is before the last tick's, where it is."""
    last = warehouse.rows(f"select max(as_of) as as_of from {tables.TICKS}")[0]["as_of"]
    if last is None or clock.as_of >= last:
        return None
    last, now = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for moment in (last, clock.as_of))
    return f"the last tick was as of {last} UTC and this one says {now}"
