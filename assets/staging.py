"""Staging, the first stage that dbt builds: the event log and `stg_events`, and sources that are read where they are.

What of a refresh comes after it is in stages.py.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assets import builds, configuration, in_place, raw, stages, store
from assets.builds import Build
from assets.dbt_project import LIVE, project
from assets.warehouse import BuildResult, run_dbt
from models.clock import Clock
from models.errors import ConfigError
from models.settings import Settings
from models.source import TableSource
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
IN_PLACE = "in place"  # inputs that never count as unchanged


@dataclass(frozen=True)
class Staged:
    """What staging did. `stale`: sources in place that could not be read, and why."""

    built: bool
    full_refresh: bool = False
    stale: dict[str, str] = field(default_factory=dict)
    result: BuildResult = field(default=BuildResult(()), compare=False)


def last_staged(warehouse: Warehouse) -> Build | None:
    """The last build of the event log; None where there is none of it here, as after a move from another engine."""
    return builds.latest(warehouse, stages.STAGING) if warehouse.columns(f"{LIVE}.{stages.LOG}") else None


def stage(settings: Settings, clock: Clock) -> Staged:
    """Bring the event log and `stg_events` up to the clock. Raises BuildFailed."""
    definition = stages.definition_of(settings, [stages.LOG, stages.IDENTIFIERS])
    sources = configuration.sources(settings)
    with stages.opened(settings) as warehouse:
        attach, stale = _reachable(settings, warehouse)
        last = last_staged(warehouse)
        arrived = _arrived(warehouse, settings, clock)
        full_refresh = last is None or last.definition != definition
        if last and not full_refresh and arrived == last.inputs != IN_PLACE and not _due(warehouse, clock, last):
            return Staged(built=False)
        # a full one that does not end begins anew, whatever the models say by then
        builds.remember(warehouse, clock, stages.STAGING, "" if full_refresh else definition, stages.BUILDING)
    select = [f"stg_{name}" for name in sources] + [stages.LOG, stages.EVENTS, stages.IDENTIFIERS]
    # the events of a source in place are away while its table is replaced, and a plan asks how fresh they are
    with store.making_models(settings) if arrived == IN_PLACE else nullcontext():
        result = run_dbt(
            settings,
            clock,
            [*select, stages.BLOCKED] if full_refresh else select,
            full_refresh=full_refresh,
            exclude=[f"stg_{name}" for name in stale],
            variables={"attach": attach},
        )
    with stages.opened(settings) as warehouse:
        for database in attach:  # whoever keeps the file open would keep their writers out
            warehouse.detach(database["alias"])
        builds.remember_models(warehouse, clock, result.built, result.reasons)
        result.require()
        builds.remember(warehouse, clock, stages.STAGING, definition, arrived)
        stages.remember_definitions(settings, warehouse, clock, select)
    return Staged(built=True, full_refresh=full_refresh, stale=stale, result=result)


def _reachable(settings: Settings, warehouse: Warehouse) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What dbt attaches for this run, and the sources in place that cannot be, with the reason."""
    attach: list[dict[str, Any]] = []
    stale: dict[str, str] = {}
    for name, source in configuration.sources(settings).items():
        if not isinstance(source, TableSource):
            continue
        node = project(settings).nodes[f"model.tailrace.stg_{name}"]
        if node.materialized != "table":
            message = f"source {name} is read in place: begin with {{{{ config(materialized='table') }}}}"
            raise ConfigError(message, file=settings.dbt_project / node.file, line=1)
        reason = in_place.attach(warehouse, settings.project, name, source)
        if reason is not None:
            stale[name] = reason
        elif source.database is not None:
            warehouse.detach(in_place.alias(name, source))  # whoever keeps the file open would keep their writers out
            path = str(settings.project / source.database)
            attach.append({"source": name, "path": path, "alias": in_place.alias(name, source)})
    return attach, stale


def _arrived(warehouse: Warehouse, settings: Settings, clock: Clock) -> str:
    """How many batches had arrived; IN_PLACE where a source is read in place, whose changes nothing counts."""
    if configuration.reads_in_place(settings):
        return IN_PLACE
    relations = [raw.relation(name) for name in configuration.sources(settings)]
    found = warehouse.rows(render(SQL, "count_arrived", warehouse.dialect, relations=relations, clock=clock))
    return str(found[0]["batches"])


def _due(warehouse: Warehouse, clock: Clock, last: Build) -> int:
    """How many events of the log became visible since the last build only because time went on."""
    sql = render(SQL, "count_due", warehouse.dialect, clock=clock, before=last, schema=LIVE)
    return int(warehouse.rows(sql)[0]["due"])
