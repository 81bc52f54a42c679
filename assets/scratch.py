"""Compiled models, created in memory beside an open warehouse: nothing of them is left when it is closed or killed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import Token, TokenType, tokenize

from assets.compiled import CATALOG, Model
from assets.dbt_project import LIVE
from assets.sql_mistakes import mistake
from models.errors import UserError
from warehouse.base import Warehouse

Relation = tuple[str, str]  # schema and name, as the live warehouse has them


@dataclass
class Scratch:
    """`moved`: relations of the project → where they are read instead; what is created here is in it by itself."""

    warehouse: Warehouse
    schema: str
    moved: dict[Relation, str] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)

    @classmethod
    def beside(cls, warehouse: Warehouse) -> Scratch:
        """In a database in memory of its own, attached to an open warehouse."""
        warehouse.execute("attach ':memory:' as scratch")
        return cls(warehouse, "scratch.main")

    def create(self, models: Iterable[Model]) -> None:
        """Create these models, each after those above it. Raises ConfigError for SQL the engine refuses."""
        for model in models:
            create = self.warehouse.create_view if model.is_view else self.warehouse.create_table
            relation = self.relation(model.name)
            try:
                create(relation, "\n" + relocated(model.sql, self.moved))
            except UserError as error:
                raise mistake(str(error), model.file, model.shown, self._columns(model)) from error
            self.moved[LIVE, model.name] = relation
            self.created.add(model.name)

    def _columns(self, model: Model) -> list[str]:
        """The columns of all that a model reads."""
        read = {relation[1:] for _, _, relation in _relations(model.sql) if relation[0] == CATALOG}
        found = [self.warehouse.columns(self.moved.get(each) or ".".join(each)) for each in sorted(read)]
        return list(dict.fromkeys(name for columns in found for name in columns))

    def relation(self, name: str) -> str:
        """Where the model of this name is, or would be."""
        return f"{self.schema}.{self.warehouse.dialect.quote(name)}"


def relocated(sql: str, moved: Mapping[Relation, str]) -> str:
    """The same text with these relations of the live warehouse read elsewhere; nothing else in it changes."""
    pieces: list[str] = []
    end = 0
    for first, last, relation in _relations(sql):
        if relation[0] == CATALOG and relation[1:] in moved:
            pieces += [sql[end : first.start], moved[relation[1], relation[2]]]
            end = last.end + 1
    return "".join([*pieces, sql[end:]])


def _relations(sql: str) -> Iterator[tuple[Token, Token, tuple[str, str, str]]]:
    """Every `"a"."b"."c"`, quoted as dbt does: its first and last token, and the names."""
    tokens = tokenize(sql, read="duckdb")
    quoted = [TokenType.IDENTIFIER, TokenType.DOT, TokenType.IDENTIFIER, TokenType.DOT, TokenType.IDENTIFIER]
    for position in range(len(tokens) - 4):
        found = tokens[position : position + 5]
        if [token.token_type for token in found] == quoted:
            yield found[0], found[4], (found[0].text, found[2].text, found[4].text)
