"""How many rows a relation has, and a digest of them: what a run reports about a model it has built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Measure:
    """`fingerprint` is the same for the same rows in any order, as long as the engine's version is."""

    rows: int
    fingerprint: str


def measure(warehouse: Warehouse, relation: str) -> Measure:
    """Read all of `relation`, which exists."""
    dialect = warehouse.dialect
    columns = [dialect.hashable(dialect.quote(name), kind) for name, kind in warehouse.columns(relation).items()]
    sql = render(SQL, "measure_relation", dialect, relation=relation, columns=columns)
    found = warehouse.rows(sql)[0]
    return Measure(int(found["row_count"]), f"{found['row_count']}:{found['digest'] or 0}")


def count_late(warehouse: Warehouse, events: str) -> dict[str, tuple[int, int]]:
    """Source → its events, and how many of them came more than a day after they happened. `events`: a relation."""
    found = warehouse.rows(render(SQL, "count_late", warehouse.dialect, relation=events))
    return {str(row["source"]): (int(row["events"]), int(row["late"])) for row in found}
