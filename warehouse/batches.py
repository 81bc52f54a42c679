"""Append-only tables and the one commit point.

A log `schema.name` is a table `schema.name__log` with a `batch_id`, and a view `schema.name` that shows the rows of
visible batches only. A batch is visible once its row in `tailrace.batch` exists and no later batch replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from models.steps import step
from warehouse.base import Warehouse

SCHEMA = "tailrace"
LOG_SUFFIX = "__log"


def prepare(warehouse: Warehouse) -> None:
    """Create the batch table and the view of visible batches where they are missing."""
    warehouse.execute(f"create schema if not exists {SCHEMA}")
    warehouse.execute(
        f"create table if not exists {SCHEMA}.batch ("
        "batch_id varchar, tables varchar, row_count bigint, replaces varchar[], committed_at timestamptz)"
    )
    warehouse.execute(
        f"create or replace view {SCHEMA}.visible_batch as select batch_id from {SCHEMA}.batch "
        f"where batch_id not in (select unnest(replaces) from {SCHEMA}.batch)"
    )


def create_log(warehouse: Warehouse, name: str, columns: Mapping[str, str]) -> None:
    """Create the log `name` (`schema.table`) with these columns, or add those that are new; no column changes type."""
    quote = warehouse.dialect.quote
    log = name + LOG_SUFFIX
    have = warehouse.columns(log)
    wanted = {"batch_id": "varchar", **columns}
    if not have:
        warehouse.execute(f"create schema if not exists {name.split('.', maxsplit=1)[0]}")
        body = ", ".join(f"{quote(column)} {kind}" for column, kind in wanted.items())
        warehouse.execute(f"create table {log} ({body})")
    for column, kind in wanted.items() if have else ():
        if column not in have:
            warehouse.execute(f"alter table {log} add column {quote(column)} {kind}")
    if not have or set(wanted) - set(have) or not warehouse.columns(name):
        warehouse.execute(
            f"create or replace view {name} as select * from {log} "
            f"where batch_id in (select batch_id from {SCHEMA}.visible_batch)"
        )


def is_committed(warehouse: Warehouse, batch_id: str) -> bool:
    """Whether this batch was ever made visible, replaced since or not."""
    return bool(warehouse.rows(f"select 1 as found from {SCHEMA}.batch where batch_id = ?", [batch_id]))


@dataclass
class Batch:
    """Rows appended under one derived id, then made visible at once by `commit`.

    A repeated append of an id that never became visible replaces what an interrupted run left; a visible id is
    never rewritten (`commit` says so by returning False, and appends are skipped).
    """

    warehouse: Warehouse
    batch_id: str
    replaces: Sequence[str] = ()
    counts: dict[str, int] = field(default_factory=dict)
    known: bool = False

    def __post_init__(self) -> None:
        self.known = is_committed(self.warehouse, self.batch_id)

    def append(self, name: str, rows: str | pa.Table | pa.RecordBatchReader) -> int:
        """Append a query's result (text) or Arrow rows, without `batch_id`, to the log `name`; the number of rows."""
        if self.known:
            return 0
        log = name + LOG_SUFFIX
        identifier = self.warehouse.dialect.literal(self.batch_id)
        if name not in self.counts:
            self.warehouse.execute(f"delete from {log} where batch_id = {identifier}")
            self.counts[name] = 0
        before = self.counts[name]
        if isinstance(rows, str):
            self.warehouse.execute(
                f"insert into {log} by name select {identifier} as batch_id, appended.* from ({rows}) as appended"
            )
            counted = self.warehouse.rows(f"select count(*) as n from {log} where batch_id = {identifier}")
            self.counts[name] = int(counted[0]["n"])
        else:
            self.counts[name] += self.warehouse.load(log, _with_batch_id(rows, self.batch_id))
        step("appended", batch=self.batch_id, table=name)
        return self.counts[name] - before

    def commit(self, at: datetime) -> bool:
        """Make the batch visible; False when it already was."""
        if self.known:
            return False
        literal = self.warehouse.dialect.literal
        tables = ",".join(sorted(self.counts))
        values = ", ".join(
            (
                literal(self.batch_id),
                literal(tables),
                str(sum(self.counts.values())),
                self.warehouse.dialect.text_list(self.replaces),
                literal(at),
            )
        )
        self.warehouse.execute(f"insert into {SCHEMA}.batch values ({values})")
        self.known = True
        step("committed", batch=self.batch_id)
        return True


def _with_batch_id(rows: pa.Table | pa.RecordBatchReader, batch_id: str) -> pa.RecordBatchReader:
    reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
    schema = reader.schema.append(pa.field("batch_id", pa.string()))
    batches = (
        pa.RecordBatch.from_arrays(
            [*batch.columns, pa.repeat(pa.scalar(batch_id), len(batch)).cast(pa.string())], schema=schema
        )
        for batch in reader
    )
    return pa.RecordBatchReader.from_batches(schema, batches)
