"""Gives a segment's history back the entries that messages were sent for, where the warehouse is older than they are.

The first refresh of a restored warehouse finds people enter who entered before, and who were written to then.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from assets import ledger as ledgers
from assets.audience import HISTORY, PROFILE_MAP
from assets.segments import EVALUATIONS
from models.sync import Mode, Sync
from warehouse import batches
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
FOUND = "forgotten_entries"  # the temporary table with what is put back
NOBODY = "select '' as profile_id, '' as contact where false"


def are_there(warehouse: Warehouse, sync: Sync) -> bool:
    """Whether the history of the sync's segment lacks any. No other mode is about entries."""
    if sync.entry.mode is not Mode.SEND_ON_ENTRY or sync.journey:
        return False
    return any(_is_lacking(warehouse, sync, relation) for relation in _sent(warehouse, sync))


def put_back(warehouse: Warehouse, sync: Sync, at: datetime) -> int:
    """Append them; how many. Nobody else advances a history meanwhile, nor until a plan that heeds them is opened."""
    sent = _sent(warehouse, sync)
    column, contacts = _contacts(warehouse, sync, sent)
    query = render(
        SQL,
        "forgotten_entries",
        warehouse.dialect,
        relations={name: _text(warehouse, column if column in warehouse.columns(name) else None) for name in sent},
        contacts=contacts,
        history=HISTORY,
        evaluations=EVALUATIONS,
        profile_map=PROFILE_MAP,
        segment=sync.model,
    )
    warehouse.create_temporary(FOUND, query)
    hashed = warehouse.dialect.digest(warehouse.dialect.row_hash(["entry_id", "change"]))
    found = warehouse.rows(f"select count(*) as n, {hashed} as digest from {FOUND}")[0]
    if found["n"]:
        batch = batches.Batch(warehouse, f"history/{sync.model}/forgotten/{found['digest']}")
        batch.append(HISTORY, f"select * from {FOUND}")
        batch.commit(at)
    return int(found["n"]) // 2


def _sent(warehouse: Warehouse, sync: Sync) -> list[str]:
    """The sync's ledgers that say for which entry a message was."""
    return [name for name in ledgers.relations(warehouse, sync) if "entry_id" in warehouse.columns(name)]


def _is_lacking(warehouse: Warehouse, sync: Sync, relation: str) -> bool:
    known = f"select entry_id from {HISTORY} where segment = {warehouse.dialect.literal(sync.model)}"
    were_sent = f"select entry_id from {relation} where _outcome in ('accepted', 'unknown', 'pending')"
    return bool(warehouse.rows(f"select 1 as found from ({were_sent}) as sent where entry_id not in ({known}) limit 1"))


def _contacts(warehouse: Warehouse, sync: Sync, sent: list[str]) -> tuple[str | None, str]:
    """The column with the contact point that the messages carried, and a query of who has which today."""
    for name in [sync.entry.contact] if sync.entry.contact else ["email", "phone"]:
        for people in (sync.relation, sync.profiles):
            relation = people and ".".join(warehouse.dialect.quote(part) for part in people)
            if (
                relation
                and name in warehouse.columns(relation)
                and any(name in warehouse.columns(each) for each in sent)
            ):
                return name, f"select profile_id, {_text(warehouse, name)} as contact from {relation}"
    return None, NOBODY


def _text(warehouse: Warehouse, column: str | None) -> str:
    name = warehouse.dialect.quote(column) if column else "null"
    return warehouse.dialect.normalized(f"cast({name} as {warehouse.dialect.text})")
