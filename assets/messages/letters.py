"""What the messages of one delivery are made of, gathered while the warehouse is open."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

from assets.diff import ROWS
from assets.messages import templates, versions
from assets.messages.composing import OF_JOURNEY, OF_SEGMENT, Composer, Letterhead
from assets.messages.text import FOLDER
from models.policy import Policy
from models.settings import Settings
from models.sync import TRANSACTIONAL, Sync
from sinks.destinations import links_for
from warehouse.base import Warehouse


def letterhead(
    warehouse: Warehouse, settings: Settings, policy: Policy, sync: Sync, now: datetime, at: datetime
) -> Letterhead:
    """For the plan at hand; `now` is the messages' own, `at` the real one.

    Raises UserError where prod has no key to sign links with.
    """
    assert sync.destination.channel, "a sink of messages has a channel"
    assert sync.entry.purpose, "what is said to people has a purpose"
    assert sync.entry.contact, "and goes somewhere"
    if sync.entry.template:  # a segment's message is made of the template as it is now
        versions.keep(warehouse, [templates.readable(settings)[sync.entry.template]], at)
    known = versions.kept(warehouse, settings.dbt_project / FOLDER)
    asked = {row["template_version"] for row in warehouse.rows(f"select distinct template_version from {ROWS}")}
    return Letterhead(
        channel=sync.destination.channel,
        purpose=sync.entry.purpose,
        contact=sync.entry.contact,
        texts={digest: text for digest, text in known.items() if digest in asked},
        links=None if sync.entry.purpose == TRANSACTIONAL else links_for(settings),
        campaign=policy.campaign,
        now=now,
        own=OF_JOURNEY if sync.journey else OF_SEGMENT,
    )


def composer(made_of: Letterhead | None) -> AbstractContextManager[Composer | None]:
    """What makes messages of rows; nothing where the sink takes rows as they are."""
    return Composer(made_of) if made_of else nullcontext()
