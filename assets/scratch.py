"""Compiled models, created beside an open warehouse: nothing of them is left when it is closed or killed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import Token, TokenType, tokenize

from assets.compiled import Model
from assets.dbt_project import LIVE
from assets.sql_mistakes import mistake
from models.errors import UserError
from warehouse.base import Warehouse
from warehouse.engine import Engine

Relation = tuple[str, str]  # schema and name, as our SQL writes them


@dataclass
class Scratch:
    """`moved`: relations of the project → where they are read instead; what is created here is in it by itself.

    `schema`: where relations are created. `published`: where the published copy is, beside which this may be.
    """

    home: Engine
    warehouse: Warehouse
    schema: str
    published: str = LIVE
    moved: dict[Relation, str] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)

    def create(self, models: Iterable[Model]) -> None:
        """Create these models, each after those above it. Raises ConfigError for SQL the engine refuses."""
        for model in models:
            create = self.warehouse.create_view if model.is_view else self.warehouse.create_table
            relation = self.relation(model.name)
            try:
                create(relation, f"(\n{self._relocated(model.sql)}\n)")  # one query, as it is for dbt
            except UserError as error:
                raise mistake(str(error), model.file, model.shown, self._columns(model)) from error
            self.moved[LIVE, model.name] = relation
            self.created.add(model.name)

    def relation(self, name: str) -> str:
        """Where the model of this name is, or would be."""
        return f"{self.schema}.{self.warehouse.dialect.quote(name)}"

    def before(self, name: str) -> str:
        """Where what is published by this name is read."""
        return f"{self.published}.{self.warehouse.dialect.quote(name)}"

    def _columns(self, model: Model) -> list[str]:
        """The columns of all that a model reads."""
        tokens = _tokens(model.sql, self.warehouse.dialect.name)
        read = {relation for _, _, names in _relations(tokens, self.home.catalog) if (relation := self._written(names))}
        found = [self.warehouse.columns(self.moved.get(each) or ".".join(each)) for each in sorted(read)]
        return list(dict.fromkeys(name for columns in found for name in columns))

    def _relocated(self, sql: str) -> str:
        """The same text with relations of the live warehouse read where they were moved; nothing else changes."""
        tokens, puts = _tokens(sql, self.warehouse.dialect.name), list[tuple[int, int, str]]()
        for first, last, names in _relations(tokens, self.home.catalog):
            relation = self._written(names)
            if relation in self.moved:
                puts.append((first.start, last.end + 1, self.moved[relation]))
        # a name of the model's own is no schema of ours, though it may be called so
        puts += [(token.start, token.end + 1, f'"{token.text}"') for token in _owners(tokens, self.home.schemas)]
        return _put(sql, sorted(puts))

    def _written(self, names: tuple[str, str, str]) -> Relation | None:
        """What dbt names in full, as our SQL writes it; None where it is of another catalog."""
        catalog, schema, name = names
        ours = {real: logical for logical, real in self.home.schemas.items()}
        return (ours.get(schema, schema), name) if catalog == self.home.catalog else None


def _tokens(sql: str, dialect: str) -> list[Token]:
    return tokenize(sql, read=dialect)


def _put(sql: str, puts: Iterable[tuple[int, int, str]]) -> str:
    """The text with what is between these places replaced, in order."""
    pieces, done = list[str](), 0
    for start, end, text in puts:
        pieces += [sql[done:start], text]
        done = end
    return "".join([*pieces, sql[done:]])


def _relations(tokens: list[Token], catalog: str) -> Iterator[tuple[Token, Token, tuple[str, str, str]]]:
    """Every `"a"."b"."c"`, quoted as dbt does, or `"b"."c"` without a catalog: first and last token, and the names."""
    names = 3 if catalog else 2
    quoted = [TokenType.IDENTIFIER, *[TokenType.DOT, TokenType.IDENTIFIER] * (names - 1)]
    for position in range(len(tokens) - len(quoted) + 1):
        found = tokens[position : position + len(quoted)]
        if [token.token_type for token in found] == quoted:
            *before, schema, name = [token.text for token in found[::2]]
            yield found[0], found[-1], ("".join(before), schema, name)


def _owners(tokens: list[Token], names: Collection[str]) -> Iterator[Token]:
    """Every unquoted one of these names before a point."""
    for token, follower in pairwise(tokens):
        unquoted = token.token_type is not TokenType.IDENTIFIER and token.text in names
        if unquoted and follower.token_type is TokenType.DOT:
            yield token
