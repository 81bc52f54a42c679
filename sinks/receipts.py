"""How the outcomes of a claim are written compactly, and how receipts become one Arrow row a spool row again.

A receipt's text is `[default, exceptions]`: the default is `[code, reason, provider_id]`, an exception the same with
its offset in the claim before. A claim of 500 rows that were all taken is 14 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from models.delivery import Outcome, Outcomes, Ranges, RowOutcome

CODES: tuple[Outcome, ...] = tuple(Outcome)  # a code is a position here: new outcomes go at the end
REASON_CHARACTERS = 500  # a vendor's page of HTML is not a reason

SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64()),
        pa.field("op", pa.string()),
        pa.field("outcome", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("provider_id", pa.string()),
        pa.field("attempt", pa.int64()),
        pa.field("seq", pa.int64()),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC")),
        pa.field("sink", pa.string()),
    ]
)

_CODE = {outcome: code for code, outcome in enumerate(CODES)}


@dataclass(frozen=True, slots=True)
class Written:
    """One receipt with its claim, as the journal holds them."""

    seq: int
    op: str
    ranges: Ranges
    attempt: int
    outcomes: str
    recorded_at: datetime
    sink: str = ""  # by which destination of sinks.yml; empty: the sync's own


def encode(outcomes: Outcomes) -> str:
    """The compact text of what became of a claim. U+0000 in the vendor's words is �: not every engine keeps it."""
    exceptions = [[offset, *_compact(row)] for offset, row in outcomes.rows.items()]
    return orjson.dumps([_compact(outcomes.default), exceptions]).decode()


def _compact(row: RowOutcome) -> list[Any]:
    words = (row.reason[:REASON_CHARACTERS], row.provider_id)
    return [_CODE[row.outcome], *(text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in words)]


def expand(receipts: Sequence[Written]) -> pa.Table:
    """One row a spool row of every claim, in the order of the receipts."""
    counts = np.array([sum(count for _, count in receipt.ranges) for receipt in receipts], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1])) if len(receipts) else np.zeros(0, dtype=np.int64)
    parsed: list[Any] = [orjson.loads(receipt.outcomes) for receipt in receipts]

    def column(position: int, kind: pa.DataType) -> pa.Array:
        """Defaults repeated over their claims, exceptions put over them; text is taken from a list of its values."""
        values: dict[Any, int] = {}
        taken = np.repeat([values.setdefault(default[position], len(values)) for default, _ in parsed], counts)
        places = [int(start) + row[0] for start, (_, rows) in zip(starts, parsed, strict=True) for row in rows]
        if places:
            taken[places] = [values.setdefault(row[position + 1], len(values)) for _, rows in parsed for row in rows]
        return pa.array(list(values), kind).take(pa.array(taken, pa.int64()))

    def repeated(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind).take(pa.array(np.repeat(np.arange(len(receipts)), counts), pa.int64()))

    return pa.Table.from_arrays(
        [
            pa.array(_rows(receipts), pa.int64()),
            repeated([receipt.op for receipt in receipts], pa.string()),
            pa.array([str(outcome) for outcome in CODES], pa.string()).take(column(0, pa.int64())),
            column(1, pa.string()),
            column(2, pa.string()),
            repeated([receipt.attempt for receipt in receipts], pa.int64()),
            repeated([receipt.seq for receipt in receipts], pa.int64()),
            repeated([receipt.recorded_at for receipt in receipts], pa.timestamp("us", tz="UTC")),
            repeated([receipt.sink for receipt in receipts], pa.string()),
        ],
        schema=SCHEMA,
    )


def _rows(receipts: Sequence[Written]) -> NDArray[np.int64]:
    """The spool row of every row of every claim."""
    ranges = np.array([pair for receipt in receipts for pair in receipt.ranges], dtype=np.int64).reshape(-1, 2)
    firsts, counts = ranges[:, 0], ranges[:, 1]
    before = np.cumsum(counts) - counts
    rows: NDArray[np.int64] = np.arange(counts.sum(), dtype=np.int64) + np.repeat(firsts - before, counts)
    return rows
