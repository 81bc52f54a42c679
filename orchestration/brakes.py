"""Pause and resume: they need the journal only, so that they work when everything else is broken."""

from __future__ import annotations

from datetime import datetime

from assets import syncs
from models.errors import UserError
from models.settings import Settings
from sinks.journal import Journal

ALL = "all"


def pause(settings: Settings, scope: str, at: datetime) -> list[str]:
    """Hold `scope` before its next claim; everything that is paused now."""
    _known(settings, scope)
    settings.root.mkdir(parents=True, exist_ok=True)
    with Journal(settings.journal) as journal:
        journal.pause(scope, at)
        return sorted(journal.paused())


def resume(settings: Settings, scope: str) -> list[str]:
    """Let `scope` go on; everything that is still paused. Raises UserError when it was not paused."""
    with Journal(settings.journal) as journal:
        paused = sorted(journal.paused())
        if not journal.resume(scope):
            message = f"'{scope}' is not paused; paused: {', '.join(paused) or 'nothing'}"
            raise UserError(message)
        return sorted(journal.paused())


def _known(settings: Settings, scope: str) -> None:
    """Refuse a name that no sync has; a project that cannot be read stops nobody from braking."""
    if scope == ALL:
        return
    try:
        known = syncs.load_syncs(settings)
    except UserError:
        return
    syncs.named(known, scope)
