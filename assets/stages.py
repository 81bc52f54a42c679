"""The stages of a refresh after staging, each a function of settings and clock that builds only what changed.

The caller holds the lock to build (store.locked) and has no connection open; refresh.py strings them together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from assets import (
    builds,
    configuration,
    delivery_tables,
    identity,
    lineage,
    raw,
    segment_days,
    segments,
    store,
)
from assets.dbt_project import LIVE, project, variables
from assets.identity import IdentityResult
from assets.journeys import documents, live, people, publication, tables
from assets.journeys.live import JourneysResult
from assets.measures import measure
from assets.messages import versions
from assets.opening import Opener
from assets.segments import Recorded
from assets.settlements import settle
from assets.suppressions import copy_suppressions, known_position
from assets.warehouse import BuildResult, clock_variables, run_dbt
from assets.withdrawals import withdraw_departed
from models.clock import Clock
from models.settings import Settings
from sinks.journal import Journal
from warehouse import batches, definitions
from warehouse.base import Warehouse
from warehouse.engine import engine

STAGING, PROFILES, SEGMENTS, MARTS = "staging", "profiles", "segments", "marts"
BUILDING = "building"  # inputs of a part whose build has not ended
LOG, EVENTS, IDENTIFIERS, BLOCKED = "stg_event_log", "stg_events", "int_event_identifiers", "blocked_identifiers"


@contextmanager
def opened(settings: Settings) -> Iterator[Warehouse]:
    """The live file, for a caller that holds the lock, with everything Python keeps in place."""
    with engine(settings).open() as warehouse:
        batches.prepare(warehouse)
        prepare(settings, warehouse)
        yield warehouse


def prepare(settings: Settings, warehouse: Warehouse) -> None:
    """Create everything Python keeps that is missing, where the batch table is in place."""
    with definitions.together(warehouse):
        raw.ensure_raw(warehouse, configuration.sources(settings))
        for part in (builds, identity, segments, segment_days, delivery_tables, tables, versions):
            part.prepare(warehouse)


def identify(settings: Settings, clock: Clock) -> IdentityResult:
    """Bring the identity history up to the events staged."""
    definition = definition_of(settings, [IDENTIFIERS])
    with opened(settings) as warehouse:
        return identity.identify(
            warehouse,
            clock,
            salt=configuration.policy(settings).salt,
            definition=definition,
            replayable=not configuration.reads_in_place(settings),
            learning=store.learning(settings),
        )


def make_people(settings: Settings, clock: Clock) -> BuildResult:
    """Profiles and consent, and what journeys read of them: without that record no journey moves. Raises BuildFailed.

    Nobody decides meanwhile: events would have people of whom nothing is recorded yet.
    """
    with store.making_models(settings), store.learning(settings):
        done = _build_profiles(settings, clock)
        _record_people(settings, clock)
    return done


def _build_profiles(settings: Settings, clock: Clock) -> BuildResult:
    """Build consent and profiles where anything above them changed. Raises BuildFailed."""
    parsed = project(settings)
    names = [*lineage.models(parsed, "identity"), *lineage.models(parsed, "profiles")]
    names.remove(IDENTIFIERS)
    definition = definition_of(settings, names)
    with opened(settings) as warehouse:
        inputs = f"{_number(warehouse, STAGING)}/{identity.last_number(warehouse)}"
        inputs += _moments(settings, clock, names)
        last = builds.latest(warehouse, PROFILES)
        if last is not None and (last.definition, last.inputs) == (definition, inputs):
            return BuildResult(())
        builds.remember(warehouse, clock, PROFILES, definition, BUILDING)
    with _built(settings, clock, names) as (warehouse, result):
        if not result.failed:
            builds.remember(warehouse, clock, PROFILES, definition, inputs)
    return result.require()


def segment_names(settings: Settings) -> tuple[str, ...]:
    """Every segment, those that others read first."""
    return lineage.models(project(settings), "segments", prefix="seg_")


def build_segments(settings: Settings, clock: Clock, names: Sequence[str] | None = None) -> BuildResult:
    """Build these segments and payload models, or all (None) where anything above them or their day changed.

    What is broken is in the result and remembered.
    """
    if names:
        with _building(settings, clock, names) as (_, result):
            return result
    parsed = project(settings)
    everything = [*lineage.models(parsed, "segments"), *lineage.models(parsed, "syncs")]
    return _build_changed(settings, clock, SEGMENTS, everything, _people)


def _people(warehouse: Warehouse) -> str:
    """Which events and people there are."""
    return f"{_number(warehouse, STAGING)}/{_number(warehouse, PROFILES)}"


def _build_changed(
    settings: Settings, clock: Clock, part: str, names: Sequence[str], above: Callable[[Warehouse], str]
) -> BuildResult:
    """Build the models of a part unless they are whole and what is `above`, their definitions and day are the same."""
    definition, own = definition_of(settings, names), _definitions(settings, names)
    with opened(settings) as warehouse:
        inputs = above(warehouse) + _moments(settings, clock, names)
        last = builds.latest(warehouse, part)
        same = last is not None and (last.definition, last.inputs) == (definition, inputs)
        built, broken = builds.built_by(warehouse, builds.DEFINITIONS), builds.broken(warehouse)
        if same and not broken.keys() & own.keys() and own.items() <= built.items():
            return BuildResult((), frozenset(names))
        # whoever is killed from here on leaves what is not the same as before
        builds.remember(warehouse, clock, part, definition, BUILDING)
    with _building(settings, clock, names) as (warehouse, result):
        builds.remember(warehouse, clock, part, definition, inputs)
    return result


@contextmanager
def _building(settings: Settings, clock: Clock, names: Sequence[str]) -> Iterator[tuple[Warehouse, BuildResult]]:
    """As `_built`; until it is known that a model passes its tests no sync reads it."""
    parsed = project(settings)
    synced = any(parsed.nodes[lineage.unique_id(parsed, name)].is_synced for name in names)
    with store.making_models(settings) if synced else nullcontext(), _built(settings, clock, names) as done:
        yield done


@contextmanager
def _built(settings: Settings, clock: Clock, names: Sequence[str]) -> Iterator[tuple[Warehouse, BuildResult]]:
    """Models built, which of them are whole or broken remembered, and the file open for what else is to be."""
    result = run_dbt(settings, clock, names)
    with opened(settings) as warehouse:
        result = result.broken(_mistaken_segments(settings, warehouse, result.built))
        builds.remember_models(warehouse, clock, result.built, result.reasons)
        remember_definitions(settings, warehouse, clock, result.built)
        yield warehouse, result


def _mistaken_segments(settings: Settings, warehouse: Warehouse, built: Collection[str]) -> dict[str, str]:
    """The segments that were built and name no people → why: whatever reads them would fail instead."""
    parsed, wrong = project(settings), dict[str, str]()
    for name in [name for name in segment_names(settings) if name in built]:
        if message := segments.mistaken_key(warehouse.columns(f"{LIVE}.{name}")):
            file = settings.dbt_project.name + "/" + parsed.nodes[lineage.unique_id(parsed, name)].file
            wrong[name] = f"{file}: {message}"
    return wrong


def _moments(settings: Settings, clock: Clock, names: Iterable[str]) -> str:
    """The clocks that these models read themselves: `/2026-11-23T00:00:00+00:00`, or nothing."""
    given = clock_variables(settings, clock)
    return "".join(f"/{given[name]}" for name in sorted(lineage.clocks(project(settings), names)))


def record_segments(settings: Settings, clock: Clock, names: Sequence[str]) -> list[Recorded]:
    """Advance the history of these segments, whose models were just built at this clock.

    Whoever left one gets no message of it any more that a run under way has not claimed yet: none is planned between.
    """
    with opened(settings) as warehouse, Journal(settings.journal) as journal, store.learning(settings):
        done = segments.record(warehouse, clock, _definitions(settings, names))
        withdraw_departed(Opener(settings, warehouse, journal), names, clock.known_by)
        return done


def _record_people(settings: Settings, clock: Clock) -> bool:
    """Write down what journeys read of people: profiles and consent are built as of the clock.

    Dates that journeys wait for are kept from the first refresh on that finds them written, published or not.
    """
    with opened(settings) as warehouse:
        dates = publication.date_columns(publication.published(warehouse))
        dates |= {name for read in documents.readable(settings) for name in publication.awaited_dates(read.journey)}
        return people.record(warehouse, clock, dates)


def advance_journeys(settings: Settings, clock: Clock) -> JourneysResult:
    """One tick of every published journey, or none where a later clock was there before."""
    with opened(settings) as warehouse, Journal(settings.journal) as journal:
        return live.advance(warehouse, settings, journal, clock)


def hand_over_suppressions(settings: Settings, clock: Clock) -> int:
    """Copy who said no into the journal, where the last decision before a request reads it; the number of new ones.

    Before that, what providers told settles what was unknown.
    """
    salt = configuration.policy(settings).salt
    with opened(settings) as warehouse, Journal(settings.journal) as journal:
        settle(warehouse, f"{LIVE}.{EVENTS}", clock.known_by)
        known = known_position(warehouse, journal, settings.outcomes, clock.known_by)
        return copy_suppressions(warehouse, journal, salt, clock.known_by, consent=f"{LIVE}.consent", known=known)


def build_marts(settings: Settings, clock: Clock) -> BuildResult:
    """Build the marts where anything they read changed; a broken one is in the result."""
    parsed = project(settings)
    names = lineage.models(parsed, "marts")
    above = {source for name in names for source in lineage.ancestors(parsed, lineage.unique_id(parsed, name))}
    kept = [parsed.sources[source] for source in sorted(above & parsed.sources.keys())]

    def read(warehouse: Warehouse) -> str:
        parts = [str(_number(warehouse, part)) for part in (STAGING, PROFILES, SEGMENTS)]
        return "/".join([*parts, *(measure(warehouse, relation).fingerprint for relation in kept)])

    return _build_changed(settings, clock, MARTS, names, read)


def definition_of(settings: Settings, names: Sequence[str]) -> str:
    return lineage.definition(project(settings), names, variables(settings))


def remember_definitions(settings: Settings, warehouse: Warehouse, clock: Clock, names: Iterable[str]) -> None:
    builds.remember_definitions(warehouse, clock, _definitions(settings, names))


def _definitions(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """Each model's own."""
    parsed, given = project(settings), variables(settings)
    return {name: lineage.definition(parsed, [name], given) for name in names}


def _number(warehouse: Warehouse, part: str) -> int:
    last = builds.latest(warehouse, part)
    return last.number if last else 0
