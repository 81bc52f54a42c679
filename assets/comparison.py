"""Compares a table of two warehouses row by row, whatever engine either is on.

A row is what it says, not how an engine keeps it: whole numbers of any width, moments in UTC, floats to DIGITS digits.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from warehouse.base import Warehouse

DIGITS = 12  # of a float: in which order an engine adds is its own affair, and shows in the last ones
BATCH = 65_536
HASH = ("high", "low")  # 128 bits of a row


@dataclass(frozen=True)
class Compared:
    """One table. Its rows are counted where it is there; `differing`: those that the other has not, or not as often."""

    name: str
    rows_a: int | None
    rows_b: int | None
    differing: int
    columns: tuple[str, ...] = ()  # that only one of them has

    @property
    def is_same(self) -> bool:
        return not self.differing and not self.columns and self.rows_a is not None and self.rows_b is not None


def compare(first: Warehouse, second: Warehouse, name: str, volatile: Collection[str] = ()) -> Compared:
    """The table of that name in both; `volatile`: columns that hold a clock of ours or an id of the run itself."""
    ours, theirs = ([column for column in each.columns(name) if column not in volatile] for each in (first, second))
    if not ours or not theirs:
        counts = [_count(each, name) if columns else None for each, columns in ((first, ours), (second, theirs))]
        return Compared(name, counts[0], counts[1], sum(count or 0 for count in counts))
    shared = [column for column in ours if column in theirs]
    one, other = _hashes(first, name, shared), _hashes(second, name, shared)
    return Compared(name, _rows(one), _rows(other), _differing(one, other), tuple(sorted({*ours} ^ {*theirs})))


def _count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.rows(f"select count(*) as n from {table}")[0]["n"])


def _hashes(warehouse: Warehouse, table: str, columns: list[str]) -> pl.DataFrame:
    """How often each row is there, by its hash alone: the rows themselves are not kept."""
    listed = ", ".join(map(warehouse.dialect.quote, columns))
    found = [pl.DataFrame(schema=dict.fromkeys((*HASH, "n"), pl.UInt64))]
    for batch in warehouse.stream(f"select {listed} from {table}", BATCH):
        frame = pl.DataFrame(pl.from_arrow(batch))
        rows = frame.select(_said(pl.col(name), kind) for name, kind in frame.schema.items())
        hashed = pl.DataFrame({name: rows.hash_rows(seed=seed) for seed, name in enumerate(HASH)})
        found.append(hashed.group_by(HASH).agg(pl.len().cast(pl.UInt64).alias("n")))
    return pl.concat(found).group_by(HASH).agg(pl.col("n").sum())


def _rows(hashes: pl.DataFrame) -> int:
    return int(hashes["n"].sum())


def _differing(first: pl.DataFrame, second: pl.DataFrame) -> int:
    joined = first.join(second, on=HASH, how="full", suffix="_b").fill_null(0)
    return int((joined["n"].cast(pl.Int64) - joined["n_b"].cast(pl.Int64)).abs().sum())


def _said(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """A column as text, the same whatever type its engine gives it; null stays null."""
    match kind:
        case pl.Datetime():
            return column.dt.epoch("us").cast(pl.String)
        case pl.Float32() | pl.Float64():
            return (column.round_sig_figs(DIGITS) + 0.0).cast(pl.String)  # of the two zeros one
        case pl.Decimal():
            return column.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
        case pl.List():
            item = _said(pl.element(), kind.inner)  # type: ignore[arg-type]
            # with its length before it, so that no two lists are one text
            listed = pl.concat_str(item.str.len_bytes().cast(pl.String), pl.lit(":"), item).fill_null("-")
            return column.list.eval(listed).list.join("")
        case _:
            return column.cast(pl.String)
