"""One message for one person, to look at or to try out: what the template says now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from assets import configuration
from assets.journeys import why
from assets.journeys.messages import CONTACTS
from assets.messages.compiling import compiled
from assets.messages.composing import OF_JOURNEY, Letterhead
from assets.messages.templates import templates
from assets.messages.text import Text
from assets.mistakes import suggestion
from models.errors import UserError
from models.message import Message
from models.settings import Settings
from models.sync import TRANSACTIONAL, Channel
from sinks.destinations import links_for
from sinks.spool import PROFILE, SEND_KEY
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
EVENTS = 200  # of a person's last events, those in which the template's variables are looked for


def preview(
    settings: Settings,
    copy: Warehouse,
    template: str,
    person: str,
    *,
    now: datetime,
    channel: Channel | None = None,
    locale: str | None = None,
    to: str | None = None,
    show_pii: bool = False,
) -> Message:
    """The message that the person would get. `to`: somebody else's contact point, who tries it out.

    What the template uses beyond the profile is taken from their last event that has it. Raises UserError for an
    unknown template or person, and where the message cannot be made.
    """
    found = templates(settings)
    if template not in found:
        hint = suggestion(template, list(found), "in dbt_project/templates")
        message = f"no template '{template}'{hint}"
        raise UserError(message)
    text = found[template]
    profile = why.profiles(copy, person, show_pii=show_pii)[0]
    row = copy.rows(f"select * from main.profiles where profile_id = {copy.dialect.literal(profile)}")
    if not row:
        message = f"{profile} is no profile now: it was merged into another, or erased; `tailrace why` says more"
        raise UserError(message)
    channel = channel or ("email" if text.ending != ".txt" or text.template.subject else "sms")
    purpose = text.template.purpose or "marketing"
    contact = CONTACTS[channel]
    letterhead = Letterhead(
        channel=channel,
        purpose=purpose,
        contact=contact,
        texts={text.digest: text},
        links=None if purpose == TRANSACTIONAL else links_for(settings),
        campaign=configuration.policy(settings).campaign,
        now=now,
    )
    values = {**row[0], "variables": orjson.dumps(_of_events(copy, profile, text, row[0]))}
    given = {"template": template, "template_version": text.digest, "locale": locale or row[0].get("locale")}
    # whoever tries a message out is not the person it is about: what comes back of it must not make the two one
    whose = {contact: to, PROFILE: "", SEND_KEY: f"preview-{uuid4().hex}"} if to else {}
    shown = {contact: row[0].get(contact) or "", PROFILE: profile, SEND_KEY: f"preview-{profile}"}
    made = letterhead.made({**values, **given, **shown, **whose})
    if isinstance(made, str):
        raise UserError(made)
    return replace(made, to=made.to or f"(no {channel})")


def _of_events(copy: Warehouse, profile: str, text: Text, row: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs besides the profile, from the latest event that has it."""
    template = compiled(text)
    wanted = (template.variables - (row.keys() - OF_JOURNEY)) | template.properties
    if not wanted:
        return {}
    events = copy.rows(render(SQL, "person_events", copy.dialect, profile=profile, most=EVENTS))
    told: dict[str, Any] = {}
    for event in events:
        properties = orjson.loads(event["properties"] or b"{}")
        for name in wanted & properties.keys():
            told.setdefault(name, properties[name])
    return told
