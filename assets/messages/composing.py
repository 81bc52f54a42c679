"""Composes the messages of a delivery, a chunk at a time: what a sink gets of the rows that a plan has.

Many are made in other processes: Liquid is a third of a millisecond of Python a message, and the delivery loop needs
its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import chain
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Self

import orjson
import polars as pl
from liquid.exceptions import LiquidError

from assets.messages.compiling import Compiled, compiled_or_why
from assets.messages.liquid import environment
from assets.messages.reasons import mistake
from assets.messages.rendering import Occasion, Unrendered, render, rendering
from assets.messages.text import Text
from models.links import Links, Recipient
from models.message import FIELDS, Message
from models.sync import Channel
from sinks.composed import Composed
from sinks.mail import NotAnAddress, recipient
from sinks.spool import PROFILE, SEND_KEY

AT_ONCE = 200  # messages a process makes before it hands them back
FEW = 1_000  # a process needs half a second to begin, in which this one makes so many
OF_SEGMENT = frozenset({"entry_id", "template", "template_version"})
OF_JOURNEY = OF_SEGMENT | {"journey", "version", "node", "variables"}
"""Columns of a row that are the message's, not its person's: what a template calls so is the entry event's."""


@dataclass(frozen=True)
class Letterhead:
    """What the messages of one delivery share. Small enough to be handed to another process."""

    channel: Channel
    purpose: str
    contact: str  # the column with the contact point
    texts: Mapping[str, Text]  # digest → that version of a template
    links: Links | None  # None where nothing can be unsubscribed from
    campaign: Mapping[str, str]  # parameter → its value, with Liquid in it
    now: datetime
    own: frozenset[str] = OF_JOURNEY  # columns of a row that no template sees

    def made(self, row: Mapping[str, Any]) -> Message | str:
        """The message of a row, or why there is none."""
        read = self.texts.get(row["template_version"] or "")
        if read is None:
            return f"{row['template']}: this version of its text was never kept"
        to = row[self.contact]
        if self.channel == "email" and to:
            try:
                recipient(to)
            except NotAnAddress as error:
                return str(error)
        whose = Recipient(row[PROFILE], self.channel, to, self.purpose, row[SEND_KEY])
        token = self.links.token(whose) if self.links else None
        template = compiled_or_why(read)
        if isinstance(template, str):
            return template
        try:
            occasion = Occasion(
                now=self.now,
                unsubscribe_url=self.links.unsubscribe(token) if self.links and token else None,
                preferences_url=self.links.preferences(token) if self.links and token else None,
                campaign=self._parameters(row, read),
            )
            rendered = render(template, row["locale"], self._values(template, row), occasion)
        except Unrendered as error:
            return str(error)
        out = occasion.unsubscribe_url
        if self.channel == "email" and out and (part := rendered.part_without(out)):
            return f"{read.name}: its {part} has no unsubscribe_url for this person, and {self.purpose} needs one"
        return Message(
            send_key=row[SEND_KEY],
            profile_id=row[PROFILE],
            to=to,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            sender=read.template.sender,
            reply_to=read.template.reply_to,
            unsubscribe_url=occasion.unsubscribe_url,
            preferences_url=occasion.preferences_url,
            purpose=self.purpose,
            journey=row.get("journey"),
            node=row.get("node"),
            template=read.name,
            template_version=read.digest,
            locale=rendered.locale,
        )

    def _values(self, template: Compiled, row: Mapping[str, Any]) -> dict[str, Any]:
        profile = {name: row[name] for name in template.named if name in row and name not in self.own}
        return template.values(profile, orjson.loads(row.get("variables") or b"{}") if "variables" in self.own else {})

    def _parameters(self, row: Mapping[str, Any], read: Text) -> dict[str, str]:
        """Those that say something: a segment's message is of no journey."""
        values = (("channel", self.channel), ("template", read.name), *((name, row.get(name)) for name in _NAMED))
        filled = ((name, _filled(text, values)) for name, text in self.campaign.items())
        return {name: text for name, text in filled if text}


_NAMED = ("journey", "node", "locale")


@lru_cache(maxsize=4_096)
def _filled(text: str, values: tuple[tuple[str, str | None], ...]) -> str:
    """A campaign's parameter for messages of one step. Raises Unrendered."""
    with rendering("campaign"):
        return environment(html=False).from_string(text).render(dict(values))


def campaign_mistake(text: str) -> str | None:
    """What is wrong with a parameter of policy.yml; None for one that is right."""
    names = ("channel", "template", *_NAMED)
    try:
        used = environment(html=False).from_string(text).analyze().globals
    except LiquidError as error:
        return f"is not Liquid: {mistake(error, text)[0]}"
    unknown = sorted(set(used) - set(names))
    if unknown:
        return f"'{unknown[0]}' is not known of a message; allowed: {', '.join(names)}"
    try:
        _filled(text, tuple((name, "a_name") for name in names))
    except Unrendered as error:
        return f"cannot be made: {error}"
    return None


class Composer:
    """Makes the messages of one delivery. Use as a context manager: it may have begun processes."""

    def __init__(self, letterhead: Letterhead) -> None:
        self._letterhead = letterhead
        self._begun = False

    def __call__(self, rows: pl.DataFrame) -> Composed:
        """One row a row, in the same order; `failed` are those that have no message, with the reason."""
        made = list(self._made(rows))
        failed = {place: each for place, each in enumerate(made) if isinstance(each, str)}
        listed = [(None,) * len(FIELDS) if isinstance(each, str) else astuple(each) for each in made]
        frame = pl.DataFrame(listed, schema=dict.fromkeys(FIELDS, pl.String), orient="row")
        return Composed(frame, failed)

    def _made(self, rows: pl.DataFrame) -> Iterable[Message | str]:
        if len(rows) < FEW and not self._begun:
            return _composed(self._letterhead, rows.to_dicts())
        self._begun = True
        slices: Iterator[Sequence[dict[str, Any]]] = (part.to_dicts() for part in rows.iter_slices(AT_ONCE))
        return chain.from_iterable(self._pool.map(_in_worker, slices))

    @cached_property
    def _pool(self) -> ProcessPoolExecutor:
        links = self._letterhead.links
        fresh = replace(self._letterhead, links=links and replace(links))  # a cipher that was used stays in its process
        # spawned: a forked child would keep the locks of this process
        return ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn"), initializer=_begin, initargs=(fresh,))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun:
            self._pool.shutdown(cancel_futures=True)


def _composed(letterhead: Letterhead, rows: Sequence[Mapping[str, Any]]) -> list[Message | str]:
    return [letterhead.made(row) for row in rows]


_of_worker: list[Letterhead] = []  # in a process of the pool: what `_begin` was given


def _begin(letterhead: Letterhead) -> None:
    _of_worker[:] = [letterhead]


def _in_worker(rows: Sequence[Mapping[str, Any]]) -> list[Message | str]:
    return _composed(_of_worker[0], rows)
