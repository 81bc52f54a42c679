"""Everything that was decided for and against one person, in order, from the logs that ticks and deliveries left.

Reads only. Where the logs are is said by `kept`: a schema of the live file, or of the published copy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from assets.diff import mask, mask_contacts
from assets.identity import e164
from assets.journeys import holds, publication
from assets.journeys.pauses import paired
from assets.journeys.program import Version
from assets.resolution import TYPES
from models.errors import UserError
from models.journey import Account
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
COPY = "main"  # the schema of the published copy
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
NEEDED = ("profile_map", "journey_version", "journey_run", "consent_history", "profile_id_history", "pause_change")
DOCUMENT = ("at", "kind", "journey", "run_id", "node", "decision", "reason", "ref")
_ORDER = {kind.value: place for place, kind in enumerate(Account)}


@dataclass(frozen=True)
class Line:
    """One thing that was decided. `ref`: its row, as `source/event_id`, an entry_id, a send_key, a delivery's run."""

    at: datetime
    kind: Account
    journey: str | None
    run_id: str | None
    node: str | None
    decision: str | None
    reason: str | None
    ref: str
    detail: str | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {name: getattr(self, name) for name in DOCUMENT}


def profiles(warehouse: Warehouse, person: str, kept: str = COPY, *, show_pii: bool = False) -> list[str]:
    """Every profile of a person, whoever they are by now first: found by any identifier, written in any way.

    Raises UserError for nobody, for several people, and for a copy that lacks the logs.
    """
    if missing := [name for name in NEEDED if not warehouse.columns(f"{kept}.{name}")]:
        message = f"the published copy lacks {', '.join(missing)}; run `tailrace refresh`, then this again"
        raise UserError(message)
    wanted = list(_identifiers(person))
    values = {"wanted": wanted, "written": person.strip(), "kept": kept}
    query = partial(render, SQL, "journeys/why_people", warehouse.dialect, **values)
    rows = warehouse.rows(query(any_case=False)) or warehouse.rows(query(any_case=True))
    found = {str(row["profile_id"]): str(row["identifier_type"]) for row in rows}
    shown = person if show_pii else mask(person.strip())
    if not found:
        kinds = ", ".join(dict.fromkeys(kind for kind, _ in wanted))
        message = f"nobody is known as '{shown}'; looked for it as {kinds}"
        raise UserError(message)
    if len(found) > 1:
        told = ", ".join(f"{profile} ({kind})" for profile, kind in sorted(found.items()))
        message = f"'{shown}' is {len(found)} people: {told}; give one of these ids"
        raise UserError(message)
    (root,) = found
    return kin(warehouse, root, kept)


def _identifiers(person: str) -> Iterator[tuple[str, str]]:
    """The ways to read it, each normalised as identity does."""
    text = person.strip()
    for kind in TYPES:
        if kind == "email":
            if "@" in text:
                yield kind, text.lower()
        elif kind == "phone":
            digits = "".join(letter for letter in text if letter.isdigit()).removeprefix("00")
            if number := e164(text, "") or e164(f"+{digits}", ""):
                yield kind, number
        else:
            yield kind, text


def kin(warehouse: Warehouse, root: str, kept: str = COPY) -> list[str]:
    """A profile, and all that were merged into it."""
    literal = warehouse.dialect.literal(root)
    rows = warehouse.rows(render(SQL, "journeys/why_kin", warehouse.dialect, kept=kept, profiles=literal))
    return list(dict.fromkeys((root, *sorted(str(row["profile_id"]) for row in rows))))


def account(
    warehouse: Warehouse,
    people: Collection[str],
    *,
    cap_window: timedelta,
    journey: str | None = None,
    kept: str = COPY,
    show_pii: bool = False,
) -> list[Line]:
    """Everything about these profiles of one person, in order; of one journey only, with all that is of none."""
    found = _Logs(warehouse, people, kept)
    versions = publication.published(warehouse, relation=f"{kept}.journey_version")
    by_number = {(each.name, each.version): each for each in versions}
    moves, decided = found.rows("moves"), found.rows("decided")
    ticks = {str(row["journey"]): row for row in found.rows("ticks")}
    rows = [
        *found.rows("entered"),
        *found.rows("not_entered", entries=_segment_entries(versions)),
        *(move for move in moves if move["hop"] > 0),
        *holds.waits(moves, ticks, by_number),
        *holds.pauses(moves, decided, by_number, paired(found.rows("pauses")), cap_window),
        *decided,
        *found.rows("withdrawn"),
        *(found.rows("delivered") if warehouse.columns(f"{kept}.deliveries") else ()),
        *found.rows("merged"),
        *(_consent(row, show_pii=show_pii) for row in found.rows("consent")),
    ]
    wanted = [row for row in rows if journey is None or row["journey"] in (None, journey)]
    return [_line(row if show_pii else _masked(row)) for row in sorted(wanted, key=_place)]


@dataclass(frozen=True)
class _Logs:
    warehouse: Warehouse
    people: Collection[str]
    kept: str

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        dialect = self.warehouse.dialect
        profiles = ", ".join(dialect.literal(profile) for profile in self.people)
        sql = render(SQL, f"journeys/why_{name}", dialect, kept=self.kept, profiles=profiles, **values)
        return self.warehouse.rows(sql)


def _segment_entries(versions: Sequence[Version]) -> list[dict[str, Any]]:
    """Which segment let people in, from when until when."""
    found = []
    for version in versions:
        entry = version.journey.entry
        later = [each.published_at for each in versions if each.name == version.name and each.version > version.version]
        if entry.segment and not entry.at and not entry.every:
            until = min(later, default=FOREVER)
            found.append(
                {"journey": version.name, "segment": entry.segment, "since": version.published_at, "until": until}
            )
    return found


def _consent(row: Mapping[str, Any], *, show_pii: bool) -> dict[str, Any]:
    contact = row["contact_point"] if show_pii else mask(row["contact_point"])
    reason = None if row["reason"] == row["decision"] else row["reason"]  # where it says no more
    return {**row, "reason": reason, "detail": f"{row['purpose']} by {row['channel']} to {contact}"}


def _masked(row: Mapping[str, Any]) -> dict[str, Any]:
    """A key or an event's id may be an address, and vendors repeat the address they refuse."""
    names = ["reason", "detail", *(["ref"] if str(row["ref"]).startswith("event/") else [])]
    return {**row, **{name: mask_contacts(str(row[name])) for name in names if row.get(name)}}


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("journey", "run_id")
    numbers = (row.get("hop") or 0, row.get("round") or 0)
    return (
        row["at"],
        _ORDER[row["kind"]],
        *(row[name] or "" for name in names),
        *numbers,
        row["ref"] or "",
        row.get("detail") or "",
    )


def _line(row: Mapping[str, Any]) -> Line:
    moments = {name: row[name].astimezone(UTC) for name in ("not_before", "expires_at") if row.get(name)}
    ref = str(row["ref"])
    for prefix in ("event/", "entry/"):
        ref = ref.removeprefix(prefix)
    return Line(
        at=row["at"].astimezone(UTC),
        kind=Account(row["kind"]),
        journey=row["journey"],
        run_id=row["run_id"],
        node=row["node"],
        decision=row["decision"],
        reason=row.get("reason"),
        ref=ref,
        detail=row.get("detail"),
        **moments,
    )
