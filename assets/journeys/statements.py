"""Runs the statements of assets/sql/journeys on temporary tables and views, and takes these away at the end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.journeys.program import COMPLETED, NEVER, OUT
from models.clock import Clock
from models.journey import MAX_HOPS
from models.policy import Policy
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)


class Statements:
    """Temporary relations of one tick over one connection."""

    def __init__(self, warehouse: Warehouse, policy: Policy, clock: Clock) -> None:
        self.warehouse, self.policy, self.clock = warehouse, policy, clock
        self.made: dict[str, str] = {}

    def sql(self, statement: str, **values: Any) -> str:
        """The text of a statement of assets/sql/journeys, with what most of them need in scope."""
        dialect = self.warehouse.dialect
        return render(
            SQL,
            f"journeys/{statement}",
            dialect,
            clock=self.clock,
            policy=self.policy,
            never=NEVER,
            forever=FOREVER,
            out=OUT,
            completed=COMPLETED,
            max_hops=MAX_HOPS,
            default_zone=self.policy.recipient_zone,
            json_text=dialect.json_text,
            **values,
        )

    def make(self, table: str, statement: str, **values: Any) -> None:
        """A temporary table of the statement's rows, in the place of an older one."""
        self.create(table, self.sql(statement, **values))

    def create(self, table: str, query: str) -> None:
        self.made[table] = "table"
        self.warehouse.create_temporary(table, query)

    def show(self, view: str, query: str) -> None:
        """A temporary view: rows that are read where they are."""
        self.made[view] = "view"
        self.warehouse.create_view(view, query, temporary=True)

    def keep(self, table: str, data: pa.Table) -> None:
        """A temporary table of Arrow rows."""
        with self.warehouse.lend("lent_rows", data):
            self.create(table, "select * from lent_rows")

    def insert(self, table: str, query: str) -> None:
        self.warehouse.insert(table, query)

    def replace(self, table: str, by: str) -> None:
        """Give one table the place of another."""
        self.warehouse.replace_temporary(table, by)
        self.made.pop(by)

    def drop_all(self) -> None:
        for name, kind in reversed(self.made.items()):
            self.warehouse.drop_temporary(name, is_view=kind == "view")
        self.made.clear()

    def has(self, table: str, condition: str = "true") -> bool:
        return bool(self.warehouse.rows(f"select 1 as found from {table} where {condition} limit 1"))

    def counts(self, *tables: str) -> dict[str, int]:
        """How many rows each of these tables has."""
        counted = ", ".join(f"(select count(*) from {table}) as {table}" for table in tables)
        return {name: int(n) for name, n in self.warehouse.rows(f"select {counted}")[0].items()}

    def texts(self, values: Iterable[str]) -> str:
        return ", ".join(self.warehouse.dialect.literal(value) for value in values) or "''"
