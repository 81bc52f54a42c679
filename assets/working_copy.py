"""The working copy beside the published copy: which models mean something else than what is published, and their rows.

Everything is created beside it and gone afterwards. What reads raw files cannot be: they are not in the published copy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from assets import builds, lineage, stages, store
from assets.compiled import above, compile_models, in_order
from assets.dbt_project import LIVE, project, variables
from assets.parsed import Node
from assets.scratch import Scratch
from models.clock import Clock
from models.errors import ConfigError, UserError
from models.settings import Settings
from warehouse.engine import engine
from warehouse.lint import unrepeatable

EVENTS = "events"


@dataclass(frozen=True)
class Published:
    """What the published copy says of itself. `definitions`: model → the checksum it was built by."""

    clock: Clock
    tables: frozenset[str]
    definitions: Mapping[str, str]


def published(settings: Settings) -> Published:
    """Raises UserError when nothing is published, or nothing a preview could be compared with."""
    with store.reading(settings) as copy:
        tables = frozenset(copy.relations(LIVE))
        missing = {"segment_evaluation", "model_definition", EVENTS, "profiles"} - tables
        if missing:
            message = f"the published copy lacks {', '.join(sorted(missing))}; run `tailrace refresh`, then this again"
            raise UserError(message)
        last = copy.rows("select max(as_of) as as_of, max(known_by) as known_by from segment_evaluation")[0]
        definitions = builds.built_by(copy, "model_definition")
    if last["as_of"] is None:
        message = "no segment was ever built; run `tailrace refresh`, then this again"
        raise UserError(message)
    return Published(Clock(last["as_of"], last["known_by"]), tables, definitions)


class WorkingCopy:
    """The models of the working copy at a clock, each read from the published copy where that holds the same."""

    def __init__(self, settings: Settings, clock: Clock, have: Published) -> None:
        self.settings, self.clock, self.have = settings, clock, have
        self.parsed = project(settings)
        self.variables = variables(settings)

    def changed(self, names: Collection[str]) -> list[str]:
        """The models of these and above them that are not published as they would be now, those above first.

        Raises ConfigError where that needs raw files.
        """
        wanted, waiting = set[str](), {lineage.unique_id(self.parsed, name) for name in names}
        everything = above(self.parsed, names)
        while waiting:
            node_id = waiting.pop()
            if node_id in wanted or self._is_read(node_id):
                continue
            wanted.add(node_id)
            waiting |= set(self.parsed.parents[node_id]) & everything
        return [self.parsed.nodes[node_id].name for node_id in in_order(self.parsed, wanted)]

    @contextmanager
    def opened(self) -> Iterator[Scratch]:
        """Beside the published copy, with every name of the project pointing at what that holds."""
        home = engine(self.settings)
        with home.preview() as aside:
            scratch = Scratch(home, aside.warehouse, aside.schema, aside.published)
            for name in self.have.tables:
                scratch.moved[LIVE, name] = scratch.moved["tailrace", name] = scratch.before(name)
            scratch.moved[LIVE, stages.EVENTS] = self._events(scratch)
            for node in self.parsed.nodes.values():
                if node.resource_type == "seed":
                    self._plant(scratch, node)
            yield scratch

    def file(self, name: str) -> str:
        """The file of a model, as people call it."""
        node = self.parsed.nodes[lineage.unique_id(self.parsed, name)]
        file = self.settings.dbt_project / node.file
        return str(file.relative_to(self.settings.project))

    def create(self, scratch: Scratch, names: Collection[str]) -> None:
        """Create these models and nothing else; each after those above it. Raises ConfigError for what is no model."""
        wanted = [lineage.unique_id(self.parsed, name) for name in names]
        models = compile_models(self.settings, self.clock, wanted)
        scratch.create(models)
        for found in (each for model in models for each in unrepeatable(model.file.read_text(), model.shown)):
            raise ConfigError(found.message, file=found.file, line=found.line, column=found.column)

    def _is_read(self, node_id: str) -> bool:
        """Whether the published copy holds what this model would be. Raises ConfigError where it cannot be made."""
        node = self.parsed.nodes[node_id]
        same = self.have.definitions.get(node.name) == self._definition(node.name)
        if node.name == stages.EVENTS or node_id in above(self.parsed, [stages.EVENTS]):
            if not same:
                raise self._refusal()
            return True
        return same and self.clock == self.have.clock and node.name in self.have.tables

    def _refusal(self) -> ConfigError:
        """Of what makes the events, the first that changed."""
        kept = self.have.definitions
        names = [self.parsed.nodes[one].name for one in in_order(self.parsed, above(self.parsed, [stages.EVENTS]))]
        first = next(name for name in names if kept.get(name) != self._definition(name))
        message = "changed since the last refresh and reads raw files; run `tailrace refresh` to see what it makes"
        return ConfigError(message, file=self.file(first))

    def _definition(self, name: str) -> str:
        return lineage.definition(self.parsed, [name], self.variables)

    def _events(self, scratch: Scratch) -> str:
        """The published events, at this clock."""
        literal, relation = scratch.warehouse.dialect.literal, f"{scratch.schema}.{stages.EVENTS}"
        scratch.warehouse.create_view(
            relation,
            f"select * from {scratch.before(EVENTS)} "
            f"where occurred_at <= {literal(self.clock.as_of)} and known_at <= {literal(self.clock.known_by)}",
        )
        return relation

    def _plant(self, scratch: Scratch, node: Node) -> None:
        """A seed, as its file says now."""
        rows = pl.read_csv(self.settings.dbt_project / node.file, infer_schema=False)
        relation = scratch.relation(node.name)
        scratch.warehouse.create_table(
            relation, {name: node.column_types.get(name, "varchar") for name in rows.columns}
        )
        scratch.warehouse.load(relation, rows.to_arrow())
        scratch.moved[LIVE, node.name] = relation
