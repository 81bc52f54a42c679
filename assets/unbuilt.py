"""Builds a segment that the last refresh did not know yet, so that a sync of it can be planned at once."""

from __future__ import annotations

from collections.abc import Collection

from assets import builds, lineage, stages, store
from assets.compiled import above
from assets.dbt_project import project, variables
from models.clock import Clock
from models.settings import Settings

FOLDERS = ("segments", "syncs")


def build_unbuilt(settings: Settings, models: Collection[str]) -> tuple[str, ...]:
    """Build those of these segments and payload models, and of those above them, that are not what they were.

    They are built as of the last refresh, from the people it knew. Nothing is built when anything else above them
    changed, or before the first refresh: that is a refresh's to do. Raises BuildFailed.
    """
    with store.locked(settings, how="beside"):  # what there is nothing to do for need not wait for a refresh
        if _unbuilt(settings, models) is None:
            return ()
    with store.locked(settings, how="building"):
        found = _unbuilt(settings, models)
        if found is None:
            return ()
        clock, names = found
        result = stages.build_segments(settings, clock, names).require()
        segments = [name for name in stages.segment_names(settings) if name in result.built]
        stages.record_segments(settings, clock, segments)
    return tuple(names)


def _unbuilt(settings: Settings, models: Collection[str]) -> tuple[Clock, list[str]] | None:
    """What there is to build, those above first, and as of when."""
    parsed, given = project(settings), variables(settings)
    own = [name for folder in FOLDERS for name in lineage.models(parsed, folder)]
    known = set(own)
    with stages.opened(settings) as warehouse:
        built = builds.built_by(warehouse, builds.DEFINITIONS)
        last = max((builds.latest(warehouse, part) for part in (builds.CLOCK, stages.PROFILES)), key=_moment)
    wanted = {parsed.nodes[node_id].name for node_id in above(parsed, [name for name in models if name in known])}
    changed = {name for name in wanted if built.get(name) != lineage.definition(parsed, [name], given)}
    if last is None or not changed or changed - known:
        return None
    return Clock(last.as_of, last.known_by), [name for name in own if name in changed]


def _moment(build: builds.Build | None) -> tuple[bool, str]:
    return build is not None, build.as_of.isoformat() if build else ""
