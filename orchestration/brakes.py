"""Pause and resume: they need the journal only, so that they work when everything else is broken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from assets import store, syncs
from assets.journeys import documents, funnel
from assets.journeys.messages import CONTACTS
from assets.mistakes import suggestion
from models.errors import TailraceError, UserError
from models.settings import Settings
from sinks.journal import Journal
from warehouse.engine import engine

ALL = "all"


def pause(settings: Settings, scope: str, at: datetime) -> list[str]:
    """Hold `scope` before its next claim; everything that is paused now."""
    _known(settings, scope)
    settings.root.mkdir(parents=True, exist_ok=True)
    with Journal(settings.journal) as journal:
        if scope not in journal.paused():
            _refuse_earlier(journal, scope, at)
        journal.pause(scope, at)
        return sorted(journal.paused())


def resume(settings: Settings, scope: str, at: datetime) -> list[str]:
    """Let `scope` go on; everything that is still paused. Raises UserError when it was not paused."""
    with Journal(settings.journal) as journal:
        paused = sorted(journal.paused())
        if scope in paused:
            _refuse_earlier(journal, scope, at)
        if not journal.resume(scope, at):
            message = f"'{scope}' is not paused; paused: {', '.join(paused) or 'nothing'}"
            raise UserError(message)
        return sorted(journal.paused())


def _refuse_earlier(journal: Journal, scope: str, at: datetime) -> None:
    """What is paused is resumed afterwards, by the same clock: else nobody could tell what a pause held."""
    mine = [(change, changed_at) for _, name, change, changed_at in journal.pause_changes() if name == scope]
    for change, changed_at in mine[-1:]:
        if at < changed_at:
            said, last = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" for moment in (at, changed_at))
            message = f"'{scope}' was {change} as of {last}, and {said} is before that; use a later --as-of, or none"
            raise UserError(message)


def _known(settings: Settings, scope: str) -> None:
    """Refuse a name that nothing has; a project that cannot be read stops nobody from braking."""
    kind, is_of_kind, name = scope.partition(":")
    if scope == ALL:
        return
    if kind == "channel" and is_of_kind:
        _require("channel", name, sorted(CONTACTS), "there are")
        return
    try:
        known, journeys = syncs.load_syncs(settings), _journeys(settings)
    except TailraceError:
        return
    if kind == "journey" and is_of_kind:
        _require("journey", name, journeys, "written or published")
    else:
        syncs.named(known, scope)


def _require(kind: str, name: str, known: Sequence[str], listed: str) -> None:
    if name not in known:
        message = f"no {kind} '{name}'{suggestion(name, known, listed)}"
        raise UserError(message)


def _journeys(settings: Settings) -> list[str]:
    """Every journey that is written, however badly, or published: its file may be gone and its people not."""
    written = {read.journey.journey for read in documents.readable(settings)} | documents.unreadable(settings).keys()
    if not engine(settings).is_published():
        return sorted(written)
    with store.reading(settings) as copy:
        return sorted(written | {version.name for version in funnel.published(copy)})
