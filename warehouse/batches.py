"""Append-only tables and the one commit point.

A log `schema.name` is a table `schema.name__log` with a `batch_id`, and a view `schema.name` that shows the rows of
visible batches only. A batch is visible once its row in `tailrace.batch` exists and no later batch replaces it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from models.errors import UserError, WarehouseHeld
from models.steps import step
from warehouse import definitions, metadata
from warehouse.base import Warehouse

SCHEMA = "tailrace"
LOG_SUFFIX = "__log"
AT_ONCE = 1_000  # batches that one statement takes out
Row = Mapping[str, object]  # column → value
KEEP = timedelta(days=1)  # what was replaced may still be read by who began before


def prepare(warehouse: Warehouse, *, moving: bool = False) -> None:
    """Create the batch table and the view of visible batches where they are missing. Raises as metadata.stamp does."""
    dialect, text = warehouse.dialect, warehouse.dialect.text
    columns = (
        f"batch_id {text}{dialect.unique()}, tables {text}, row_count bigint, replaces {dialect.kind('varchar[]')}, "
        f"committed_at {dialect.kind('timestamptz')}"
    )
    with warehouse.alone():
        warehouse.execute(f"create schema if not exists {SCHEMA}")
        warehouse.prepare_functions()
        metadata.stamp(warehouse, moving=moving)
        definitions.prepare(warehouse)
        warehouse.execute(f"create table if not exists {SCHEMA}.batch ({columns})")
        # `not in` a query is a scan of it for every row where it does not fit PostgreSQL's memory; this is a join
        definitions.create_view(
            warehouse,
            f"{SCHEMA}.visible_batch",
            f"select batch_id from {SCHEMA}.batch as batch where not exists (select 1 from "
            f"(select {dialect.unnest('replaces')} as batch_id from {SCHEMA}.batch) as replaced "
            "where replaced.batch_id = batch.batch_id)",
        )


def create_log(
    warehouse: Warehouse,
    name: str,
    columns: Mapping[str, str],
    keys: Collection[str] | None = None,
    *,
    in_views: bool = True,
) -> None:
    """Create the log `name` (`schema.table`) with these columns, or add those that are new; no column changes type.

    `keys`: the texts that differ from row to row while all others are few words, of a log that must be written fast.
    `in_views`: whether other views read all its columns; they are created again where one is new.
    """
    with definitions.made(warehouse, name, json.dumps(dict(columns))) as is_made:
        if not is_made:
            _make_log(warehouse, name, {"batch_id": "varchar", **columns}, keys, in_views=in_views)


def _make_log(
    warehouse: Warehouse, name: str, columns: Mapping[str, str], keys: Collection[str] | None, *, in_views: bool
) -> None:
    quote, stored = warehouse.dialect.quote, warehouse.dialect.stored
    log = name + LOG_SUFFIX
    if len(log.partition(".")[2].encode()) > warehouse.dialect.longest:
        message = f"{log}: a name has at most {warehouse.dialect.longest} bytes in {warehouse.dialect.name}"
        raise UserError(message)
    kinds = {each: warehouse.dialect.kind(kind) for each, kind in columns.items()}
    wanted = kinds if keys is None else {each: stored(kind, is_key=each in keys) for each, kind in columns.items()}
    have = warehouse.columns(log)
    if not have:
        warehouse.execute(f"create schema if not exists {name.split('.', maxsplit=1)[0]}")
        body = ", ".join(f"{quote(column)} {kind}" for column, kind in wanted.items())
        warehouse.execute(f"create table {log} ({body}){warehouse.dialect.partitioned('batch_id')}")
    new = [column for column in wanted if have and column not in have]
    if new:  # before, so that whoever is killed between the two leaves nothing that looks as if it was made
        definitions.forget(warehouse, None if in_views else name)
    for column in new:
        warehouse.execute(f"alter table {log} add column {quote(column)} {wanted[column]}")
    warehouse.create_view(name, f"select * from {log} where batch_id in (select batch_id from {SCHEMA}.visible_batch)")


def logs(warehouse: Warehouse) -> list[str]:
    """Every log there is, as `schema.name`, found by what the schemas hold."""
    found = [f"{schema}.{name}" for schema in (SCHEMA, "raw") for name in warehouse.relations(schema)]
    return [name.removesuffix(LOG_SUFFIX) for name in found if name.endswith(LOG_SUFFIX)]


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

    def append(self, name: str, rows: Row | str | pa.Table | pa.RecordBatchReader) -> int:
        """Append a row, a query's result (text) or Arrow rows, without `batch_id`, to the log `name`; how many."""
        if self.known:
            return 0
        log, literal = name + LOG_SUFFIX, self.warehouse.dialect.literal
        identifier = literal(self.batch_id)
        if isinstance(rows, Mapping):
            rows = "select " + ", ".join(f"{literal(value)} as {column}" for column, value in rows.items())
        if name not in self.counts:
            self.warehouse.remove(log, "batch_id", [self.batch_id])
            self.counts[name] = 0
        if isinstance(rows, str):
            query = f"select {identifier} as batch_id, appended.* from ({rows}) as appended"
            appended = self.warehouse.insert(log, query)
        else:
            appended = self.warehouse.load(log, _with_batch_id(rows, self.batch_id))
        self.counts[name] += appended
        step("appended", batch=self.batch_id, table=name)
        return appended

    def commit(self, at: datetime) -> bool:
        """Make the batch visible; False when it already was. Raises WarehouseHeld where other rows are there."""
        if self.known:
            return False
        literal = self.warehouse.dialect.literal
        _confirm(self.warehouse, self.counts, {self.batch_id: sum(self.counts.values())})
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


def append_once(warehouse: Warehouse, batch_id: str, name: str, rows: Row | str | pa.Table, at: datetime) -> None:
    """A batch of a few rows that several processes may write at once: one of them does."""
    with warehouse.alone():
        batch = Batch(warehouse, batch_id)
        batch.append(name, rows)
        batch.commit(at)


@dataclass
class Batches:
    """Several batches that are appended in the same statements and become visible in one.

    Rows carry their own `batch_id`. Ids that are already visible must not be among them.
    """

    warehouse: Warehouse
    batch_ids: Sequence[str]
    names: set[str] = field(default_factory=set)

    def append(self, name: str, rows: str | pa.Table | pa.RecordBatchReader) -> int:
        """Append a query's result or Arrow rows, `batch_id` included, to the log `name`; the number of rows."""
        log = name + LOG_SUFFIX
        if name not in self.names:
            discard(self.warehouse, name, self.batch_ids)
            self.names.add(name)
        return self.warehouse.insert(log, rows) if isinstance(rows, str) else self.warehouse.load(log, rows)

    def commit(self, row_counts: Mapping[str, int], at: datetime) -> None:
        """Make these batches visible, at once. `row_counts`: batch id → rows in all logs. Raises as Batch's."""
        if not row_counts:
            return
        _confirm(self.warehouse, self.names, row_counts)
        dialect, tables = self.warehouse.dialect, ",".join(sorted(self.names))
        values = ", ".join(
            f"({dialect.literal(batch_id)}, {dialect.literal(tables)}, {count}, {dialect.text_list(())}, "
            f"{dialect.literal(at)})"
            for batch_id, count in row_counts.items()
        )
        self.warehouse.execute(f"insert into {SCHEMA}.batch values {values}")
        for batch_id in row_counts:
            step("committed", batch=batch_id)

    def drop(self, batch_ids: Sequence[str]) -> None:
        """Take out what was appended under ids that will not become visible."""
        for name in sorted(self.names):
            discard(self.warehouse, name, batch_ids)


def _confirm(warehouse: Warehouse, names: Collection[str], row_counts: Mapping[str, int]) -> None:
    """That so many rows are in these logs, by batch: a statement may outlive whoever had the lock for it."""
    if warehouse.atomic or not names:
        return
    there, batch_ids = Counter[str](), [*row_counts]
    for name in names:
        for first in range(0, len(batch_ids), AT_ONCE):
            listed = ", ".join(map(warehouse.dialect.literal, batch_ids[first : first + AT_ONCE]))
            counted = f"select batch_id, count(*) as n from {name}{LOG_SUFFIX} where batch_id in ({listed}) group by 1"
            there.update({str(row["batch_id"]): int(row["n"]) for row in warehouse.rows(counted)})
    for batch_id, rows in row_counts.items():
        if there[batch_id] != rows:
            raise otherwise(batch_id, rows, there[batch_id])


def otherwise(batch_id: str, written: int, there: int) -> WarehouseHeld:
    """What to say where other rows are there than were written."""
    message = f"{written:,} rows of {batch_id} were written and {there:,} are there: what a killed run had begun "
    return WarehouseHeld(message + "came between; run the command again, which writes them anew")


def discard(warehouse: Warehouse, name: str, batch_ids: Sequence[str]) -> None:
    """Delete rows that an interrupted run left in the log `name` under ids that are not visible."""
    for first in range(0, len(batch_ids), AT_ONCE):
        warehouse.remove(name + LOG_SUFFIX, "batch_id", batch_ids[first : first + AT_ONCE])


def discard_replaced(warehouse: Warehouse, name: str, at: datetime) -> int:
    """Free the rows of the log `name` that were replaced more than a day ago; of how many batches."""
    literal = warehouse.dialect.literal
    replaced = warehouse.rows(
        f"select distinct replaced.batch_id from (select {warehouse.dialect.unnest('replaces')} as batch_id "
        f"from {SCHEMA}.batch where committed_at < {literal(at - KEEP)}) as replaced "
        f"inner join (select distinct batch_id from {name}{LOG_SUFFIX}) as kept on replaced.batch_id = kept.batch_id"
    )
    discard(warehouse, name, [str(row["batch_id"]) for row in replaced])
    return len(replaced)


def visible_in(warehouse: Warehouse, name: str) -> dict[str, int]:
    """The visible batches that have rows in the log `name`, with how many rows they have in all logs."""
    pattern = warehouse.dialect.literal(f"%,{name},%")
    found = warehouse.rows(
        f"select batch_id, row_count from {SCHEMA}.batch where ',' || tables || ',' like {pattern} "
        f"and batch_id in (select batch_id from {SCHEMA}.visible_batch) order by batch_id"
    )
    return {str(row["batch_id"]): int(row["row_count"]) for row in found}


def visible(warehouse: Warehouse, batch_ids: Sequence[str]) -> set[str]:
    """Those of these ids that ever became visible."""
    if not batch_ids:
        return set()
    listed = ", ".join(warehouse.dialect.literal(batch_id) for batch_id in batch_ids)
    found = warehouse.rows(f"select batch_id from {SCHEMA}.batch where batch_id in ({listed})")
    return {str(row["batch_id"]) for row in found}


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
