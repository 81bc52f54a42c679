"""What nobody needs any more: old receipts, the spools they are about, files that an interrupted run left aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from models.settings import Settings
from sinks import journal_store
from sinks.journal import Journal

JOURNAL_DAYS = 30  # a warehouse restored from a copy younger than this is told of all that was sent since
ASIDE = ("*.new", "*.new.wal", "*.tmp", "spool/.*.part")
ASIDE_HOURS = 6  # nothing is being written for so long


@dataclass(frozen=True)
class Found:
    """Something that is not as it should be, and what is done about it."""

    what: str
    remedy: str


def old_files(settings: Settings, now: datetime) -> Iterator[Path]:
    """Spools that no fold needs again and files written aside by a process that is gone, past their time."""
    kept = _kept(settings)
    for path in sorted(settings.spool.glob("[!.]*")):  # the side file of a run before its spool
        if path.name.split(".")[0] not in kept and _age(path, now) > timedelta(days=JOURNAL_DAYS):
            yield path
    for pattern in ASIDE:
        yield from (
            path for path in sorted(settings.root.glob(pattern)) if _age(path, now) > timedelta(hours=ASIDE_HOURS)
        )


def tidy(settings: Settings, now: datetime) -> list[Found]:
    """Forget folded receipts and remove old files; what was found."""
    found = []
    if journal_store.exists(settings.journal):
        with Journal(settings.journal) as journal:
            pruned = journal.prune(now - timedelta(days=JOURNAL_DAYS))
        if pruned:
            found.append(Found(f"{pruned:,} receipts folded more than {JOURNAL_DAYS} days ago", "forgotten"))
    for path in old_files(settings, now):
        size = path.stat().st_size
        path.unlink(missing_ok=True)
        found.append(Found(f"{path.name}: {size:,} bytes nobody needs", "removed"))
    return found


def _kept(settings: Settings) -> frozenset[str]:
    if not journal_store.exists(settings.journal):
        return frozenset()
    with Journal(settings.journal) as journal:
        return journal.kept_runs()


def _age(path: Path, now: datetime) -> timedelta:
    return now - datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo)
