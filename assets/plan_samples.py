"""What of a plan people look at: which columns changed how often, and the first rows of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assets.audience import Audience
from assets.diff import ROWS, mask
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
EXAMPLES = 5


def changes(warehouse: Warehouse) -> dict[str, int]:
    """Column → in how many rows of the plan it has another value."""
    found = warehouse.rows(
        f"select _note, count(*) as n from {ROWS} where _kind = 'changed' group by _note order by _note"
    )
    counts = Counter[str]()
    for row in found:
        for name in _names(row):
            counts[name] += int(row["n"])
    return dict(counts)


def sample(
    warehouse: Warehouse, audience: Audience, ledger_rows: str, masked: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """The first rows of each kind, as they are shown; `masked` are the columns of which little is."""
    order = ", ".join(warehouse.dialect.quote(name) for name in audience.identity)
    query = render(SQL, "plan_sample", warehouse.dialect, rows=ROWS, order=order, examples=EXAMPLES)
    rows = warehouse.rows(query)
    changed = any(row["_kind"] == "changed" for row in rows)
    held = _held_by_vendor(warehouse, audience, ledger_rows, order) if changed else {}
    return [_shown(audience, masked, row, held) for row in rows if row["_kind"] != "same"]


def _held_by_vendor(
    warehouse: Warehouse, audience: Audience, ledger_rows: str, order: str
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """For the changed rows of the sample: what was accepted last, by identity."""
    sampled = f"select {order} from {ROWS} where _kind = 'changed' order by {order} limit {EXAMPLES}"
    names = [warehouse.dialect.quote(name) for name in audience.identity]
    matching = " and ".join(f"kept.{name} = sampled.{name}" for name in names)
    found = warehouse.rows(
        f"select kept.* from ({ledger_rows}) as kept inner join ({sampled}) as sampled on {matching} "
        "where _outcome = 'accepted' order by _epoch, _seq"
    )
    return {tuple(row[name] for name in audience.identity): row for row in found}


def _shown(
    audience: Audience,
    masked: frozenset[str],
    row: Mapping[str, Any],
    held: Mapping[tuple[Any, ...], Mapping[str, Any]],
) -> dict[str, Any]:
    def values(source: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
        return {name: _visible(source[name], is_masked=name in masked) for name in names}

    why = {"refused": "held: rejected before", "waiting": "held: outcome unknown"}.get(row["_kind"], row["_kind"])
    shown = {"op": row["_op"], "why": why, "key": values(row, audience.identity)}
    if row["_kind"] == "changed":
        names = _names(row)
        before = held.get(tuple(row[name] for name in audience.identity), {})
        return {**shown, "before": values(before, [name for name in names if before]), "after": values(row, names)}
    return {**shown, "after": values(row, audience.columns)}


def _visible(value: Any, *, is_masked: bool) -> Any:
    if value is not None and is_masked:
        return mask(value)
    return value if isinstance(value, int | float | str | bool | None) else str(value)


def _names(row: Mapping[str, Any]) -> list[str]:
    """The columns that differ; none where an old value has no counterpart in today's type."""
    return [name for name in str(row["_note"]).split(",") if name]
