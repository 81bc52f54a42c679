"""The published copy as generations, on engines where many read: a schema of views of tables never written again.

A reader takes the newest when it begins and keeps it. How an engine knows that somebody reads one, and what it then
leaves for the next time, is its own.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from hashlib import sha256

from models.errors import UserError
from models.steps import step
from warehouse.base import Warehouse

PUBLICATION = "tailrace.publication"


class Generations(ABC):
    """Of one target. `schemas`: what our SQL calls a schema → what it is called there."""

    schemas: Mapping[str, str]

    @abstractmethod
    def _reader(self) -> Warehouse:
        """The target's own schemas, to be read."""

    def _show(self, warehouse: Warehouse, generation: int, digests: Mapping[str, str]) -> None:
        """Make a generation, which is whole, the newest."""
        told = warehouse.dialect.literal(json.dumps(dict(digests)))
        warehouse.execute(f"insert into {PUBLICATION} (generation, digests) values ({generation}, {told})")

    @abstractmethod
    def _forget(self, warehouse: Warehouse, newest: int) -> None:
        """Drop older generations that nobody reads, and tables of the schema `published` that none shows any more."""

    def exists(self) -> bool:
        with self._reader() as warehouse:
            return bool(warehouse.relations("tailrace"))

    def is_published(self) -> bool:
        return bool(self._newest())

    def published_digests(self) -> dict[str, str]:
        newest = self._newest()
        return newest[1] if newest else {}

    def publish(self, warehouse: Warehouse, changed: Mapping[str, str], digests: Mapping[str, str]) -> None:
        quote, text = warehouse.dialect.quote, warehouse.dialect.text
        warehouse.execute("create schema if not exists published")
        warehouse.execute(
            f"create table if not exists {PUBLICATION} (generation bigint, digests {text})"
            f"{warehouse.dialect.partitioned('generation')}"
        )
        there = {*warehouse.relations("published")}  # whole: what was being made when a run was killed is not there
        for name, relation in changed.items():
            if (place := stored(name, digests[name])) not in there:
                warehouse.create_table(f"published.{quote(place)}", f"select * from {relation}")
        found = warehouse.rows(f"select coalesce(max(generation), 0) + 1 as following from {PUBLICATION}")
        generation = int(found[0]["following"])
        schema = self._schema(generation)
        make_views(warehouse, schema, digests)
        step("staged", file=schema)
        self._show(warehouse, generation, digests)

    def tidy(self, warehouse: Warehouse) -> None:
        found = warehouse.rows(f"select max(generation) as newest from {PUBLICATION}")
        self._forget(warehouse, int(found[0]["newest"]))

    def _drop_stored(self, warehouse: Warehouse, kept: Collection[int]) -> None:
        """Drop the tables that none of these generations shows."""
        numbers = ", ".join(map(str, sorted(kept)))
        rows = warehouse.rows(f"select digests from {PUBLICATION} where generation in ({numbers})")
        shown = {stored(*each) for row in rows for each in json.loads(row["digests"]).items()}
        for name in warehouse.relations("published"):
            if name not in shown:
                warehouse.execute(f"drop table if exists published.{warehouse.dialect.quote(name)}")

    def _newest(self) -> tuple[str, dict[str, str]] | None:
        """The schema of the newest generation, and what each name in it shows; None before the first."""
        with self._reader() as warehouse:
            if not warehouse.columns(PUBLICATION):
                return None
            rows = warehouse.rows(f"select * from {PUBLICATION} order by generation desc limit 1")
        return (self._schema(int(rows[0]["generation"])), json.loads(rows[0]["digests"])) if rows else None

    def _required(self) -> str:
        """The schema of the newest generation. Raises UserError where nothing is published."""
        newest = self._newest()
        if newest is None:
            raise UserError("nothing is published yet; run `tailrace refresh`")
        return newest[0]

    def _schema(self, generation: int) -> str:
        return f"{self._stem}{generation}"

    @property
    def _stem(self) -> str:
        """How the names of the schemas of generations begin."""
        return f"{self.schemas['published']}_"


def schemas(prefix: str) -> dict[str, str]:
    """The real names of a target's schemas."""
    return {
        "tailrace": prefix,
        "raw": f"{prefix}_raw",
        "main": f"{prefix}_models",
        "published": f"{prefix}_published",
    }


def make_views(warehouse: Warehouse, schema: str, digests: Mapping[str, str]) -> None:
    """A schema of what each name shows, in the place of one of a run that did not come to its end."""
    quote = warehouse.dialect.quote
    warehouse.execute(f"drop schema if exists {schema} cascade")
    warehouse.execute(f"create schema {schema}")
    for name, digest in digests.items():
        source = f"published.{quote(stored(name, digest))}"
        warehouse.create_view(f"{schema}.{quote(name)}", f"select * from {source}")


def stored(name: str, digest: str) -> str:
    """The table that holds what a published name showed when it had this digest; a name that every engine takes."""
    return f"{name[:40]}_{sha256(f'{name}/{digest}'.encode()).hexdigest()[:16]}"
