"""One refresh: what landed becomes events, people, segments and what is known of them, as of one clock.

ingest → staging → identity → profiles → segments → history → journeys → marts → suppressions → publish. The
stages themselves are in stages.py, where Dagster's steps find them too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from assets import builds, publish, stages, staging, store
from assets.identity import IdentityResult
from assets.ingest import ingest
from assets.ingest_report import IngestResult
from assets.journeys.live import JourneysResult
from assets.segments import Recorded
from assets.staging import Staged
from models.clock import Clock
from models.errors import BuildFailed
from models.settings import Settings
from warehouse.engine import engine

Progress = Callable[[str], None]  # what begins now, in words


@dataclass(frozen=True)
class RefreshResult:
    """What a refresh did. `broken`: models that did not come out whole → why; all others are as of the clock."""

    clock: Clock
    ingested: tuple[IngestResult, ...]
    staged: Staged
    identity: IdentityResult
    profiles_built: bool
    segments: tuple[Recorded, ...]
    journeys: JourneysResult
    broken: dict[str, str]
    published: tuple[str, ...]
    seconds: dict[str, float] = field(compare=False, default_factory=dict)  # real time, by stage

    @property
    def ok(self) -> bool:
        return not self.broken and not any(result.needs_a_person for result in self.ingested)


def refresh(settings: Settings, clock: Clock, on_progress: Progress | None = None) -> RefreshResult:
    """Bring everything up to the clock.

    Raises Refused for a clock before the last refresh's, and BuildFailed when events, people or consent cannot be
    built: then that is published and nothing else. A segment, payload or mart that fails stops only what is below
    it and is in the result.
    """
    watch = _Watch(on_progress or (lambda _: None))
    with watch("ingest"):
        with store.locked(settings, how="building"), stages.opened(settings) as warehouse:
            builds.begin(warehouse, clock)
        ingested = tuple(ingest(settings, clock))
    with store.kept_open(settings):
        with _failure_published(settings):
            with watch("staging"):
                staged = staging.stage(settings, clock)
            with watch("identity"):
                people = stages.identify(settings, clock)
            with watch("profiles"):
                profiles = stages.make_people(settings, clock)
        with watch("segments"):
            segments = stages.build_segments(settings, clock)
        with watch("history"):
            built = [name for name in stages.segment_names(settings) if name in segments.whole]
            recorded = tuple(stages.record_segments(settings, clock, built))
        with watch("journeys"):
            journeys = stages.advance_journeys(settings, clock)
        with watch("marts"):
            marts = stages.build_marts(settings, clock)
        with watch("suppressions"):
            stages.hand_over_suppressions(settings, clock)
        with watch("publish"), stages.opened(settings) as warehouse:
            published = publish.publish(settings, warehouse)
    broken = {**segments.reasons, **marts.reasons}
    return RefreshResult(
        clock, ingested, staged, people, bool(profiles.nodes), recorded, journeys, broken, published, watch.seconds
    )


@contextmanager
def _failure_published(settings: Settings) -> Iterator[None]:
    """`status` reads the published copy, and no other run may come before somebody asks it."""
    try:
        yield
    except BuildFailed:
        with stages.opened(settings) as warehouse:
            only = publish.OF_STATUS if engine(settings).published_digests() else ()
            publish.publish(settings, warehouse, only=only)
        raise


@dataclass
class _Watch:
    """Says what begins, and remembers how long it took."""

    tell: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.tell(stage)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - started
