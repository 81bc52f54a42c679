"""One night of the past: events, people and segments as a refresh at that clock would have made them, aside.

The event log is today's: of each event it keeps the one known first, so what had arrived by a moment is a filter on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from assets import configuration, identity, in_place, lineage, stages
from assets.compiled import Model, above, compile_models
from assets.dbt_project import project
from assets.scratch import Scratch
from models.clock import Clock
from models.errors import UserError
from models.settings import Settings
from models.source import TableSource
from warehouse.base import Warehouse
from warehouse.engine import engine


@dataclass(frozen=True)
class Models:
    """What a night builds: `staged` before people are known, `rest` after."""

    staged: tuple[Model, ...]
    rest: tuple[Model, ...]
    segments: tuple[str, ...]


def compiled(settings: Settings, clock: Clock) -> Models:
    """The models above and in segments/, at this clock. Needs no lock."""
    parsed = project(settings)
    segments = stages.segment_names(settings)
    wanted = above(parsed, segments) - above(parsed, [stages.LOG])
    wanted |= {lineage.unique_id(parsed, f"stg_{name}") for name in _in_place(settings)}
    first = above(parsed, [stages.IDENTIFIERS])
    models = compile_models(settings, clock, wanted)
    staged = tuple(model for model in models if model.unique_id in first)
    return Models(staged, tuple(model for model in models if model.unique_id not in first), segments)


def build(
    settings: Settings, warehouse: Warehouse, clock: Clock, models: Models, derived: pl.DataFrame
) -> tuple[Mapping[str, str], pl.DataFrame]:
    """Segment → the relation with its members; and `derived` (see identity.replay) brought up to this night.

    The relations live as long as `warehouse` is open. Raises UserError for a source that cannot say what it knew.
    """
    for name, source in _in_place(settings).items():
        if source.known_at is None:
            message = f"source {name} is read in place and declares no known_at: its past cannot be worked out"
            raise UserError(message)
        stale = in_place.attach(warehouse, settings.project, name, source)
        if stale is not None:
            message = f"source {name} cannot be read now: {stale}"
            raise UserError(message)
    scratch = Scratch(engine(settings), warehouse, warehouse.scratch())
    scratch.create(models.staged)
    salt = configuration.policy(settings).salt
    derived = identity.replay(warehouse, clock, salt=salt, schema=scratch.schema, derived=derived)
    scratch.moved["tailrace", "profile_map"] = scratch.relation("profile_map")
    scratch.create(models.rest)
    return {name: scratch.relation(name) for name in models.segments}, derived


def _in_place(settings: Settings) -> dict[str, TableSource]:
    sources = configuration.sources(settings)
    return {name: source for name, source in sources.items() if isinstance(source, TableSource)}
