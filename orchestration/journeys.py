"""What people ask of journeys at the command line: tick, publish, look at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Unpack

from assets import configuration, stages, store, syncs, troubles
from assets import ledger as ledgers
from assets import publish as publishing
from assets.journeys import checks, crowds, documents, funnel, live, messages, publication, seen
from assets.journeys.existing import members
from assets.journeys.live import JourneysResult
from assets.journeys.program import Version
from assets.journeys.stranded import stranded
from assets.mistakes import suggestion
from assets.sync_run import SyncResult
from models.clock import Clock
from models.errors import Refused, UserError
from models.settings import Settings
from models.sync import Sync
from orchestration import sending
from orchestration.console import Tell
from orchestration.project import read_manifest
from orchestration.sending import Launch
from sinks.journal import Journal
from warehouse.base import Warehouse
from warehouse.engine import engine


@dataclass(frozen=True)
class Ticking:
    """One tick and what was sent after it.

    `unread`: files that are no journeys, by which nothing is sent; `stranded`: messages that have nothing to leave by.
    """

    journeys: JourneysResult
    synced: tuple[SyncResult, ...] = ()
    unread: tuple[str, ...] = ()
    stranded: tuple[str, ...] = ()

    @property
    def needs_a_person(self) -> bool:
        return bool(self.unread or self.stranded)


def tick(settings: Settings, clock: Clock, tell: Tell, *, sends: bool = True) -> Ticking:
    """Move journeys and, unless told not to, send what may go: what the job `tick` does, a step each.

    Raises Refused for a clock before the last tick's.
    """
    tell("moving journeys")
    moved = move(settings, clock)
    if moved.skipped:
        message = f"{moved.skipped}: time does not go back; for the past run `tailrace backtest`"
        raise Refused(message)
    declared = syncs.load_syncs(settings, read_manifest(settings))
    sent = tuple(_send(settings, clock, tell, declared)) if sends else ()
    with store.reading_any(settings) as copy:
        left = tuple(stranded(settings, copy, declared, clock.as_of)) if copy else ()
    return Ticking(moved, sent, tuple(funnel.unread(settings)), left)


def move(settings: Settings, clock: Clock) -> JourneysResult:
    """Move every run that is due, and publish what came of it.

    A process that holds the warehouse calls `live.advance` and `due` itself, as often as it likes.
    """
    with (
        store.locked(settings, how="beside"),
        stages.opened(settings) as warehouse,
        Journal(settings.journal) as journal,
    ):
        moved = live.advance(warehouse, settings, journal, clock)
        publishing.publish(settings, warehouse, only=publishing.OF_JOURNEYS)
    return moved


def send(settings: Settings, clock: Clock, tell: Tell, *, only: str, **launch: Unpack[Launch]) -> list[SyncResult]:
    """Plan and deliver the messages of one sync that may go; nothing while the project has no such sync."""
    declared = syncs.load_syncs(settings, read_manifest(settings))
    return _send(settings, clock, tell, [each for each in declared if each.name == only], **launch)


def _send(
    settings: Settings, clock: Clock, tell: Tell, declared: Iterable[Sync], **launch: Unpack[Launch]
) -> list[SyncResult]:
    with (
        store.locked(settings, how="beside"),
        stages.opened(settings) as warehouse,
        Journal(settings.journal) as journal,
    ):
        names = due(settings, warehouse, journal, declared, clock)
    return sending.sync(settings, clock, names, tell, **launch) if names else []


def due(
    settings: Settings, warehouse: Warehouse, journal: Journal, declared: Iterable[Sync], clock: Clock
) -> list[str]:
    """The syncs that have messages which may go, or a run to settle that was interrupted, refused or failed."""
    unsettled = {delivery.sync for delivery in journal.open_deliveries()} | troubles.syncs(warehouse)
    return [
        sync.name
        for sync in declared
        if sync.journey and (sync.name in unsettled or _is_due(warehouse, settings, sync, clock))
    ]


def _is_due(warehouse: Warehouse, settings: Settings, sync: Sync, clock: Clock) -> bool:
    ledger = ledgers.find(warehouse, sync, syncs.destination_digest(settings, sync))
    settled = ledgers.settled_sql(warehouse, sync, ledger)
    query = messages.due(warehouse, sync, configuration.policy(settings), settled, clock.as_of)
    return bool(warehouse.rows(f"select 1 as found from ({query}) as due limit 1"))


def publish(settings: Settings, name: str, clock: Clock) -> tuple[Version, bool]:
    """Publish the journey as it is written; the version, and whether it is new. Raises ConfigError as `check` does."""
    wanted = publication.named_journey(documents.readable(settings, name), name)
    manifest = read_manifest(settings)
    found = seen.look(settings, [wanted.journey])
    checks.check(settings, manifest, [wanted], seen=found)
    project = checks.describe(settings, manifest, found)
    with _saying_how_they_move(settings) as warehouse:
        version, is_new = publication.publish(warehouse, settings, wanted, project, clock)
        publishing.publish(settings, warehouse, only=publishing.OF_JOURNEYS)
    return version, is_new


@contextmanager
def _saying_how_they_move(settings: Settings) -> Iterator[Warehouse]:
    """The warehouse, while no tick runs."""
    with (
        store.locked(settings, how="beside"),
        engine(settings).turn(live.TURN),
        stages.opened(settings) as warehouse,
    ):
        yield warehouse


def existing(settings: Settings, version: Version) -> int | None:
    """How many present members this version takes in as it is published; None where it takes in nobody."""
    with store.reading_any(settings) as copy:
        mine = [each for each in funnel.published(copy) if each.name == version.name]
        before = [each for each in mine if each.version < version.version]
        return members(copy, [version.journey], before).get(version.name) if copy else None


def approve(settings: Settings, name: str, clock: Clock) -> int:
    """Let a journey take in at its next tick what its last one held back; how many people.

    Raises UserError for a journey that is not published, Refused where nobody waits.
    """
    with _saying_how_they_move(settings) as warehouse:
        names = sorted({version.name for version in publication.published(warehouse)})
        if name not in names:
            message = f"no journey '{name}' is published{suggestion(name, names, 'published')}"
            raise UserError(message)
        return crowds.approve(warehouse, name, clock.as_of)
