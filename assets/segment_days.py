"""The log `tailrace.segment_days`: who was in each segment at each day's end, one batch a day.

Working a day out belongs in past.py. A day worked out anew replaces its batch; nothing is rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from assets.resolution import KNOWN_SCHEMA
from models.clock import Clock
from warehouse.base import Warehouse
from warehouse.batches import Batch, create_log
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
DAYS, EVALUATIONS, DERIVED = "tailrace.segment_days", "tailrace.segment_day_evaluation", "tailrace.derived_profile_id"

KnownBy = Literal["now", "day-end"]


@dataclass(frozen=True)
class Evaluation:
    """How a day was worked out: by what was known when, and by which definition of the segments."""

    day: date
    number: int  # 1 for the first time
    known: str
    definition: str

    @property
    def batch_id(self) -> str:
        return f"days/{self.day}/{self.number}"

    def is_like(self, other: Evaluation) -> bool:
        """Whether it is the same day, worked out in the same way."""
        return replace(self, number=0) == replace(other, number=0)


def prepare(warehouse: Warehouse) -> None:
    """Create the logs where they are missing."""
    create_log(warehouse, DAYS, {"day": "date", "segment": "varchar", "profile_id": "varchar"})
    texts = dict.fromkeys(("known", "definition"), "varchar")
    moments = dict.fromkeys(("as_of", "known_by"), "timestamptz")
    create_log(warehouse, EVALUATIONS, {"day": "date", "number": "bigint", **texts, **moments})
    ids = dict.fromkeys(("identifier_type", "identifier", "profile_id"), "varchar")
    create_log(warehouse, DERIVED, {"day": "date", **ids, "minted_at": "timestamptz"})


def evaluations(warehouse: Warehouse) -> dict[date, Evaluation]:
    """The evaluation of each day that counts now."""
    found = warehouse.rows(f"select day, number, known, definition from {EVALUATIONS} order by day")
    return {row["day"]: Evaluation(**row) for row in found}


def append(
    warehouse: Warehouse,
    evaluation: Evaluation,
    clock: Clock,
    members: Mapping[str, str],
    derived: pl.DataFrame,
) -> int:
    """Append the day's members in place of those it had; how many. `members`: segment → the relation with its people.

    `derived` are the ids that exist only since this day was worked out: later days look them up.
    """
    dialect = warehouse.dialect
    before = evaluations(warehouse).get(evaluation.day)
    evaluation = replace(evaluation, number=before.number + 1 if before else 1)
    batch = Batch(warehouse, evaluation.batch_id, replaces=[before.batch_id] if before else ())
    appended = 0
    if members:
        query = render(SQL, "select_members", dialect, day=evaluation.day, members=members)
        appended = batch.append(DAYS, query)
    if len(derived):
        batch.append(DERIVED, derived.with_columns(day=pl.lit(evaluation.day)).to_arrow())
    batch.append(EVALUATIONS, {**vars(evaluation), **vars(clock)})
    batch.commit(clock.known_by)
    return appended


def derived_before(warehouse: Warehouse, day: date) -> pl.DataFrame:
    """The ids that earlier days were given, each identifier's last (KNOWN_SCHEMA)."""
    query = render(SQL, "read_derived_ids", warehouse.dialect, derived=DERIVED, day=day)
    return pl.DataFrame(pl.from_arrow(warehouse.stream(query).read_all())).match_to_schema(KNOWN_SCHEMA)
