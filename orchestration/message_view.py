"""How `tailrace message` shows a message: in the terminal, as a file, in a browser, or by sending it to somebody."""

from __future__ import annotations

import asyncio
import tempfile
import webbrowser
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from assets import stages, store
from assets.destinations import destinations
from assets.diff import mask
from assets.messages import previewing, templates
from assets.messages.sent import Sent, sent
from assets.mistakes import suggestion
from models.clock import Clock
from models.delivery import Claim, Outcome, RowOutcome
from models.errors import NeedsPerson, UserError
from models.message import FIELDS, Message
from models.settings import Settings
from models.sync import Channel, Destination, Op
from orchestration import console
from sinks import registry
from sinks.backlog import Chunk
from sinks.base import Batch, Carrier
from sinks.destinations import secrets_for, wire_for
from sinks.spool import ROW

SHOWN = ("to", "sender", "reply_to", "subject", "locale", "template", "template_version", "unsubscribe_url")
LINKS = ("unsubscribe_url", "preferences_url")  # who has one acts for its person


def make(
    settings: Settings,
    template: str,
    person: str,
    clock: Clock,
    *,
    locale: str | None,
    channel: Channel | None = None,
    to: str | None = None,
    show_pii: bool = False,
) -> Message:
    """The message. Raises UserError as `previewing.preview`, and where nothing is published yet."""
    with store.reading(settings) as copy:
        return previewing.preview(
            settings, copy, template, person, now=clock.as_of, channel=channel, locale=locale, to=to, show_pii=show_pii
        )


def find(settings: Settings, send_key: str) -> Sent:
    """What went out under this key. Raises UserError where nothing did."""
    with store.locked(settings, how="beside"), stages.opened(settings) as warehouse:
        return sent(settings, warehouse, send_key)


def became(found: Sent) -> dict[str, Any]:
    """What is said beside a message that was sent."""
    told = {"sync": found.sync, "sent_at": found.as_of, "outcome": found.outcome}
    return {**told, "reason": found.reason, "provider_id": found.provider_id}


def history(found: Sent, *, show_pii: bool) -> dict[str, Any]:
    """The JSON of `tailrace sent`."""
    return {**document(found.message, show_pii=show_pii), **became(found)}


def document(message: Message, *, show_pii: bool) -> dict[str, Any]:
    """The JSON of `tailrace message`; without `show_pii` the person's links and contact point are hidden."""
    told = asdict(message)
    if show_pii:
        return told
    for link in filter(None, (told[name] for name in LINKS)):
        hidden = f"{link.rpartition('/')[0]}/***"
        told |= {name: told[name].replace(link, hidden) for name in (*LINKS, "text", "html") if told[name]}
    return told | {"to": mask(message.to)}


def show(message: Message, *, show_pii: bool, beside: Mapping[str, Any] | None = None) -> None:
    """Headers as a table, `beside` them what became of it, then the text part: what is read without HTML."""
    screen, told = console.out(), document(message, show_pii=show_pii)
    listed = {**{name: told[name] for name in SHOWN}, **(beside or {})}
    screen.print(console.table([{"what": name, "": value} for name, value in listed.items() if value]))
    screen.print(told["text"], markup=False)
    if message.html:
        screen.print(f"HTML: {len(message.html.encode()):,} bytes; see it with --browser, keep it with --file")


def write(message: Message, path: Path) -> None:
    """The HTML, or the text where there is none. Raises UserError where the file cannot be written."""
    try:
        path.write_text(message.html or message.text, encoding="utf-8")
    except OSError as error:
        text = f"{path}: cannot be written ({error.strerror})"
        raise UserError(text) from error


def browse(message: Message) -> Path:
    """Open it in the browser; the file it is in."""
    ending = ".html" if message.html else ".txt"
    with tempfile.NamedTemporaryFile("w", suffix=ending, prefix="tailrace-", delete=False, encoding="utf-8") as file:
        file.write(message.html or message.text)
    webbrowser.open(Path(file.name).as_uri())
    return Path(file.name)


@dataclass(frozen=True)
class Chosen:
    """By what a message would go. `name` is None where it is only looked at, and no destination has its channel."""

    channel: Channel
    name: str | None = None
    destination: Destination | None = None


def destination_for(settings: Settings, name: str | None, template: str, *, is_sent: bool) -> Chosen:
    """The destination named, or the first that carries such messages. Raises UserError where there is none."""
    known = {each: found for each, found in destinations(settings).items() if registry.load(found.sink).channel}
    if name is not None and name not in known:
        message = f"no destination '{name}' that carries messages{suggestion(name, list(known), 'in sinks.yml')}"
        raise UserError(message)
    text = templates.templates(settings).get(template)
    is_mail = text is None or text.ending != ".txt" or text.template.subject is not None
    fitting = [each for each, found in known.items() if (found.channel == "email") == is_mail]
    if name is None and not fitting:
        if is_sent:
            message = "sinks.yml has no destination that carries such messages; name one with --sink"
            raise UserError(message)
        return Chosen("email" if is_mail else "sms")
    chosen = name or fitting[0]
    channel = known[chosen].channel
    assert channel, "a sink of messages has a channel"
    return Chosen(channel, chosen, known[chosen])


def send(settings: Settings, chosen: Chosen, message: Message, at: datetime) -> Mapping[str, Any]:
    """Hand this one message to the destination, outside of every sync: nothing remembers it, no cap counts it.

    Raises NeedsPerson where nobody listens or it was not taken, UserError where a secret is missing.
    """
    assert chosen.name, "what is sent goes somewhere"
    assert chosen.destination, "what is sent goes somewhere"
    kind = registry.load(chosen.destination.sink)
    secrets = secrets_for(kind, chosen.name, chosen.destination, settings)
    sink = kind(kind.Options(**chosen.destination.options), secrets)
    assert isinstance(sink, Carrier), "what carries messages takes batches"
    sync = f"{chosen.name}/test"
    frame = pl.DataFrame([astuple(message)], schema=dict.fromkeys(FIELDS, pl.String), orient="row")
    chunk = Chunk.of(sink, Op.SEND, frame.with_columns(pl.lit(0).alias(ROW)))
    batch = Batch(sync, Op.SEND, message.send_key, ("send_key",), at, chunk.payloads, chunk.frame, range(1))
    wire = wire_for(sink, settings, sync=sync, as_of=at, now=lambda: at)
    wire.ready()

    async def carried() -> RowOutcome:
        async with wire:
            return (await wire.send(batch, Claim(0, "test", str(Op.SEND), ((0, 1),), 1, message.send_key)))[0]

    return _told(asyncio.run(carried()), chosen.name, is_live=settings.target == "prod")


def _told(outcome: RowOutcome, name: str, *, is_live: bool) -> Mapping[str, Any]:
    """What became of it. Raises NeedsPerson where it did not go."""
    if outcome.outcome is not Outcome.ACCEPTED:
        message = f"{name} did not take it: {outcome.outcome}: {outcome.reason}"
        raise NeedsPerson(message)
    where = name if is_live else f"{name}, which is the recorder in dev: nobody gets it"
    return {"sent_by": name, "provider_id": outcome.provider_id or None, "note": f"sent by {where}"}
