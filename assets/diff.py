"""Compares a sync's audience with what its vendor last accepted (sql/diff/), in one statement on DuckDB.

`doubts` reads all of both sides and finds who is doubtful, `past` what the ledger has of them, `standing` what of that
counts; `rows` decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from assets import ledger as ledgers
from assets.audience import Audience
from models.errors import Refused
from models.sync import Mode, Op
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
ROWS = "plan_rows"  # the temporary table with the result
EXAMPLES = 5
_CONTACT = re.compile(
    r"(\"[^\"]+\"|[^\s@<>'\"(),;:/]+)(@|%40)[^\s@<>'\"(),;:/]+"  # an e-mail address, as links write it too
    r"|(?<![\w.-])(\+|00?)[1-9][0-9 ()./-]{6,}[0-9](?!\w)"  # a phone number as written: +49 170 1234567, 0170/1234567
    r"|(?<![\w.-])(1[ .-]?)?\(?[2-9][0-9]{2}\)?[ .-]?[0-9]{3}[ .-][0-9]{4}(?![\w.-])"  # … in America: (555) 123-4567
    r"|(?<![\w.-])[1-9][0-9]{10,14}(?![\w.-])"  # … or as vendors do: 491701234567
)
EPOCH_SIZE = 2**40  # more than the sequence numbers a journal will ever give


@dataclass(frozen=True)
class Question:
    """Everything the diff depends on besides the two sides."""

    mode: Mode
    config: str  # rejects of another configuration are tried again
    day_start: datetime  # rejected removes of a day before are tried again
    waiting: Iterable[Op] = ()  # operations whose unknown outcome waits for a person
    whole: bool = False  # every plan carries the whole audience
    released: str | None = None  # a query of keys with the position up to which they were released
    released_all: ledgers.Position = (0, 0)


@dataclass(frozen=True)
class Totals:
    """What the statement counted on its way."""

    model: int  # people in the audience today
    suppressed: int  # people in the model who are not in the audience for want of consent
    compared: int  # rows of the audience that were compared column by column
    quiet: int  # rows of the ledger that were not
    held_state: int  # identities that the vendor holds, of whom rows of the ledger were compared
    null_keys: int  # rows of the audience without a value in their key
    repeated: int  # identities found to have several rows in it; others may hide

    @property
    def accepted(self) -> int:
        """Identities that the vendor holds: every quiet row of the audience is one."""
        return self.model - self.compared + self.held_state

    @property
    def pairs_up(self) -> bool:
        """Whether every row that was not compared has exactly one partner; if not, a key is there twice."""
        return self.model - self.compared == self.quiet


def difference(warehouse: Warehouse, audience: Audience, ledger_rows: ledgers.Rows, question: Question) -> Totals:
    """Fill `plan_rows` with one row an operation (`_op` set) or a held row, and say how much there was.

    Raises Refused with a count and masked examples where a key is null or stands for several rows.
    """
    totals = _fill(warehouse, audience, ledger_rows, question)
    _refuse_null_keys(audience, totals)
    _refuse_repeated(warehouse, audience, totals, question)
    if question.mode is Mode.MIRROR and not totals.pairs_up:
        # no key is there twice, so two identities share a hash
        totals = _fill(warehouse, audience, ledger_rows, question, careful=True)
    return totals


def _fill(
    warehouse: Warehouse, audience: Audience, ledger_rows: ledgers.Rows, question: Question, *, careful: bool = False
) -> Totals:
    """`careful` reads the model twice and trusts no pair of hashes."""
    values = _values(warehouse, audience, ledger_rows, question, careful=careful)
    names = [*(["ledger_side"] if values["tail"] else []), "doubts", "past", "standing", "rows"]
    parts = {name: render(SQL, f"diff/{name}", warehouse.dialect, **values) for name in names}
    warehouse.create_temporary(ROWS, parts.pop("rows"), parts)
    kinds = "select _kind, count(*) as n, max(_note) as note"
    found = warehouse.rows(f"{kinds} from {ROWS} where _kind in ('summary', 'null', 'duplicate') group by _kind")
    (summary,) = (row["note"] for row in found if row["_kind"] == "summary")
    counts = {row["_kind"]: int(row["n"]) for row in found}
    model, suppressed, compared, quiet, held = map(int, summary.split(","))
    return Totals(model, suppressed, compared, quiet, held, counts.get("null", 0), counts.get("duplicate", 0))


def _values(
    warehouse: Warehouse, audience: Audience, ledger_rows: ledgers.Rows, question: Question, *, careful: bool
) -> dict[str, object]:
    """What the statements are filled with."""
    dialect = warehouse.dialect
    columns = tuple(audience.columns)
    others = {name: kind for name, kind in audience.columns.items() if name not in audience.identity}
    hashed = [dialect.hashable(dialect.quote(name), kind) for name, kind in others.items()]
    identity = [dialect.quote(name) for name in audience.identity]
    ops = [dialect.literal(str(op)) for op in question.waiting] or ["''"]
    return {
        "audience": f"({audience.sql})",
        "ledger": f"({ledger_rows.all})",
        "base": f"({ledger_rows.base})",
        "tail": f"({ledger_rows.tail})" if ledger_rows.tail and question.mode is Mode.MIRROR and not careful else None,
        "columns": columns,
        "key": audience.key,
        "identity": audience.identity,
        "identity_hash": dialect.row_hash(identity),
        "row_hash": dialect.row_hash([*identity, *hashed]),
        "key_text": lambda relation: ledgers.key_text(dialect, audience.identity, relation),
        "contact": audience.contact,
        "kept": ("_contact", *audience.carried),
        "refused": audience.refused,
        "removes": question.mode is Mode.MIRROR,
        "once": question.mode in {Mode.APPEND, Mode.SEND_ON_ENTRY},
        "sends": question.mode is Mode.SEND_ON_ENTRY,
        "op": Op.SEND if question.mode is Mode.SEND_ON_ENTRY else Op.UPSERT,
        "whole": question.whole,
        "careful": careful,
        "epoch_size": EPOCH_SIZE,
        "waiting": ", ".join(ops),
        "config": question.config,
        "day_start": question.day_start,
        "released": question.released,
        "released_all": question.released_all,
    }


def _refuse_null_keys(audience: Audience, totals: Totals) -> None:
    if totals.null_keys:
        names = ", ".join(dict.fromkeys((*audience.key, *audience.identity)))
        message = (
            f"{totals.null_keys:,} rows of the audience have no value in their key ({names}); "
            "give each row a key, or leave it out"
        )
        raise Refused(message)


def _refuse_repeated(warehouse: Warehouse, audience: Audience, totals: Totals, question: Question) -> None:
    found = None
    if totals.repeated:
        found = _repeated(warehouse, audience, f"select * from {ROWS} where _kind = 'duplicate'", audience.identity)
    may_hide = not totals.pairs_up if question.mode is Mode.MIRROR else question.mode is not Mode.SEND_ON_ENTRY
    if not found and may_hide:
        found = _search(warehouse, audience, audience.identity)
    if not found and set(audience.key) != set(audience.identity):
        found = _search(warehouse, audience, audience.key)
    if found:
        raise Refused(found)


def _search(warehouse: Warehouse, audience: Audience, names: Sequence[str]) -> str | None:
    listed = ", ".join(warehouse.dialect.quote(name) for name in names)
    query = (
        f"select {listed}, cast(count(*) as {warehouse.dialect.text}) as _note from ({audience.sql}) as audience "
        f"where not _suppressed group by {listed} having count(*) > 1"
    )
    return _repeated(warehouse, audience, query, names)


def _repeated(warehouse: Warehouse, audience: Audience, query: str, names: Sequence[str]) -> str | None:
    """What to say of keys that several rows have; None when there are none."""
    count = int(warehouse.rows(f"select count(*) as n from ({query}) as repeated")[0]["n"])
    if not count:
        return None
    listed = ", ".join(warehouse.dialect.quote(name) for name in names)
    examples = warehouse.rows(f"select {listed}, _note from ({query}) as repeated order by {listed} limit {EXAMPLES}")
    shown = "; ".join(f"{_shown(row, names, audience.pii)} in {row['_note']} rows" for row in examples)
    told = f"{count:,} keys ({', '.join(names)}) stand for several rows: {shown}"
    return f"{told}. A key must be one row; nothing was planned"


def _shown(row: Mapping[str, object], names: Sequence[str], pii: frozenset[str]) -> str:
    return " + ".join(mask(row[name]) if name in pii else str(row[name]) for name in names)


def mask(value: object) -> str:
    """Enough of a value to find it, too little to use it: `a***@e***`."""
    text = "" if value is None else str(value)
    return "@".join(f"{part[:1]}***" for part in text.split("@", 1)) if text else "(nothing)"


def mask_contacts(text: str) -> str:
    """The text with every e-mail address and phone number in it masked: what vendors say, what a key is."""
    return _CONTACT.sub(lambda found: mask(found[0]), text)
