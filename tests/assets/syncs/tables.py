"""Tables that a segment may have one after another, made by hypothesis, and what a vendor should hold of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import permutations, product
from typing import Any

from hypothesis import strategies as st

Row = Mapping[str, Any]

INDIA = timezone(timedelta(hours=5, minutes=30))
TEXTS = ["", "a", "A", " a", "é", "e\u0301", "日本", "😀", "'", '"\\', "\n\t", "a|b", "null", "1", "01", "\u202e\x7f"]
VALUES: dict[str, list[Any]] = {
    "varchar": TEXTS,
    "integer": [0, 1, -1, 2**31 - 1],
    "bigint": [0, 2**53 + 1, -(2**63)],
    "double": [0.0, -0.0, math.nan, math.inf, -math.inf, 1.5, 0.1 + 0.2, 5e-324, 1e300],
    "decimal(18,2)": [Decimal(text) for text in ("0.00", "0.10", "-0.10", "9999999999999999.99")],
    "boolean": [True, False],
    "date": [date(1, 1, 1), date(2026, 2, 28), date(9999, 12, 31)],
    "timestamp": [datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 2, 30, 0, 1), datetime(1969, 12, 31)],  # noqa: DTZ001
    "timestamp with time zone": [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 5, 30, tzinfo=INDIA),  # the same moment
        datetime(2026, 1, 1, tzinfo=INDIA),
        datetime(1, 1, 2, tzinfo=UTC),
    ],
}
# what one value may become when its column changes its type: the same, nearly the same, another, nothing
ALIKE: dict[str, list[Any]] = {
    "varchar": ["1", "01", "1.5", "1.50", "2", "1.7", "x", "", " 1", "true", "2026-01-01"],
    "integer": [1, 2],
    "double": [1.0, 1.5, 1.7, 2.0, math.nan],
    "decimal(18,2)": [Decimal("1.00"), Decimal("1.50"), Decimal("1.70"), Decimal("2.00")],
    "decimal(18,4)": [Decimal("1.0000"), Decimal("1.5000"), Decimal("1.4999"), Decimal("1.7000")],
    "boolean": [True, False],
    "date": [date(2026, 1, 1)],
    "timestamp": [datetime(2026, 1, 1), datetime(2026, 1, 1, 1)],  # noqa: DTZ001
    "timestamp with time zone": [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, tzinfo=UTC)],
}
ADDRESSES = ["ann@x", "ANN@x", "ünï@x", "u\u0308nï@x", "😀@x", "a|b@x", ""]
KEYS: dict[tuple[str, ...], list[tuple[Any, ...]]] = {
    ("profile_id",): [(f"p{number}",) for number in range(7)],
    ("email",): [(address,) for address in ADDRESSES],
    ("email", "country"): [(address, country) for address in ADDRESSES[:3] for country in ("no", "")],
    ("code",): [(code,) for code in (0, 1, -1, 2**62, 7)],
    ("key", "place"): [(key, place) for key in TEXTS[1:4] for place in ("", "no")],
}
FIELDS = ("kind", "accepted_position", "seq")  # names that a statement of ours may have used itself, as of keys


@dataclass(frozen=True)
class Table:
    """Columns with their types, and rows by key."""

    key: tuple[str, ...]
    kinds: Mapping[str, str]
    rows: Mapping[tuple[Any, ...], Row]

    @property
    def listed(self) -> list[dict[str, Any]]:
        return [{**dict(zip(self.key, key, strict=True)), **row} for key, row in self.rows.items()]

    @property
    def audience(self) -> dict[str, Row]:
        """Vendor identity → row: what a mirror's vendor holds."""
        return {"|".join(str(part) for part in key): row for key, row in zip(self.rows, self.listed, strict=True)}


def holding(**values: int) -> Table:
    """People by name, each with a number."""
    rows = {(name,): {"a": value} for name, value in values.items()}
    return Table(("profile_id",), {"profile_id": "varchar", "a": "integer"}, rows)


def steady(table: Table, count: int) -> Table:
    """The same with people who never change, and who have nothing but their key."""
    nothing = dict.fromkeys(name for name in table.kinds if name not in table.key)
    first = {"code": lambda number: 1000 + number}.get(table.key[0], lambda number: f"steady{number}")
    kept = {(first(number), *("no" for _ in table.key[1:])): nothing for number in range(count)}
    return Table(table.key, table.kinds, {**kept, **table.rows})


def retyped() -> Iterator[Table]:
    """A table before and after its columns change their types, and once more before.

    One column a pair of types, one row a pair of values, which has nothing in the columns of other pairs.
    """
    types = list(permutations(ALIKE, 2))
    values = [(number, pair) for number, (old, new) in enumerate(types) for pair in product(ALIKE[old], ALIKE[new])]
    for turn in (0, 1, 0):
        kinds = {f"c{number}": pair[turn] for number, pair in enumerate(types)}
        nothing = dict.fromkeys(kinds)
        rows = {(f"p{place}",): {**nothing, f"c{number}": pair[turn]} for place, (number, pair) in enumerate(values)}
        yield Table(("profile_id",), {"profile_id": "varchar", **kinds}, rows)


@st.composite
def successions(draw: st.DrawFn, length: int) -> list[Table]:
    """Tables of one segment, each made from the one before.

    People enter, leave, change, go back, come back and swap places; values move from column to column; columns come
    and go.
    """
    key = draw(st.sampled_from(list(KEYS)))
    palette = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=2))
    kinds = {name: draw(st.sampled_from(palette)) for name in FIELDS}
    values = {name: st.none() | st.sampled_from(VALUES[kinds[name]]) for name in FIELDS}
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    past: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    tables = []
    for _ in range(length):
        drawn = {each: draw(_next(rows.get(each), past.get(each, []), kinds, values)) for each in KEYS[key]}
        rows = draw(_swapped({each: row for each, row in drawn.items() if row}))
        for each, row in rows.items():
            past.setdefault(each, []).append(row)
        present = draw(st.sampled_from([FIELDS, FIELDS, FIELDS[:2], FIELDS[1:], FIELDS[:1]]))
        tables.append(_table(key, {name: kinds[name] for name in present}, rows))
    return tables


@st.composite
def _next(
    draw: st.DrawFn,
    row: dict[str, Any] | None,
    past: list[dict[str, Any]],
    kinds: Mapping[str, str],
    values: Mapping[str, st.SearchStrategy[Any]],
) -> dict[str, Any] | None:
    """What becomes of one person: absent, another, as before or long before, or values moved to other columns."""
    what = draw(st.sampled_from(["absent", "another", *(["same", "back", "back", "moved"] if past else [])]))
    if what == "absent":
        return None
    if what == "back" or (what == "same" and row is None):
        return draw(st.sampled_from(past))
    if what == "another" or row is None:
        return {name: draw(values[name]) for name in FIELDS}
    if what == "moved":
        places = dict(zip(FIELDS, draw(st.permutations(FIELDS)), strict=True))
        return {name: row[place if kinds[name] == kinds[place] else name] for name, place in places.items()}
    return row


@st.composite
def _swapped(draw: st.DrawFn, rows: dict[tuple[Any, ...], dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Two people may have each other's address: everything but the key changes places."""
    if len(rows) > 1 and draw(st.booleans()):
        one, two = draw(st.permutations(list(rows)))[:2]
        return {**rows, one: rows[two], two: rows[one]}
    return rows


def _table(key: tuple[str, ...], kinds: Mapping[str, str], rows: Mapping[tuple[Any, ...], Row]) -> Table:
    own = {name: "bigint" if name == "code" else "varchar" for name in key}
    return Table(key, {**own, **kinds}, {key: {name: row[name] for name in kinds} for key, row in rows.items()})


def operations(state: dict[tuple[Any, ...], Row], table: Table) -> tuple[int, int]:
    """How many upserts and removes lead from the rows last accepted to the table; `state` is led there."""
    removed = [key for key in state if key not in table.rows]
    changed = [
        key
        for key, row in table.rows.items()
        if key not in state or any(_differ(state[key].get(name), value) for name, value in row.items())
    ]
    for key in removed:
        del state[key]
    state.update({key: table.rows[key] for key in changed})
    return len(changed), len(removed)


def _differ(one: Any, other: Any) -> bool:
    both_nan = isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other)
    return one != other and not both_nan


def disagreements(audience: Mapping[str, Row], table: Table, *, loosely: bool = False) -> list[str]:
    """Who is there too much or too little, and which payload says something else than the table.

    What a column held that is no more stays with a vendor. `loosely`: a value may be written as its old type had it.
    """
    expected = table.audience
    agree = _alike if loosely else _agree
    wrong = [f"{identity!r} is only one side's" for identity in audience.keys() ^ expected.keys()]
    for identity in audience.keys() & expected.keys():
        for name, value in expected[identity].items():
            told = audience[identity].get(name)
            if not agree(told, value):
                wrong.append(f"{identity!r}: {name} is {value!r}, the vendor holds {told!r}")
    return wrong


def _agree(told: Any, value: Any) -> bool:
    """Whether the JSON that was sent is this value."""
    match value:
        case float():
            return told is None if not math.isfinite(value) else isinstance(told, float) and told == value
        case Decimal():
            return isinstance(told, str) and told == f"{value}"
        case datetime():
            return isinstance(told, str) and datetime.fromisoformat(told) == value
        case date():
            return isinstance(told, str) and told == value.isoformat()
        case _:
            return type(told) is type(value) and told == value


def _alike(told: Any, value: Any) -> bool:
    return _plain(told) == _plain(value)


def _plain(value: Any) -> Any:
    """A value without its type: 1, 1.0, '1' and true are one, a day is its first moment."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    text = str(value).lower()
    for read in (lambda: Decimal(text), lambda: datetime.fromisoformat(text)):
        try:
            found = read()
        except (ArithmeticError, ValueError):
            continue
        return found.replace(tzinfo=UTC) if isinstance(found, datetime) and not found.tzinfo else found
    return {"true": Decimal(1), "false": Decimal(0)}.get(text, value)
