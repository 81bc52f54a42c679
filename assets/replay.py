"""The past, built in a schema of its own: what a refresh at an earlier clock would have made of the same files.

Today's tables are read and never written. What is done with the result (segment_days) is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from assets import configuration, identity, lineage, stages
from assets.dbt_project import LIVE, PAST, manifest
from assets.resolution import KNOWN_SCHEMA
from assets.warehouse import BuildResult, run_dbt
from models.clock import Clock
from models.errors import UserError
from models.settings import Settings
from models.source import TableSource


@dataclass
class Replay:
    """Builds one moment after another, in order; the caller holds the writer's lock and has no connection open.

    `derived` holds ids that only now exist, from moment to moment, so that days agree with each other as nights do.
    """

    settings: Settings
    derived: pl.DataFrame = field(default_factory=KNOWN_SCHEMA.to_frame)

    def __post_init__(self) -> None:
        """Raise UserError where a source cannot say what was known when."""
        for name, source in configuration.sources(self.settings).items():
            if isinstance(source, TableSource) and source.known_at is None:
                message = f"source {name} is read in place and declares no known_at: its past cannot be built again"
                raise UserError(message)

    def build(self, clock: Clock) -> BuildResult:
        """Events, people and segments as of `clock`, in the schema PAST; segments that are broken are in the result."""
        self._stage(clock)
        with stages.opened(self.settings) as warehouse:
            salt = configuration.policy(self.settings).salt
            self.derived = identity.replay(warehouse, clock, salt=salt, schema=PAST, derived=self.derived)
        parsed = manifest(self.settings, PAST)
        models = [name for folder in ("identity", "profiles", "segments") for name in lineage.models(parsed, folder)]
        models.remove(stages.IDENTIFIERS)
        variables = {"profile_map": f"{PAST}.profile_map"}
        return run_dbt(self.settings, clock, models, "run", variables=variables, schema=PAST)

    def drop(self) -> None:
        """Forget the schema."""
        with stages.opened(self.settings) as warehouse:
            warehouse.execute(f"drop schema if exists {PAST} cascade")

    def _stage(self, clock: Clock) -> None:
        attach, stale = stages.reachable(self.settings, PAST)
        for name, reason in stale.items():
            message = f"source {name} is read in place and cannot be read now: {reason}"
            raise UserError(message)
        in_place = [f"stg_{each['source']}" for each in attach]
        select = [*in_place, stages.BLOCKED, stages.EVENTS, stages.IDENTIFIERS]
        variables = {"event_log": f"{LIVE}.{stages.LOG}", "attach": attach}
        run_dbt(self.settings, clock, select, "build", variables=variables, schema=PAST).require()
