"""A message that was sent, as it was: the version of its text that was kept, with the values that the ledger has of it.

Its links have today's campaign parameters: those of policy.yml are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assets import configuration
from assets.journeys.messages import CONTACTS
from assets.messages import versions
from assets.messages.composing import OF_JOURNEY, OF_SEGMENT, Letterhead
from assets.messages.text import FOLDER
from models.errors import UserError
from models.message import Message
from models.settings import Settings
from models.sync import TRANSACTIONAL
from sinks.destinations import links_for
from sinks.spool import PROFILE, SEND_KEY
from warehouse.base import Warehouse


@dataclass(frozen=True)
class Sent:
    """A message, by which sync it went, when, and what was heard of it last."""

    message: Message
    sync: str
    as_of: datetime
    outcome: str
    reason: str
    provider_id: str


def sent(settings: Settings, warehouse: Warehouse, send_key: str) -> Sent:
    """What went out under this key. Raises UserError where nothing did."""
    planned = _planned(warehouse, send_key)
    row = _answered(warehouse, planned["sync"], planned["key"])
    if row is None:
        message = (
            f"nothing is known yet of message '{send_key}', which was planned at {planned['as_of']:%Y-%m-%d %H:%M}"
        )
        raise UserError(message)
    contact = CONTACTS[planned["channel"]]
    letterhead = Letterhead(
        channel=planned["channel"],
        purpose=planned["purpose"],
        contact=contact,
        texts=versions.kept(warehouse, settings.dbt_project / FOLDER),
        links=None if planned["purpose"] == TRANSACTIONAL else links_for(settings),
        campaign=configuration.policy(settings).campaign,
        now=row["_as_of"],
        own=OF_JOURNEY if "variables" in row else OF_SEGMENT,
    )
    made = letterhead.made({contact: "", **row, PROFILE: planned["profile_id"], SEND_KEY: send_key})
    if isinstance(made, str):
        raise UserError(made)
    return Sent(made, planned["sync"], row["_as_of"], row["_outcome"], row["_reason"], row["_provider_id"])


def _planned(warehouse: Warehouse, send_key: str) -> dict[str, Any]:
    literal = warehouse.dialect.literal(send_key)
    known = warehouse.columns("tailrace.message")
    rows = warehouse.rows(f"select * from tailrace.message where send_key = {literal}") if known else []
    if not rows:
        message = f"no message has the send_key '{send_key}'; `tailrace why PERSON --json` tells those of somebody"
        raise UserError(message)
    return max(rows, key=lambda row: row["as_of"])


def _answered(warehouse: Warehouse, sync: str, key: str) -> dict[str, Any] | None:
    """The row of the ledger: that which was accepted, else the last."""
    literal = warehouse.dialect.literal
    ledgers = warehouse.rows(f"select distinct relation from tailrace.ledger where sync = {literal(sync)}")
    rows = [
        row
        for ledger in ledgers
        if "entry_id" in warehouse.columns(ledger["relation"])
        for row in warehouse.rows(f"select * from {ledger['relation']} where entry_id = {literal(key)}")
    ]
    return max(rows, key=lambda row: (row["_outcome"] == "accepted", row["_epoch"], row["_seq"]), default=None)
