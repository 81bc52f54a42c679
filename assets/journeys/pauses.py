"""When nothing of a journey and channel is decided because somebody paused it, and when it is decided instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.journeys.program import Program
from assets.journeys.statements import FOREVER
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SPANS = pa.schema(
    {
        "journey": pa.string(),
        "channel": pa.string(),
        "is_marketing": pa.bool_(),
        "from_at": pa.timestamp("us", "UTC"),
        "to_at": pa.timestamp("us", "UTC"),
        "decided_at": pa.timestamp("us", "UTC"),
    }
)


@dataclass(frozen=True)
class Pause:
    """One pause of a scope; without an end nobody resumed it yet."""

    scope: str
    begin: datetime
    end: datetime | None

    def holds(self, at: datetime) -> bool:
        return self.begin <= at and (self.end is None or at < self.end)


def paired(changes: Iterable[Mapping[str, Any]]) -> list[Pause]:
    """The pauses that rows of `pause_change`, in order of time, tell of."""
    begun: dict[str, datetime] = {}
    found = []
    for row in changes:
        scope, at = str(row["scope"]), row["changed_at"]
        if row["change"] == "paused":
            begun.setdefault(scope, at)
        elif scope in begun:
            found.append(Pause(scope, begun.pop(scope), at))
    return [*found, *(Pause(scope, at, None) for scope, at in begun.items())]


def concerned(pauses: Iterable[Pause], journey: str, channel: str | None) -> list[Pause]:
    """Those that hold what a journey sends through a channel."""
    scopes = {"all", f"journey:{journey}", f"channel:{channel}"}
    return [pause for pause in pauses if pause.scope in scopes]


def spans(warehouse: Warehouse, as_of: datetime, program: Program, window: timedelta) -> list[dict[str, Any]]:
    """Rows of SPANS: between which moments nothing is decided, and when it is instead (None: it goes on)."""
    pauses = _pauses(warehouse, as_of)
    return list(_spans(pauses, program, window)) if pauses else []


def window_end(at: datetime, size: timedelta) -> datetime:
    """The end of the window that holds the moment."""
    return EPOCH + ((at - EPOCH) // size + 1) * size


def _spans(pauses: Sequence[Pause], program: Program, window: timedelta) -> Iterator[dict[str, Any]]:
    names = {row["pv"]: row["journey"] for row in program.rows("program_version")}
    places = {(names[row["pv"]], row["channel"]) for row in program.rows("program_node") if row["kind"] == "send"}
    for journey, channel in sorted(places):
        mine = concerned(pauses, journey, channel)
        for is_marketing in (True, False):
            for begin, end in _pieces(mine):
                yield {
                    "journey": journey,
                    "channel": channel,
                    "is_marketing": is_marketing,
                    "from_at": begin,
                    "to_at": end,
                    "decided_at": _decided_at(begin, mine, window if is_marketing else None),
                }


def _decided_at(moment: datetime, pauses: Sequence[Pause], window: timedelta | None) -> datetime | None:
    while holding := [pause for pause in pauses if pause.holds(moment)]:
        ends = [pause.end for pause in holding if pause.end]
        if len(ends) < len(holding):
            return None
        moment = window_end(max(ends), window) if window else max(ends)
    return moment


def _pauses(warehouse: Warehouse, as_of: datetime) -> list[Pause]:
    """Every pause that has begun."""
    return paired(warehouse.rows(render(SQL, "journeys/select_pauses", warehouse.dialect, as_of=as_of)))


def _pieces(pauses: Sequence[Pause]) -> Iterator[tuple[datetime, datetime]]:
    """The pauses cut at each other's ends."""
    ends = sorted({moment for pause in pauses for moment in (pause.begin, pause.end or FOREVER)})
    for begin, end in pairwise(ends):
        if any(pause.holds(begin) for pause in pauses):
            yield begin, end
