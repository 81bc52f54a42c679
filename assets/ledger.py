"""What every sync's vendor answered: one append-only ledger a sync, with the model's own typed columns.

State is never stored: it is the latest accepted row of an identity by (epoch, seq). Nothing here decides what to send.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets.delivery_tables import LEDGER_COLUMNS
from models.sync import Sync, slug_of
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.dialect import Dialect
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
FEW_BATCHES = 20
SLUG = 44  # letters: with `planned_`, a generation and `__log` a name has 63, which is as long as PostgreSQL's are
TAIL_SHARE = 0.3
Position = tuple[int, int]


@dataclass(frozen=True)
class Ledger:
    """The ledgers of one sync at one destination, newest generation first, and the identity they are read by."""

    destination: str
    relations: tuple[str, ...]
    identity: tuple[str, ...]

    @property
    def newest(self) -> str:
        return self.relations[0]


def relations(warehouse: Warehouse, sync: Sync) -> list[str]:
    """Every ledger kept for a sync of this name, whatever its destination."""
    return [str(row["relation"]) for row in _generations(warehouse, sync)]


def destinations(warehouse: Warehouse, sync: Sync) -> list[str]:
    """Those that the sync has a ledger of."""
    return sorted({str(row["destination"]) for row in _generations(warehouse, sync)})


def find(warehouse: Warehouse, sync: Sync, destination: str) -> Ledger | None:
    """The ledgers kept for this sync at this destination; None before the first plan."""
    known = [row for row in _generations(warehouse, sync) if row["destination"] == destination]
    relations = tuple(str(row["relation"]) for row in reversed(known))
    return Ledger(destination, relations, sync.identity) if relations else None


def open_for(warehouse: Warehouse, sync: Sync, destination: str, columns: Mapping[str, str], at: datetime) -> Ledger:
    """The ledgers, ready to take rows of these columns: a new column is added, another type begins a generation."""
    found = find(warehouse, sync, destination)
    if found and not _moved(warehouse, found.newest, columns):
        batches.create_log(warehouse, found.newest, {**LEDGER_COLUMNS, **columns}, in_views=False)
        return found
    generation = max((int(str(row["generation"])) for row in _generations(warehouse, sync)), default=0) + 1
    # in front, where no sync's name has a number
    relation = f"tailrace.ledger_{f'{generation}_' if generation > 1 else ''}{_short(sync.slug)}"
    batches.create_log(warehouse, relation, {**LEDGER_COLUMNS, **columns}, in_views=False)
    register(warehouse, sync.name, destination, generation, relation, at)
    return Ledger(destination, (relation, *(found.relations if found else ())), sync.identity)


def register(warehouse: Warehouse, sync: str, destination: str, generation: int, relation: str, at: datetime) -> None:
    """Make it known that the relation is a generation of the sync's ledger; again is nothing."""
    row = {"sync": sync, "destination": destination, "generation": generation, "relation": relation}
    batches.append_once(warehouse, f"ledger/{slug_of(sync)}/{generation}", "tailrace.ledger", row, at)


def _short(slug: str) -> str:
    """The slug; a long one cut and told from others by its hash, so that every engine can have tables of its name."""
    if len(slug) <= SLUG:
        return slug
    return f"{slug[: SLUG - 11]}_{hashlib.blake2b(slug.encode(), digest_size=5).hexdigest()}"


@dataclass(frozen=True)
class Rows:
    """Queries of a ledger's visible rows: all, and where there was a compaction what it wrote and what came since."""

    all: str
    base: str | None = None
    tail: str | None = None


def rows_of(warehouse: Warehouse, ledger: Ledger, columns: Mapping[str, str]) -> Rows:
    """The queries. A tail above TAIL_SHARE is not set apart: to find its last rows would cost more than it saves."""
    everything = rows_sql(warehouse, ledger, columns)
    known = batches.visible_in(warehouse, ledger.newest)
    bases = [batch_id for batch_id in known if batch_id.startswith("compact/")]
    others = [batch_id for batch_id in known if batch_id not in bases]
    tail_rows = sum(known[batch_id] for batch_id in others)
    if len(bases) != 1 or len(ledger.relations) > 1 or not 0 < tail_rows <= TAIL_SHARE * sum(known.values()):
        return Rows(everything)
    log = ledger.newest + batches.LOG_SUFFIX
    base = f"{log}\nwhere batch_id = {warehouse.dialect.literal(bases[0])}"
    listed = ", ".join(warehouse.dialect.literal(batch_id) for batch_id in others)
    tail = f"{log}\nwhere batch_id in ({listed})"
    shape = [_generation_sql(warehouse, ledger.newest, columns, source) for source in (base, tail)]
    return Rows(everything, *shape)


def rows_sql(warehouse: Warehouse, ledger: Ledger, columns: Mapping[str, str]) -> str:
    """A query of all visible rows, with these columns in these types; `_uncast` where an old value has none."""
    return "\nunion all\n".join(_generation_sql(warehouse, relation, columns) for relation in ledger.relations)


def kept_kinds(warehouse: Warehouse, ledger: Ledger, columns: Mapping[str, str]) -> dict[str, str]:
    """Types that identity columns must keep because a row of the ledger has a value that today's type has not."""
    dialect, kept = warehouse.dialect, {}
    for name in ledger.identity:
        for relation in ledger.relations:
            have = warehouse.columns(relation).get(name, columns[name])
            lost = _lost(dialect, dialect.quote(name), have, columns[name])
            if have != columns[name] and warehouse.rows(f"select 1 as found from {relation} where {lost} limit 1"):
                kept[name] = dialect.text
    return kept


def settled_sql(warehouse: Warehouse, sync: Sync, ledger: Ledger | None) -> str:
    """A query of the entries that were sent, or ended otherwise: they get no message any more."""
    relations = [each for each in (ledger.relations if ledger else ()) if "entry_id" in warehouse.columns(each)]
    is_journey = bool(sync.journey and ledger)
    return render(
        SQL,
        "settled_entries",
        warehouse.dialect,
        relations=relations,
        is_journey=is_journey,
        released=released_sql(warehouse, sync, ledger.destination) if ledger and is_journey else None,
        released_all=released_all(warehouse, sync, ledger.destination) if ledger and is_journey else (0, 0),
    )


def position(warehouse: Warehouse, ledger: Ledger) -> Position:
    """Epoch and sequence of the last row."""
    rows = " union all ".join(f"select _epoch, _seq from {relation}" for relation in ledger.relations)
    found = warehouse.rows(f"select _epoch, _seq from ({rows}) as kept order by _epoch desc, _seq desc limit 1")
    return (int(found[0]["_epoch"]), int(found[0]["_seq"])) if found else (0, 0)


def released_sql(warehouse: Warehouse, sync: Sync, destination: str) -> str | None:
    """A query of keys that were released, with the position up to which; None where none was."""
    query = render(SQL, "released", warehouse.dialect, sync=sync.name, destination=destination, what="key is not null")
    return query if warehouse.rows(f"select 1 as found from ({query}) as released limit 1") else None


def released_all(warehouse: Warehouse, sync: Sync, destination: str) -> Position:
    """The position up to which everything of the sync was released."""
    query = render(SQL, "released", warehouse.dialect, sync=sync.name, destination=destination, what="key is null")
    found = warehouse.rows(query)
    return (int(found[0]["_epoch"]), int(found[0]["_seq"])) if found else (0, 0)


def release(warehouse: Warehouse, sync: Sync, ledger: Ledger, key: str | None, at: datetime) -> None:
    """Let what is held (one key, or all) be planned again. Up to the last row there is now."""
    epoch, seq = position(warehouse, ledger)
    batch_id = f"release/{sync.slug}/{ledger.destination}/{key or ''}/{epoch}.{seq}"
    row = {
        "sync": sync.name,
        "destination": ledger.destination,
        "key": key,
        "epoch": epoch,
        "seq": seq,
        "released_at": at,
    }
    batches.append_once(warehouse, batch_id, "tailrace.release", row, at)


def key_text(dialect: Dialect, identity: Sequence[str], relation: str) -> str:
    """The identity of a row as one text, as people read it in `deliveries` and write it after `release`."""
    parts = [f"cast({relation}.{dialect.quote(name)} as {dialect.text})" for name in identity]
    return parts[0] if len(parts) == 1 else f"concat_ws('|', {', '.join(parts)})"


def _generations(warehouse: Warehouse, sync: Sync) -> list[dict[str, object]]:
    name = warehouse.dialect.literal(sync.name)
    return warehouse.rows(
        f"select destination, generation, relation from tailrace.ledger where sync = {name} order by generation"
    )


def _moved(warehouse: Warehouse, relation: str, columns: Mapping[str, str]) -> bool:
    have = warehouse.columns(relation)
    return any(have.get(name, kind) != kind for name, kind in columns.items())


def _generation_sql(warehouse: Warehouse, relation: str, columns: Mapping[str, str], source: str | None = None) -> str:
    dialect, have = warehouse.dialect, warehouse.columns(relation)
    selected, lost = [], []
    for name, kind in columns.items():
        column = dialect.quote(name)
        if name not in have:
            selected.append(f"cast(null as {dialect.kind(kind)}) as {column}")
        elif have[name] == kind:
            selected.append(column)
        else:
            selected.append(f"{dialect.try_cast(column, kind)} as {column}")
            lost.append(_lost(dialect, column, have[name], kind))
    listed = ",\n    ".join([*LEDGER_COLUMNS, *selected, f"{' or '.join(lost) or 'false'} as _uncast"])
    return f"select\n    {listed}\nfrom {source or _visible(warehouse, relation)}"


def _lost(dialect: Dialect, column: str, kind: str, other: str) -> str:
    """SQL: whether a value of this type is none in the other, or comes back from it as another value."""
    back = dialect.try_cast(dialect.try_cast(column, other), kind)
    return f"({dialect.hashable(column, kind)} is distinct from {dialect.hashable(back, kind)})"


def _visible(warehouse: Warehouse, relation: str) -> str:
    """The log's visible rows. Where all are, or few batches have them, that reads faster than the view's join.

    The batches of a ledger have rows in no other log, so their counts add up.
    """
    log, known = relation + batches.LOG_SUFFIX, batches.visible_in(warehouse, relation)
    if sum(known.values()) == int(warehouse.rows(f"select count(*) as n from {log}")[0]["n"]):
        return log
    if len(known) > FEW_BATCHES:
        return relation
    listed = ", ".join(warehouse.dialect.literal(batch_id) for batch_id in known) or "''"
    return f"{log}\nwhere batch_id in ({listed})"
