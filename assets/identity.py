"""Identity: reads who was seen together, keeps the append-only history of who is who, and looks it up for the past.

The decision itself is the pure function in resolution.py; what an identifier looks like is dbt's (macros/identity.sql).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import phonenumbers
import polars as pl
import pyarrow as pa

from assets import components
from assets.resolution import ALIAS, CHANGE_SCHEMA, KNOWN_SCHEMA, MOMENT, TYPES, Mint, resolve
from models.clock import Clock
from warehouse import definitions
from warehouse.base import Warehouse
from warehouse.batches import Batch, create_log
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
AT_ONCE = 2_000_000  # combinations of identifiers in memory: some two gigabytes
PHONES_AT_ONCE = 50_000  # numbers in memory, and in a batch: what is read stays read
_NODE = ["identifier_type", "identifier"]
HISTORY, RUNS, PHONES = "tailrace.profile_id_history", "tailrace.identity_run", "tailrace.phone"


@dataclass(frozen=True)
class IdentityResult:
    """What a run changed: profiles minted and merged away, and identifiers whose holder is new or another."""

    minted: int = 0
    merged: int = 0
    identifiers: int = 0
    skipped: bool = False  # nothing was new


@dataclass(frozen=True)
class _Run:
    """The last run: its clocks, how many events it saw, and what made them."""

    number: int
    as_of: datetime
    known_by: datetime
    events: int
    definition: str


def prepare(warehouse: Warehouse) -> None:
    """Create the logs and the view of who is who now, where they are missing."""
    moments = {"as_of": "timestamptz", "known_by": "timestamptz"}
    texts = dict.fromkeys(("identifier_type", "identifier", "profile_id", "change", "from_profile_id"), "varchar")
    create_log(warehouse, HISTORY, {**texts, **moments, "number": "bigint"})
    create_log(warehouse, RUNS, {"number": "bigint", **moments, "events": "bigint", "definition": "varchar"})
    create_log(warehouse, PHONES, {"written": "varchar", "country": "varchar", "identifier": "varchar"})
    definitions.create_view(warehouse, "tailrace.profile_map", _render(warehouse, "profile_map"))


def identify(
    warehouse: Warehouse,
    clock: Clock,
    *,
    salt: str,
    definition: str,
    replayable: bool = True,
    learning: AbstractContextManager[None] | None = None,
) -> IdentityResult:
    """Bring the history up to the events visible at `clock`; equal input changes nothing.

    Only events that became visible since the last run are read, unless earlier ones changed under it. `definition`
    stands for what makes identifiers out of records (staging, blocked values): when it changed, everybody is worked
    out anew from what is observed, and profiles may split. `replayable` says that no source may change in place.
    `learning` is entered for the moment in which it becomes visible.
    """
    last = _last_run(warehouse)
    visible, before = _count(warehouse, last)
    changed = last is not None and (last.definition != definition or before < last.events)
    if last and replayable and not changed and visible == before == last.events:
        return IdentityResult(skipped=True)
    read_phones(warehouse, clock)
    incremental = last is not None and replayable and not changed and before == last.events
    _observe(warehouse, "main", last if incremental else None)
    mint = Mint(salt, _batch_id(warehouse, clock))
    number = (last.number if last else 0) + 1
    run = _Run(number, clock.as_of, clock.known_by, visible, definition)
    pieces = _pieces(warehouse, everyone=changed)
    changed_by = (resolve(observed, known, mint, rebuild=changed) for observed, known in pieces)
    return _append(warehouse, clock, mint.batch, changed_by, run, learning or nullcontext())


def last_number(warehouse: Warehouse) -> int:
    """The number of the last run that saw something new; 0 before the first."""
    last = _last_run(warehouse)
    return last.number if last else 0


def replay(
    warehouse: Warehouse, clock: Clock, *, salt: str, schema: str, derived: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Write `<schema>.profile_map` as a run at `clock` would have known it; mints nothing.

    Ids are those the history held at `known_by`. Identifiers that only now get one are given it the same way, as the
    run of that moment would have, and marked `is_derived`. Returns them: give them to the replay of the next moment,
    so that days in order agree with each other as real nights do.
    """
    read_phones(warehouse, clock, schema)
    _observe(warehouse, schema, None)
    held = _frame(warehouse, _known_sql(warehouse, everyone=True, known_by=clock.known_by)).match_to_schema(
        KNOWN_SCHEMA
    )
    # what a night knew is true; what nights that never were would have known comes after it
    derived = KNOWN_SCHEMA.to_frame() if derived is None else derived.join(held, on=_NODE, how="anti")
    known = pl.concat([held, derived])
    changes = resolve(_frame(warehouse, "select * from observed"), known, Mint(salt, _name(clock)))
    born = pl.concat([known.select("profile_id", "minted_at"), _born(changes, clock)]).unique("profile_id")
    fresh = changes.select(*_NODE, "profile_id").join(born, on="profile_id", how="left").match_to_schema(KNOWN_SCHEMA)
    derived = pl.concat([derived.join(fresh, on=_NODE, how="anti"), fresh])
    _write_map(warehouse, schema, held.join(fresh, on=_NODE, how="anti"), derived)
    return derived


def read_phones(warehouse: Warehouse, clock: Clock, schema: str = "main") -> None:
    """Bring phone numbers never seen before into E.164; what cannot be dialled is remembered as no number."""
    unread = _render(warehouse, "list_unread_phones", schema=schema)
    warehouse.create_temporary("unread_phone", unread)
    count = int(warehouse.rows("select count(*) as n from unread_phone")[0]["n"])
    for first in range(0, count, PHONES_AT_ONCE):
        page = f"place > {first} and place <= {first + PHONES_AT_ONCE} order by place"
        _remember_phones(warehouse, clock, warehouse.stream(f"select * from unread_phone where {page}").read_all())


def _remember_phones(warehouse: Warehouse, clock: Clock, unread: pa.Table) -> None:
    written, countries = unread["written"].to_pylist(), unread["country"].to_pylist()
    pairs = [*zip(written, countries, strict=True)]
    identifiers = pa.array([e164(number, country) for number, country in pairs], pa.string())
    digest = hashlib.sha256("\n".join(f"{country} {number}" for number, country in pairs).encode()).hexdigest()
    batch = Batch(warehouse, f"phone/{digest[:24]}")
    batch.append(PHONES, unread.drop_columns("place").append_column("identifier", identifiers))
    batch.commit(clock.known_by)


def e164(written: str, country: str) -> str | None:
    """`06 12 34 56 78`, `FR` → `+33612345678`; None where it is no number one could dial."""
    try:
        number = phonenumbers.parse(written, country or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _observe(warehouse: Warehouse, schema: str, since: _Run | None) -> None:
    warehouse.create_temporary("observed", _render(warehouse, "observe_identifiers", schema=schema, since=since))


def _born(changes: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    minted = changes.filter(change="minted", identifier_type=ALIAS).select("profile_id")
    return minted.with_columns(minted_at=pl.lit(clock.as_of).cast(MOMENT))


def _write_map(warehouse: Warehouse, schema: str, looked_up: pl.DataFrame, derived: pl.DataFrame) -> None:
    everyone = pl.concat([looked_up.with_columns(is_derived=False), derived.with_columns(is_derived=True)])
    texts = dict.fromkeys(("identifier_type", "identifier", "profile_id"), "varchar")
    warehouse.create_table(f"{schema}.profile_map", {**texts, "is_derived": "boolean"})
    warehouse.load(f"{schema}.profile_map", everyone.drop("minted_at").to_arrow())


def _append(
    warehouse: Warehouse,
    clock: Clock,
    batch_id: str,
    pieces: Iterable[pl.DataFrame],
    run: _Run,
    learning: AbstractContextManager[None],
) -> IdentityResult:
    batch, counted = Batch(warehouse, batch_id), Counter[str]()
    moments = {name: pl.lit(value).cast(MOMENT) for name, value in vars(clock).items()}
    for changes in pieces:
        rows = changes.match_to_schema(CHANGE_SCHEMA).with_columns(**moments, number=pl.lit(run.number, dtype=pl.Int64))
        batch.append(HISTORY, rows.to_arrow())
        counted.update(changes.filter(identifier_type=ALIAS)["change"].to_list())
        counted["identifiers"] += len(changes)
    batch.append(RUNS, pa.Table.from_pylist([vars(run)]))
    with learning:
        batch.commit(clock.known_by)
    return IdentityResult(counted["minted"], counted["merged"], counted["identifiers"])


def _pieces(warehouse: Warehouse, *, everyone: bool) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """What is seen together, and who holds it now: at once, or in pieces that each fit memory and tear nobody apart."""
    known = _known_sql(warehouse, everyone=everyone)
    seen = int(warehouse.rows("select count(*) as n from observed")[0]["n"])
    if seen <= AT_ONCE:
        yield _frame(warehouse, "select * from observed"), _frame(warehouse, known).match_to_schema(KNOWN_SCHEMA)
        return
    warehouse.create_temporary("known_identifier", known)
    components.tie(warehouse)
    for observed, held in components.placed(warehouse, min(-(-seen // AT_ONCE), components.PLACES)):
        yield _frame(warehouse, observed), _frame(warehouse, held).match_to_schema(KNOWN_SCHEMA)


def _batch_id(warehouse: Warehouse, clock: Clock) -> str:
    """`identity/<as_of>/<known_by>`, with a number after it from the second run at one clock on."""
    name = _name(clock)
    runs = warehouse.rows(
        f"select count(*) as n from {RUNS} where as_of = ? and known_by = ?", [clock.as_of, clock.known_by]
    )
    return name if not runs[0]["n"] else f"{name}/{runs[0]['n'] + 1}"


def _name(clock: Clock) -> str:
    return f"identity/{clock.as_of.isoformat()}/{clock.known_by.isoformat()}"


def _last_run(warehouse: Warehouse) -> _Run | None:
    columns = "number, as_of, known_by, events, definition"
    found = warehouse.rows(f"select {columns} from {RUNS} order by number desc limit 1")
    return _Run(**found[0]) if found else None


def _count(warehouse: Warehouse, last: _Run | None) -> tuple[int, int]:
    never = datetime(1, 1, 1, tzinfo=UTC)
    as_of, known_by = (last.as_of, last.known_by) if last else (never, never)
    found = warehouse.rows(_render(warehouse, "count_events", as_of=as_of, known_by=known_by))
    return int(found[0]["visible"]), int(found[0]["before"])


def _known_sql(warehouse: Warehouse, *, everyone: bool, known_by: datetime | None = None) -> str:
    values = {"history": HISTORY, "everyone": everyone, "known_by": known_by, "types": TYPES}
    return _render(warehouse, "read_known_identifiers", **values)


def _frame(warehouse: Warehouse, sql: str) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(warehouse.stream(sql).read_all()))
    moments = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(pl.col(moments).dt.convert_time_zone("UTC").dt.cast_time_unit("us"))


def _render(warehouse: Warehouse, name: str, **values: Any) -> str:
    return render(SQL, name, warehouse.dialect, **values)
