"""Chance without state: every draw is a hash of the seed, its purpose and its keys, so any row can be made alone.

The mixing function is splitmix64's finaliser in wrapping 64-bit arithmetic, the same on every machine and release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import polars as pl

WORD = pl.UInt64

_Words = npt.NDArray[np.uint64]


def _mixed(words: _Words) -> _Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _words(column: pl.Series) -> _Words:
    # inside when/then the engine blanks the rows of the other branch
    return column.fill_null(0).to_numpy()


def mix(value: pl.Expr) -> pl.Expr:
    """A bijection on 64-bit words that spreads neighbours apart: distinct in, distinct out."""
    # on the column, not as an expression: each step reads its input twice, so nested expressions would double
    return value.cast(WORD).map_batches(
        lambda column: pl.Series(_mixed(_words(column))), return_dtype=WORD, is_elementwise=True
    )


@cache
def start(seed: int, purpose: str) -> int:
    """The word a chain of draws for one purpose starts from."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big")


def draw(seed: int, purpose: str, *keys: pl.Expr | int) -> pl.Expr:
    """A 64-bit word for these keys (non-negative integers, at least one of them a column)."""
    first = start(seed, purpose)

    def chained(columns: Sequence[pl.Series]) -> pl.Series:
        words = np.array([first], dtype=np.uint64)
        for column in columns:
            words = _mixed(words ^ _mixed(_words(column) + np.uint64(1)))
        return pl.Series(words)

    given = [pl.lit(key, dtype=WORD) if isinstance(key, int) else key.cast(WORD) for key in keys]
    return pl.map_batches(given, chained, return_dtype=WORD, is_elementwise=True)


def share(seed: int, purpose: str, *keys: pl.Expr | int) -> pl.Expr:
    """A number in [0, 1), evenly spread."""
    return (draw(seed, purpose, *keys) // 2**11).cast(pl.Float64) / 2**53  # 53 bits: what a double holds exactly


def odds(probability: float | pl.Expr, seed: int, purpose: str, *keys: pl.Expr | int) -> pl.Expr:
    """Whether it happens, in this share of cases."""
    happens: pl.Expr = share(seed, purpose, *keys) < probability
    return happens


def pick(count: int, seed: int, purpose: str, *keys: pl.Expr | int) -> pl.Expr:
    """An integer in 0 … count - 1, all as likely."""
    return (draw(seed, purpose, *keys) % count).cast(pl.Int64)


def split(weights: Sequence[float], seed: int, purpose: str, *keys: pl.Expr | int) -> pl.Expr:
    """An integer in 0 … len(weights), each as likely as its weight; the last takes what they leave of 1."""
    drawn = share(seed, purpose, *keys)
    return pl.sum_horizontal((drawn >= limit).cast(pl.Int64) for limit in accumulate(weights))


def choose(options: Sequence[str | float | None], index: pl.Expr) -> pl.Expr:
    """The option at `index`, for a column of indexes."""
    table = pl.Series(options)
    return index.map_batches(table.gather, return_dtype=table.dtype, is_elementwise=True)
