"""The journal's suppression list: how a contact point is named there, and what is said of one.

Refreshes write it (assets/suppressions.py), and the gateway before it answers; sinks/writer.py reads it at each claim.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from models.contacts import normalized
from models.journal_place import Place
from models.sync import TRANSACTIONAL
from sinks.journal_store import connect, connect_to_read

Row = tuple[str, str, datetime]  # hash of the contact point, purpose, when
DEAD = TRANSACTIONAL  # who may not even hear of what they asked for hears of nothing: every claim heeds it
MARKETING = "marketing"  # what a no is about that names no purpose, as `int_consent_decisions` has it

_AGAIN = "again:"  # before a purpose: somebody said yes to it. No delivery has such a purpose, so no claim heeds it
# a file of a closed run is whole before the list has a row of it
_FILE = re.compile(r"\.?gateway-.+-([0-9]+)\.ndjson(\.part)?|dead-.+-([0-9]+)\.ndjson")


def contact_hash(salt: str, contact: str) -> str:
    """As `assets/opening.contact_hash` of the normalized contact point: a claim finds what is listed under it."""
    return sha256(f"{salt}|{normalized(contact)}".encode(errors="replace")).hexdigest()


def refused(contact: str, purpose: str | None, at: datetime) -> Row:
    """The row of a no to a purpose."""
    return contact, _as_listed(purpose), at


def dead(contact: str, purposes: Iterable[str | None], at: datetime) -> list[Row]:
    """The rows of a contact point that nothing may go to. `purposes`: those that somebody would look for by name."""
    listed = {MARKETING, DEAD, *map(_as_listed, purposes)}
    return [(contact, purpose, at) for purpose in sorted(listed)]


def allowed(contact: str, purpose: str | None, at: datetime) -> Row:
    """The row of a yes: it lifts nothing, for the list only grows, but it says what was decided last."""
    return contact, _AGAIN + _as_listed(purpose), at


def _as_listed(purpose: str | None) -> str:
    return (purpose or "").strip().lower() or MARKETING


@dataclass(frozen=True, slots=True)
class Stance:
    """When a contact point last said no and yes to a purpose, as far as the journal was told."""

    refused_at: datetime | None = None
    allowed_at: datetime | None = None

    @property
    def is_refused(self) -> bool:
        """Of a yes and a no at the same moment the no counts, as in `consent`."""
        return self.refused_at is not None and (self.allowed_at is None or self.allowed_at <= self.refused_at)


class Listed:
    """The list, read only: next to whoever writes it, whom it never holds up."""

    def __init__(self, journal: Place) -> None:
        """Raises NeedsPerson where there is no journal."""
        self._connection = connect_to_read(journal)

    def stances(self, contact: str) -> dict[str, Stance]:
        """By purpose, for the hash of a contact point; nothing of purposes that nobody said anything of."""
        found = self._connection.execute(
            "select purpose, max(suppressed_at) from suppression where contact = ? group by purpose", [contact]
        ).fetchall()
        stances: dict[str, Stance] = {}
        for purpose, at in found:
            _note(stances, purpose, datetime.fromisoformat(at))
        return stances

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class Seen:
    """The list as it will be after a commit that is being gathered."""

    listed: Listed
    _contacts: dict[str, dict[str, Stance]] = field(default_factory=dict)

    def stance(self, contact: str, purpose: str) -> Stance:
        return self._of(contact).get(_as_listed(purpose), Stance())

    def note(self, rows: Iterable[Row]) -> None:
        """These rows are part of the commit. Rows of contacts that nobody asked for cost nothing."""
        for contact, purpose, at in rows:
            if contact in self._contacts:
                _note(self._contacts[contact], purpose, at.astimezone(UTC))

    def _of(self, contact: str) -> dict[str, Stance]:
        if contact not in self._contacts:
            self._contacts[contact] = self.listed.stances(contact)
        return self._contacts[contact]


def is_dead(stances: Mapping[str, Stance]) -> bool:
    """Whether not even what somebody asked for may go there: it bounced for good, or they complained."""
    return stances.get(DEAD, Stance()).is_refused


def _note(stances: dict[str, Stance], purpose: str, at: datetime) -> None:
    name, said = purpose.removeprefix(_AGAIN), "allowed_at" if purpose.startswith(_AGAIN) else "refused_at"
    stance = stances.get(name, Stance())
    stances[name] = replace(stance, **{said: max(at, getattr(stance, said) or at)})


def landed_name(at: datetime, process: int, number: int, position: int) -> str:
    """What the gateway calls a file of outcomes: `position` is where the list ended before anything of it was said."""
    return f"gateway-{at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{process}-{number}-{position}.ndjson"


def position_told(folder: Path, loaded: Container[str], end: int) -> int:
    """Up to where of the list everything that the gateway and closed runs wrote is also in files that are loaded.

    `loaded`: names of files in the landing folder of outcomes. `end` is the list's end, read before those were found: a
    refresh knows no more than that, and less where a file is still being written or waits. What comes later in the list
    a claim has to heed, even if it was there before the refresh ended.
    """
    found = ((path.name, _FILE.fullmatch(path.name)) for path in folder.glob("*-*.ndjson*"))
    waiting = (int(match[1] or match[3]) for name, match in found if match and (match[2] or name not in loaded))
    return min([end, *waiting])


def check_writable(journal: Place) -> None:
    """Raise StorageFull or NeedsPerson where no row could be added now; waits for whoever is writing."""
    with closing(connect(journal)) as opened, opened.transaction() as connection:
        connection.execute("update journal set id = id where 1 = 0")
