"""What one tick is given, what it knows of those before, and what it counts on its way. Its steps are in ticking.py."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from assets.journeys import crowds
from assets.journeys.compiling import hex_below
from assets.journeys.program import NEVER, Last, Program, Version
from assets.journeys.statements import Statements
from models.clock import Clock
from models.policy import Policy
from warehouse.base import Warehouse

_NEVER = Clock(NEVER, NEVER)


@dataclass(frozen=True)
class Inputs:
    """What a tick reads besides the logs: the relation of events with their people, and until when it is complete."""

    events: str
    events_clock: Clock
    versions: Sequence[Version]
    waiting: frozenset[str] = frozenset()  # journeys that do not move this time: a segment is broken, a person is asked
    most: int | None = None  # entries of all journeys past which nothing is written …
    approved: Mapping[str, int] = field(default_factory=dict)  # … but for so many of these journeys


@dataclass(frozen=True)
class Ticked:
    """What a tick did. `number` 0: nothing was due or new, and nothing was written."""

    number: int = 0
    entered: int = 0
    moved: int = 0
    decided: Mapping[str, int] = field(default_factory=dict)
    rounds: int = 0
    withdrawn: int = 0  # messages taken back


class TooMany(Exception):
    """More people would enter than may without somebody's word: these journeys must wait. Nothing was written."""

    def __init__(self, entries: Mapping[str, int]) -> None:
        super().__init__(str(dict(entries)))
        self.entries = entries


@dataclass(frozen=True)
class Before:
    """What the ticks before had seen, of all journeys the least."""

    as_of: datetime = NEVER
    known_by: datetime = NEVER
    identity: int = 0
    events: Clock = _NEVER


class Tick(Statements):
    """One tick of some journeys over one connection."""

    program: Program
    number: int  # of the tick
    least_tick: int  # that all journeys have seen
    identity_number: int
    entrants = known = 0  # runs that may begin, runs that may move
    has_aliases = has_lanes = has_run_events = has_signals = has_campaigns = False

    def __init__(self, warehouse: Warehouse, policy: Policy, clock: Clock, inputs: Inputs) -> None:
        super().__init__(warehouse, policy, clock)
        self.inputs = inputs
        self.last: dict[str, Last] = {}
        self.before = Before()
        self.versions = [each for each in inputs.versions if each.published_at <= clock.as_of]
        self.moving: set[str] = set()  # journeys that do not wait
        self.published: list[str] = []  # journeys with a version that no tick saw
        self.kinds: dict[str, int] = {}  # of moves: how many
        self.ended: dict[str, int] = {}  # by how they ended
        self.news: dict[str, int] = {}  # rows of tables that are kept

    # --- what the ticks before saw

    def look_back(self) -> None:
        """Which journeys move, and what each has seen."""
        self.moving = {each.name for each in self.versions} - self.inputs.waiting
        rows = self.warehouse.rows(self.sql("last_ticks"))
        self.number = max((int(row["tick"]) for row in rows), default=0) + 1
        self.last = {
            str(row["journey"]): Last(
                int(row["tick"]),
                row["as_of"],
                timedelta(seconds=row["cap_window"] or 0),
                {source: datetime.fromisoformat(at) for source, at in json.loads(row["loaded_through"]).items()},
            )
            for row in rows
        }
        self.before = _before(rows, self.moving)
        ticked = {name: self.last.get(name, Last()) for name in self.moving}
        self.least_tick = min((each.number for each in ticked.values()), default=self.number)
        self.published = sorted(
            {each.name for each in self.versions if each.published_at > self.last.get(each.name, Last()).as_of}
        )
        self.identity_number = self._identity_number()

    def _identity_number(self) -> int:
        return int(self.warehouse.rows(self.sql("last_identity"))[0]["number"])

    def loaded_through(self) -> dict[str, datetime]:
        """Source → until when it was loaded by then."""
        rows = self.warehouse.rows(self.sql("loaded_through", known_by=self.inputs.events_clock.known_by))
        return {str(row["source"]): row["through"] for row in rows}

    # --- what this one did

    def count_moves(self) -> None:
        for row in self.warehouse.rows("select kind, ended, count(*) as n from moved group by kind, ended"):
            count = int(row["n"])
            self.kinds[row["kind"]] = self.kinds.get(row["kind"], 0) + count
            if row["ended"] is not None:
                self.ended[row["ended"]] = self.ended.get(row["ended"], 0) + count

    def refuse_too_many(self) -> None:
        """Raises TooMany."""
        most = self.inputs.most
        if most is None or self.kinds.get("entered", 0) <= most:
            return
        rows = self.warehouse.rows(self.sql("count_entries"))
        entries = {str(row["journey"]): int(row["n"]) for row in rows}
        if found := crowds.too_many(entries, most, self.inputs.approved):
            raise TooMany(found)

    def hold_out(self) -> None:
        """Who of those who enter is only watched."""
        if "entered" in self.kinds:
            below = hex_below(self.policy.global_holdout)
            known = {"has_aliases": self.has_aliases, "has_other_shares": self.program.has_other_shares}
            self.make("held", "holdouts", number=self.number, global_below=below, **known)
        else:
            self.create("held", "select cast(null as bigint) as r, '' as arm limit 0")

    def count_news(self) -> None:
        kept = ("new_event", "new_evaluation", "refused", "late_stop", "withdrawal")
        self.news = self.counts(*(name for name in kept if name in self.made))


def _before(rows: Sequence[Mapping[str, Any]], names: set[str]) -> Before:
    newest = max(rows, key=lambda row: int(row["tick"]), default=None)
    # events are taken for all journeys at once: what the newest tick saw is seen
    events = Clock(newest["events_as_of"], newest["events_known_by"]) if newest else _NEVER
    mine = [row for row in rows if row["journey"] in names]
    if not mine or len(mine) < len(names):
        return Before(events=events)
    return Before(
        min(row["as_of"] for row in mine),
        min(row["known_by"] for row in mine),
        min(int(row["identity_number"]) for row in mine),
        events,
    )
