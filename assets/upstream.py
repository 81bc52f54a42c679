"""What stands above a sync and is not well: models that are broken, sources that were silent for too long.

Read from what a refresh wrote down; nothing is built or looked for here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from assets import builds, configuration, freshness
from models.clock import Clock
from models.settings import Settings
from models.source import Source
from models.sync import Sync
from warehouse.base import Warehouse

STAGING = "stg_"  # a source is named by its staging model


@dataclass(frozen=True)
class Upstream:
    """`stale`: source → when it last brought something. `silent`: those with a max_age that never brought anything."""

    broken: Mapping[str, str] = field(default_factory=dict)  # model → why
    stale: Mapping[str, datetime] = field(default_factory=dict)
    silent: tuple[str, ...] = ()

    @property
    def trouble(self) -> str:
        """The broken models, each with the first line of why; empty when none is."""
        return "; ".join(f"{model} is broken: {_first_line(reason)}" for model, reason in self.broken.items())


def upstream(warehouse: Warehouse, settings: Settings, sync: Sync, clock: Clock, at: datetime) -> Upstream:
    """How everything that the sync's rows are built from stands at the clock. `at` is the real time."""
    broken = builds.broken(warehouse) if warehouse.columns(builds.BROKEN) else {}
    moment, aged = _moment(warehouse, settings, clock, at), _aged(settings, sync)
    last = {name: freshness.last_load(warehouse, name, source) for name, source in aged.items()}
    return Upstream(
        broken={model: reason for model, reason in broken.items() if model in sync.above},
        stale={name: when for name, when in last.items() if when and freshness.is_stale(aged[name], when, moment)},
        silent=tuple(name for name, when in last.items() if when is None),
    )


def _aged(settings: Settings, sync: Sync) -> dict[str, Source]:
    """The declared sources above the sync that have a max_age."""
    staged = {model.removeprefix(STAGING) for model in sync.above if model.startswith(STAGING)}
    declared = configuration.sources(settings) if staged else {}
    return {name: source for name, source in declared.items() if name in staged and source.max_age}


def _moment(warehouse: Warehouse, settings: Settings, clock: Clock, at: datetime) -> datetime:
    """The run's clock; but in dev, where clocks are made up, a run as of now looks from the last refresh's.

    `tailrace status` does the same.
    """
    if settings.target == "dev" and clock.is_now(at) and warehouse.columns(builds.BUILDS):
        last = builds.latest(warehouse, builds.CLOCK)
        return last.as_of if last else clock.as_of
    return clock.as_of


def _first_line(reason: str) -> str:
    return reason.partition("\n")[0]
