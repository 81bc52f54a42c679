"""Compares what two warehouses publish, row by row, whatever engine either is on.

A row is what it says, not how an engine keeps it: whole numbers of any width, moments in UTC, floats to DIGITS digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from warehouse.base import Warehouse

DIGITS = 12  # of a float: in which order an engine adds is its own affair, and shows in the last ones
BATCH = 65_536
MISSING = "\x1f"  # no text holds it by itself, so nothing is mistaken for null


@dataclass(frozen=True)
class Compared:
    """One table. `differing`: rows of either that the other has not, as often; None where one has no such table."""

    name: str
    rows_a: int | None
    rows_b: int | None
    differing: int
    columns: tuple[str, ...] = ()  # that only one of them has

    @property
    def is_same(self) -> bool:
        return not self.differing and not self.columns and self.rows_a is not None and self.rows_b is not None


def compare(
    first: Warehouse, second: Warehouse, tables: Collection[str], volatile: Mapping[str, Collection[str]]
) -> Iterator[Compared]:
    """Each of these tables in turn. `volatile`: table → columns that hold a clock or an id of the run itself."""
    for name in sorted(tables):
        ours, theirs = (
            [column for column in each.columns(name) if column not in volatile.get(name, ())]
            for each in (first, second)
        )
        if ours and theirs:
            shared = [column for column in ours if column in theirs]
            one, other = _hashes(first, name, shared), _hashes(second, name, shared)
            yield Compared(name, _rows(one), _rows(other), _differing(one, other), tuple(sorted({*ours} ^ {*theirs})))
        else:
            count, count_b = (_count(first, name) if ours else None), (_count(second, name) if theirs else None)
            yield Compared(name, count, count_b, (count or 0) + (count_b or 0))


def _count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.rows(f"select count(*) as n from {table}")[0]["n"])


def _hashes(warehouse: Warehouse, table: str, columns: list[str]) -> pl.DataFrame:
    """How often each row is there: 128 bits of it, and a count. A table of any size in 24 bytes a row."""
    listed = ", ".join(map(warehouse.dialect.quote, columns))
    found = [pl.DataFrame(schema={"high": pl.UInt64, "low": pl.UInt64, "n": pl.UInt32})]
    for batch in warehouse.stream(f"select {listed} from {table}", BATCH):
        frame = pl.DataFrame(pl.from_arrow(batch))
        rows = frame.select(_said(name, kind) for name, kind in frame.schema.items())
        hashed = pl.DataFrame({"high": rows.hash_rows(seed=1), "low": rows.hash_rows(seed=2)})
        found.append(hashed.group_by("high", "low").agg(pl.len().alias("n")))
    return pl.concat(found).group_by("high", "low").agg(pl.col("n").sum())


def _rows(hashes: pl.DataFrame) -> int:
    return int(hashes["n"].sum())


def _differing(first: pl.DataFrame, second: pl.DataFrame) -> int:
    joined = first.join(second, on=["high", "low"], how="full", suffix="_b").fill_null(0)
    return int((joined["n"].cast(pl.Int64) - joined["n_b"].cast(pl.Int64)).abs().sum())


def _said(name: str, kind: pl.DataType) -> pl.Expr:
    """A column as text, the same whatever type its engine gives it; null told from everything."""
    column = pl.col(name)
    match kind:
        case pl.Datetime():
            said = column.dt.epoch("us").cast(pl.String)
        case pl.Float32() | pl.Float64():
            said = (column.round_sig_figs(DIGITS) + 0.0).cast(pl.String)  # of the two zeros one
        case pl.Decimal():
            said = column.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
        case pl.List():
            said = column.list.eval(_said("", kind.inner)).list.join("\x1e")  # type: ignore[arg-type]
        case _:
            said = column.cast(pl.String)
    return said.fill_null(MISSING)
