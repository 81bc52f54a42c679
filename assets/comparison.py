"""Compares a table of two warehouses row by row, whatever engine either is on.

A row is what it says, not how an engine keeps it: whole numbers of any width, moments in UTC, floats to DIGITS digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import polars as pl

from warehouse.base import Warehouse

DIGITS = 12  # of a float that was computed: in which order an engine adds shows in the last ones
EXACT = 17  # what tells any two floats apart
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


def compare(
    first: Warehouse, second: Warehouse, name: str, volatile: Collection[str] = (), digits: int = DIGITS
) -> Compared:
    """The table of that name in both; `volatile`: columns that hold a clock of ours or an id of the run itself."""
    ours, theirs = ([column for column in each.columns(name) if column not in volatile] for each in (first, second))
    if not ours or not theirs:
        counts = [_count(each, name) if columns else None for each, columns in ((first, ours), (second, theirs))]
        return Compared(name, counts[0], counts[1], sum(count or 0 for count in counts))
    shared = [column for column in ours if column in theirs]
    one, other = _counted(first, name, shared, digits), _counted(second, name, shared, digits)
    return Compared(name, _rows(one), _rows(other), _differing(one, other), tuple(sorted({*ours} ^ {*theirs})))


def compare_copy(original: Warehouse, copy: Warehouse, name: str) -> Compared:
    """The same of what was copied: to the last digit, and in constant memory as long as nothing differs."""
    columns = [*original.columns(name)]
    if columns and {*columns} == copy.columns(name).keys():
        rows, *sums = _summed(original, name, columns)
        if [rows, *sums] == _summed(copy, name, columns):
            return Compared(name, rows, rows, 0)
    return compare(original, copy, name, digits=EXACT)


def _count(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.rows(f"select count(*) as n from {table}")[0]["n"])


def _counted(warehouse: Warehouse, table: str, columns: list[str], digits: int) -> pl.DataFrame:
    """How often each row is there, by its hash alone: the rows themselves are not kept."""
    once = pl.len().cast(pl.UInt64).alias("n")
    found = [hashed.group_by(HASH).agg(once) for hashed in _hashes(warehouse, table, columns, digits)]
    nothing = pl.DataFrame(schema=dict.fromkeys((*HASH, "n"), pl.UInt64))
    return pl.concat([nothing, *found]).group_by(HASH).agg(pl.col("n").sum())


def _summed(warehouse: Warehouse, table: str, columns: list[str]) -> list[int]:
    """How many rows there are, and the sum of each half of their hashes."""
    total = [0, *(0 for _ in HASH)]
    for hashed in _hashes(warehouse, table, columns, EXACT):
        sums = (int(hashed[half].cast(pl.Int128).sum()) for half in HASH)
        total = [one + more for one, more in zip(total, (len(hashed), *sums), strict=True)]
    return total


def _hashes(warehouse: Warehouse, table: str, columns: list[str], digits: int) -> Iterator[pl.DataFrame]:
    """The hashes of the rows, batch by batch."""
    listed = ", ".join(map(warehouse.dialect.quote, columns))
    for batch in warehouse.stream(f"select {listed} from {table}", BATCH):
        frame = pl.DataFrame(pl.from_arrow(batch))
        rows = frame.select(_said(pl.col(name), kind, digits) for name, kind in frame.schema.items())
        yield pl.DataFrame({half: rows.hash_rows(seed=seed) for seed, half in enumerate(HASH)})


def _rows(hashes: pl.DataFrame) -> int:
    return int(hashes["n"].sum())


def _differing(first: pl.DataFrame, second: pl.DataFrame) -> int:
    joined = first.join(second, on=HASH, how="full", suffix="_b").fill_null(0)
    return int((joined["n"].cast(pl.Int64) - joined["n_b"].cast(pl.Int64)).abs().sum())


def _said(column: pl.Expr, kind: pl.DataType, digits: int) -> pl.Expr:
    """A column as text, the same whatever type its engine gives it; null stays null."""
    match kind:
        case pl.Datetime():
            return column.dt.epoch("us").cast(pl.String)
        case pl.Float32() | pl.Float64():
            rounded = column.round_sig_figs(digits) if digits < EXACT else column
            return (rounded + 0.0).cast(pl.String)  # of the two zeros one
        case pl.Decimal():
            return column.cast(pl.String).str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
        case pl.List():
            item = _said(pl.element(), kind.inner, digits)  # type: ignore[arg-type]
            # with its length before it, so that no two lists are one text
            listed = pl.concat_str(item.str.len_bytes().cast(pl.String), pl.lit(":"), item).fill_null("-")
            return column.list.eval(listed).list.join("")
        case _:
            return column.cast(pl.String)
