"""The oracle: the whole journey language, one person and one moment at a time, as plainly as it can be written.

It shares the contract (models/journey.py) with the engine and nothing else: no SQL, no sets, no cleverness.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from models.journey import EXIT, MAX_HOPS, NEXT, Condition, Journey, Step, Target
from models.policy import Policy
from models.times import RECIPIENT, WEEKDAYS

STEP_RANK = 4


# --- the world: what is known, and since when


@dataclass(frozen=True)
class Event:
    source: str
    event_id: str
    profile_id: str
    name: str
    occurred_at: datetime
    known_at: datetime
    properties: dict[str, Any] = field(default_factory=dict)
    visible_at: datetime | None = None  # where that is later than its own `known_at`: its load waited for something

    @property
    def cause(self) -> str:
        return f"event/{self.source}/{self.event_id}"


@dataclass(frozen=True)
class Merge:
    """From `as_of` on, `loser` (and everybody it had taken in) is `winner`."""

    loser: str
    winner: str
    as_of: datetime
    known_by: datetime


@dataclass(frozen=True)
class Membership:
    """A row of the segment history. Rows of one evaluation share (segment, as_of)."""

    entry_id: str
    segment: str
    profile_id: str
    change: str
    cause: str
    as_of: datetime
    known_by: datetime


@dataclass(frozen=True)
class Facts:
    """What a profile held from `as_of` on."""

    profile_id: str
    email: str | None
    phone: str | None
    time_zone: str | None
    dates: dict[str, str]
    as_of: datetime
    known_by: datetime
    push_token: str | None = None


@dataclass(frozen=True)
class Consent:
    """What was decided about a contact point, from `as_of` on; `granted` None: nothing any more."""

    profile_id: str
    channel: str
    contact_point: str
    purpose: str
    granted: bool | None
    suppressed: bool
    as_of: datetime
    known_by: datetime


@dataclass(frozen=True)
class Version:
    journey: Journey
    version: int
    published_at: datetime
    salt: str
    sources: dict[str, list[str]]  # event → sources that may send it
    channels: dict[str, str]  # sink → channel


@dataclass(frozen=True)
class Loaded:
    source: str
    through: datetime
    known_at: datetime


@dataclass(frozen=True)
class Pause:
    scope: str
    paused_at: datetime
    resumed_at: datetime | None


@dataclass
class World:
    policy: Policy
    events: list[Event] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    loaded: list[Loaded] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)


# --- the language, laid flat


@dataclass(frozen=True)
class Node:
    id: str
    step: Step
    targets: dict[str, str | None]  # "next" and every way out → node, "" the end, EXIT out


def flatten(journey: Journey) -> tuple[str, dict[str, Node]]:
    """The first node, and all by id."""
    nodes: dict[str, Node] = {}

    def of_list(steps: tuple[Step, ...], prefix: str, after: str) -> str:
        ids = [step.name or f"{prefix}{number}" for number, step in enumerate(steps, 1)]
        for number, step in enumerate(steps):
            following = ids[number + 1] if number + 1 < len(ids) else after
            node = ids[number]

            def to(target: Target, way: str, node: str = node, following: str = following) -> str:
                if not isinstance(target, str):
                    return of_list(target, f"{node}.{way}.", following)
                return {NEXT: following, EXIT: EXIT}.get(target, target)

            targets = {"next": following}
            if step.wait_for:
                targets |= {"then": to(step.wait_for.then, "then"), "else": to(step.wait_for.otherwise, "else")}
            if step.branch:
                arms = step.branch.arms
                names = ["then"] if len(arms) == 1 else [str(place) for place in range(1, len(arms) + 1)]
                targets |= {name: to(arm.then, name) for name, arm in zip(names, arms, strict=True)}
                targets["else"] = to(step.branch.otherwise, "else")
            if step.split:
                targets |= {name: to(target, name) for name, target in step.split.steps.items()}
            nodes[node] = Node(node, step, targets)
        return ids[0]

    return of_list(journey.steps, "", ""), nodes


# --- what it predicts


@dataclass(frozen=True)
class Transition:
    hop: int
    kind: str
    node: str | None
    next_node: str | None
    ended: str | None
    detail: str | None
    logical_at: datetime
    since_at: datetime
    due_at: datetime | None
    version: int


@dataclass
class Run:
    run_id: str
    journey: str
    version: int
    unit: str
    entered_at: datetime
    key: str | None
    properties: dict[str, Any]
    tick: int
    cause: str
    arm: str = ""
    transitions: list[Transition] = field(default_factory=list)

    @property
    def last(self) -> Transition:
        return self.transitions[-1]

    @property
    def is_over(self) -> bool:
        return self.last.ended is not None


@dataclass(frozen=True)
class NonEntry:
    journey: str
    unit: str
    cause: str
    logical_at: datetime
    reason: str


@dataclass(frozen=True)
class Decision:
    send_key: str
    round: int
    run_id: str
    node: str
    hop: int
    unit: str
    person: str
    journey: str
    channel: str
    template: str
    purpose: str
    logical_at: datetime
    window_at: datetime
    not_before: datetime
    expires_at: datetime
    decision: str
    reason: str | None


@dataclass(frozen=True)
class Withdrawal:
    send_key: str
    reason: str
    occurred_at: datetime


@dataclass(frozen=True)
class AudienceChange:
    audience: str
    profile_id: str
    op: str
    run_id: str
    hop: int
    logical_at: datetime


@dataclass(frozen=True)
class Tick:
    as_of: datetime
    known_by: datetime
    journeys: frozenset[str] | None = None  # those that are not waiting for a broken segment; None: all
    refreshed_at: datetime | None = None  # until when events are there, where that is not up to the tick

    @property
    def events_until(self) -> datetime:
        return self.refreshed_at or self.as_of


def digest(*parts: object) -> str:
    return hashlib.md5("\x1f".join(map(str, parts)).encode()).hexdigest()


def share(*parts: object) -> float:
    """0 … 1, always the same for the same parts."""
    return int(digest(*parts)[:8], 16) / 2**32


def stamp(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1_000_000 + 0.5))


def utc_of(local: datetime, zone: str) -> datetime:
    """Of a local time that there is twice the later; one that there is not is as much later as the clock jumped."""
    moments = [local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)]
    return max(moments)


@dataclass
class _Entrant:
    journey: str
    version: Version
    unit: str
    at: datetime
    key: str | None
    cause: str
    properties: dict[str, Any]


class Oracle:
    def __init__(self, world: World) -> None:
        self.world = world
        self.runs: list[Run] = []
        self.non_entries: list[NonEntry] = []
        self.decisions: list[Decision] = []
        self.audiences: list[AudienceChange] = []
        self.withdrawals: list[Withdrawal] = []
        self.flat = {(v.journey.journey, v.version): flatten(v.journey) for v in world.versions}
        self.taken: dict[str, set[str]] = {}  # journey → causes that were considered
        self.looked: dict[str, datetime] = {}  # journey → as_of of its last tick
        self.number = 0
        self.stops: dict[str, list[tuple[datetime, str, int]]] = {}  # of runs of journeys that moved

    # --- a tick

    def tick(self, tick: Tick) -> None:
        self.now, self.number = tick, self.number + 1
        self._know()
        names = sorted({v.journey.journey for v in self.world.versions if v.published_at <= tick.as_of})
        for name in names:
            if self._moves(name):
                self._advance(name)
                self.looked[name] = tick.as_of
        self._assign_arms()
        self._change_audiences()
        self._withdraw_from()
        self._arbitrate()
        self._withdraw()

    def _moves(self, journey: str) -> bool:
        return self.now.journeys is None or journey in self.now.journeys

    # --- what is known at this tick

    def _knows(self, row: Any) -> bool:
        return row.as_of <= self.now.as_of and row.known_by <= self.now.known_by

    def _know(self) -> None:
        """What of the world counts at this tick, by person: only so that it is found fast."""
        self.became = {merge.loser: merge for merge in self.world.merges if self._knows(merge)}
        self.merge_moments = sorted({merge.as_of for merge in self.became.values()})
        self.stays: dict[tuple[str, str], list[Membership]] = {}
        self.evaluations: dict[str, set[datetime]] = {}
        for row in self.world.memberships:
            if self._knows(row):
                self.stays.setdefault((row.profile_id, row.segment), []).append(row)
                self.evaluations.setdefault(row.segment, set()).add(row.as_of)
        self.held: dict[str, list[Facts]] = {}
        for fact in self.world.facts:
            if fact.known_by <= self.now.known_by:
                self.held.setdefault(fact.profile_id, []).append(fact)
        self.stances: dict[tuple[str, str, str], list[Consent]] = {}
        for consent in self.world.consents:
            if consent.known_by <= self.now.known_by:
                key = (consent.profile_id, consent.channel, consent.contact_point)
                self.stances.setdefault(key, []).append(consent)
        self.happened: dict[str, list[Event]] = {}
        for event in self.world.events:
            until = self.now.events_until
            is_there = event.visible_at is None or event.visible_at <= until
            if (
                is_there
                and event.occurred_at <= until
                and event.known_at <= (self.now.refreshed_at or self.now.known_by)
            ):
                self.happened.setdefault(event.name, []).append(event)
        self.by_person: dict[tuple[str, str], list[Event]] = {}
        for name, events in self.happened.items():
            for event in events:
                self.by_person.setdefault((name, self.root(event.profile_id, self.now.as_of)), []).append(event)

    def root(self, profile: str, at: datetime) -> str:
        """Who the profile is at a moment."""
        while (merge := self.became.get(profile)) and merge.as_of <= at:
            profile = merge.winner
        return profile

    def together_from(self, one: str, other: str) -> datetime | None:
        """Since when two profiles are one person."""
        if one == other:
            return datetime.min.replace(tzinfo=UTC)
        return next((at for at in self.merge_moments if self.root(one, at) == self.root(other, at)), None)

    def member(self, person: str, segment: str, at: datetime) -> bool:
        rows = [row for row in self.stays.get((person, segment), []) if row.as_of <= at]
        left = {row.entry_id for row in rows if row.change == "left"}
        return any(row.change == "entered" and row.entry_id not in left for row in rows)

    def facts(self, person: str, at: datetime) -> Facts | None:
        """What the person held; of the time before anything was known, what is known first."""
        known = sorted(self.held.get(person, []), key=lambda row: row.as_of)
        return next((fact for fact in reversed(known) if fact.as_of <= at), known[0] if known else None)

    def zone(self, unit: str, at: datetime, wanted: str = RECIPIENT) -> str:
        if wanted != RECIPIENT:
            return wanted
        found = self.facts(self.root(unit, at), at)
        return (found.time_zone if found else None) or self.world.policy.recipient_zone

    def versions(self, name: str) -> list[Version]:
        found = [v for v in self.world.versions if v.journey.journey == name and v.published_at <= self.now.as_of]
        return sorted(found, key=lambda v: v.version)

    def version(self, name: str, number: int) -> Version:
        return next(v for v in self.world.versions if v.journey.journey == name and v.version == number)

    # --- entries

    def _entrants(self, name: str) -> list[_Entrant]:
        """Everybody who may enter and was not considered before, by what made them."""
        taken = self.taken.setdefault(name, set())
        found = []
        for entrant in self._candidates(name):
            if entrant.cause not in taken:
                taken.add(entrant.cause)
                found.append(entrant)
        return found

    def _candidates(self, name: str) -> list[_Entrant]:
        versions = self.versions(name)
        found: list[_Entrant] = []
        for version, following in zip(versions, [*versions[1:], None], strict=True):
            entry, until = version.journey.entry, following.published_at if following else None

            def add(unit: str, at: datetime, key: str | None, cause: str, properties: dict[str, Any]) -> None:
                if version.published_at <= at and (until is None or at < until):  # noqa: B023 - used at once
                    found.append(_Entrant(name, version, unit, at, key, cause, properties))  # noqa: B023

            if entry.event:
                for event in self.happened.get(entry.event, []):
                    key = event.properties.get(entry.key) if entry.key else None
                    unit = self.root(event.profile_id, event.occurred_at)
                    add(unit, event.occurred_at, None if key is None else str(key), event.cause, event.properties)
            elif entry.at or entry.every:
                found += self._timed(name, version, until)
            else:
                for row in self.world.memberships:
                    is_entry = row.change == "entered" and row.cause == "data"
                    if is_entry and row.segment == entry.segment and self._knows(row):
                        add(row.profile_id, row.as_of, None, f"entry/{row.entry_id}", {})
                first = next(v for v in versions if v.journey.entry.existing or v is versions[-1])
                before = self.looked.get(name)
                is_new = before is None or version.published_at > before
                if entry.existing and version is first and is_new:
                    for person in sorted({row.profile_id for row in self.world.memberships}):
                        at = version.published_at
                        if self.root(person, at) == person and self.member(person, str(entry.segment), at):
                            add(person, version.published_at, None, f"existing/{version.version}/{person}", {})
        return found

    def _timed(self, name: str, version: Version, until: datetime | None) -> list[_Entrant]:
        entry, before = version.journey.entry, self.looked.get(name)
        found = []
        for local in self._occurrences(version):
            for person in sorted({row.profile_id for row in self.world.memberships}):
                # the zone the person has before any clock on earth shows this time
                zone = self.zone(person, (local - timedelta(hours=14)).replace(tzinfo=UTC), entry.zone)
                at = utc_of(local, zone)
                is_due = at <= self.now.as_of and (before is None or at > before)
                if not is_due or at < version.published_at or (until and at >= until):
                    continue
                if self.root(person, at) == person and self.member(person, str(entry.segment), at):
                    key = local.isoformat(sep=" ", timespec="minutes")
                    found.append(_Entrant(name, version, person, at, key, f"time/{key}/{person}", {}))
        return found

    def _occurrences(self, version: Version) -> list[datetime]:
        entry = version.journey.entry
        if entry.at:
            return [entry.at]
        assert entry.every
        day = (version.published_at - timedelta(days=2)).date()
        found = []
        while day <= (self.now.as_of + timedelta(days=2)).date():
            wanted = entry.every.day
            if wanted == "day" or (wanted == "month" and day.day == 1) or wanted == WEEKDAYS[day.weekday()]:
                found.append(datetime.combine(day, entry.every.at))
            day += timedelta(days=1)
        return found

    def _refused_entry(self, entrant: _Entrant) -> str | None:
        entry = entrant.version.journey.entry
        if entry.key and entrant.key is None:
            return "no_key"
        mine = self.mine.get(self.root(entrant.unit, self.now.as_of), [])
        earlier = [run for run in mine if self._same(run, entrant)]
        if entry.policy == "once" and earlier:
            return "once"
        if entry.policy == "per_key" and any(run.key == entrant.key for run in earlier):
            return "key_seen"
        if entry.policy == "after_exit":
            for run in earlier:
                ends = [each.logical_at for each in run.transitions if each.ended]
                if not ends or ends[0] > entrant.at:
                    return "still_in"
        if entry.gap and earlier and entrant.at - max(run.entered_at for run in earlier) < entry.gap:
            return "too_soon"
        return None

    def _same(self, run: Run, entrant: _Entrant) -> bool:
        return self.root(run.unit, entrant.at) == self.root(entrant.unit, entrant.at)

    def _enter(self, entrant: _Entrant) -> Run:
        first, _ = self.flat[entrant.journey, entrant.version.version]
        run_id = digest("run", entrant.journey, entrant.key or "", entrant.cause)[:24]
        run = Run(
            run_id,
            entrant.journey,
            entrant.version.version,
            entrant.unit,
            entrant.at,
            entrant.key,
            entrant.properties,
            self.number,
            entrant.cause,
        )
        self.runs.append(run)
        self._arrive(run, "entered", None, first, entrant.at)
        return run

    # --- moves

    def _advance(self, name: str) -> None:
        """Everything of one journey up to now, a person at a time."""
        self.mine: dict[str, list[Run]] = {}
        for run in self.runs:
            if run.journey == name:
                self.mine.setdefault(self.root(run.unit, self.now.as_of), []).append(run)
        waiting: dict[str, list[_Entrant]] = {}
        for each in self._entrants(name):
            waiting.setdefault(self.root(each.unit, self.now.as_of), []).append(each)
        for person in sorted({*waiting, *self.mine}):
            mine = sorted(waiting.get(person, []), key=lambda each: (each.at, each.cause))
            self._live(name, self.mine.setdefault(person, []), mine)

    def _live(self, name: str, runs: list[Run], waiting: list[_Entrant]) -> None:
        """The earliest thing that happens, again and again; an entry after all that happens at its moment."""
        while True:
            moves = [
                (at, rank, run.entered_at, run.run_id, run, act) for run in runs for at, rank, act in self._next(run)
            ]
            moves = [move for move in moves if move[0] <= self.now.as_of]
            move = min(moves, key=lambda each: each[:4], default=None)
            if waiting and (move is None or waiting[0].at < move[0]):
                entrant = waiting.pop(0)
                if reason := self._refused_entry(entrant):
                    self.non_entries.append(NonEntry(name, entrant.unit, entrant.cause, entrant.at, reason))
                else:
                    runs.append(self._enter(entrant))
            elif move:
                move[5]()
            else:
                return

    def _next(self, run: Run) -> list[tuple[datetime, int, Any]]:
        """What may happen to the run next: (when, rank, what to do)."""
        version = self.version(run.journey, run.version)
        if run.is_over:
            kinds = {each.ended for each in run.transitions}
            return [] if kinds & {"goal", "merged"} else self._goal(run, version)
        found = [*self._merged(run), *self._published(run), *self._exits(run, version), *self._goal(run, version)]
        return [*found, *self._step(run, version)]

    def _end(self, run: Run, kind: str, ended: str, at: datetime, detail: str | None = None) -> None:
        last = run.last
        transition = Transition(last.hop + 1, kind, last.next_node, None, ended, detail, at, at, None, run.version)
        run.transitions.append(transition)

    def _arrive(
        self,
        run: Run,
        kind: str,
        node: str | None,
        target: str,
        at: datetime,
        detail: str | None = None,
        since: datetime | None = None,
    ) -> None:
        hop = run.last.hop + 1 if run.transitions else 0
        if target in ("", EXIT):
            ended = "completed" if target == "" else "exit_step"
            run.transitions.append(Transition(hop, kind, node, None, ended, detail, at, at, None, run.version))
            return
        since = since or at
        due = self._due(run, target, since)
        run.transitions.append(Transition(hop, kind, node, target, None, detail, at, since, due, run.version))

    def _due(self, run: Run, node: str, since: datetime) -> datetime | None:
        step = self.flat[run.journey, run.version][1][node].step
        if step.wait_for:
            return since + step.wait_for.timeout
        if not step.wait:
            return None
        wait = step.wait
        if wait.duration:
            return since + wait.duration
        zone = self.zone(run.unit, since, wait.zone)
        if wait.until:
            day = since.astimezone(ZoneInfo(zone)).date()
            while True:
                at = utc_of(datetime.combine(day, wait.until.at), zone)
                if at >= since and wait.until.day in ("day", WEEKDAYS[day.weekday()]):
                    return at
                day += timedelta(days=1)
        found = self.facts(self.root(run.unit, since), since)
        text = found.dates.get(str(wait.date)) if found else None
        if text is None:
            return None
        if len(text) == len("2026-11-24"):
            at = utc_of(datetime.combine(datetime.fromisoformat(text).date(), wait.at), zone)
        else:
            at = datetime.fromisoformat(text).astimezone(UTC)
        return at - (wait.before or timedelta()) + (wait.after or timedelta())

    def _merged(self, run: Run) -> list[tuple[datetime, int, Any]]:
        found = []
        for other in self.mine[self.root(run.unit, self.now.as_of)]:
            if other is run or other.is_over or other.key != run.key:
                continue
            at = self.together_from(run.unit, other.unit)
            if other.unit == run.unit or at is None or run.entered_at > at or other.entered_at > at:
                continue
            winner = self.root(run.unit, at)
            older = (run.entered_at, run.run_id) < (other.entered_at, other.run_id)
            goes_on = run.unit == winner or (other.unit != winner and older)
            if not goes_on:
                found.append(max(at, run.last.logical_at))
        return [(at, 0, lambda at=at: self._end(run, "merged", "merged", at)) for at in sorted(found)[:1]]

    def _published(self, run: Run) -> list[tuple[datetime, int, Any]]:
        found: list[tuple[datetime, int, Any]] = []
        for later in self.versions(run.journey):
            at, policy = later.published_at, later.journey.on_publish
            if later.version <= run.version or at < run.last.logical_at:
                continue
            if policy == "exit":
                found.append((at, 1, lambda at=at: self._end(run, "retired", "retired", at)))
            elif policy != "drain" and later.version == run.version + 1 and run.last.next_node in policy.migrate:
                target = policy.migrate[str(run.last.next_node)]
                found.append((at, 1, lambda later=later, target=target: self._migrate(run, later, target)))
        return found

    def _migrate(self, run: Run, later: Version, target: str) -> None:
        run.version = later.version
        last = run.last
        self._arrive(run, "migrated", last.next_node, target, later.published_at, None, last.since_at)

    def _matching(
        self, run: Run, event: str, match: str | None, after: datetime
    ) -> list[tuple[datetime, datetime, str, str]]:
        """Events of the person after a moment, or from the entry on: (when they count for this run, …)."""
        found = []
        for each in self.by_person.get((event, self.root(run.unit, self.now.as_of)), []):
            together = self.together_from(run.unit, each.profile_id)
            if together is None or not self._is_after(run, each, after):
                continue
            if match:
                mine, theirs = run.properties.get(match), each.properties.get(match)
                if mine is None or theirs is None or str(mine) != str(theirs):
                    continue
            found.append((max(each.occurred_at, together), each.occurred_at, each.source, each.event_id))
        return sorted(found)

    def _is_after(self, run: Run, event: Event, after: datetime) -> bool:
        """At the moment of the entry, too; of events that let in, those whose name comes after the entry's own."""
        if event.occurred_at != after or after != run.entered_at:
            return event.occurred_at > after
        lets_in = self.version(run.journey, run.transitions[0].version).journey.entry.event == event.name
        return not lets_in or event.cause > run.cause

    def _exits(self, run: Run, version: Version) -> list[tuple[datetime, int, Any]]:
        """By the condition that came true first."""
        found = []
        for place, condition in enumerate(version.journey.exit):
            at = self._leaves_at(run, condition)
            if at is not None:
                found.append((at, place, condition.event or condition.segment))
        if not found:
            return []
        first, _, why = min(found, key=lambda each: each[:2])
        at = max(first, run.last.logical_at)
        return [(at, 2, lambda: self._end(run, "exited", "exit_condition", at, why))]

    def _leaves_at(self, run: Run, condition: Condition) -> datetime | None:
        if condition.segment:
            return self._first_membership(run, condition.segment)
        events = self._matching(run, str(condition.event), condition.match, run.entered_at)
        return events[0][0] if events else None

    def _first_membership(self, run: Run, segment: str) -> datetime | None:
        """The first moment from the entry on at which who the person is then is a member."""
        moments = {run.entered_at}
        moments |= self.evaluations.get(segment, set()) | set(self.merge_moments)
        for at in sorted(moments):
            if at >= run.entered_at and self.member(self.root(run.unit, at), segment, at):
                return at
        return None

    def _goal(self, run: Run, version: Version) -> list[tuple[datetime, int, Any]]:
        goal = version.journey.goal
        if not goal:
            return []
        events = self._matching(run, goal.event, goal.match, run.entered_at)
        events = [event for event in events if event[1] <= run.entered_at + goal.within]
        if not events:
            return []
        at = max(events[0][0], run.last.logical_at)
        return [(at, 3, lambda: self._end(run, "goal", "goal", at, goal.event))]

    def _step(self, run: Run, version: Version) -> list[tuple[datetime, int, Any]]:
        last = run.last
        arrived, name = last.logical_at, str(last.next_node)
        node = self.flat[run.journey, run.version][1][name]
        step = node.step

        def go(kind: str, way: str, at: datetime, detail: str | None = None) -> list[tuple[datetime, int, Any]]:
            target = str(node.targets[way])
            return [(at, STEP_RANK, lambda: self._arrive(run, kind, name, target, at, detail))]

        if last.hop >= MAX_HOPS:
            return [(arrived, STEP_RANK, lambda: self._end(run, "looped", "looped", arrived))]
        if step.send:
            return go("sent", "next", arrived, step.send.template)
        if step.sync:
            return go("synced", "next", arrived, f"{step.sync.op} {step.sync.audience}")
        if step.exit:
            why = step.exit
            return [(arrived, STEP_RANK, lambda: self._end(run, "finished", "exit_step", arrived, why))]
        if step.split:
            way = self._arm_of(run, version, name, step.split.weights)
            return go("split", way, arrived, way)
        if step.branch:
            way = self._way(run, step)
            return go("branched", way, arrived, way)
        if step.wait:
            if last.due_at is None:
                return [(arrived, STEP_RANK, lambda: self._end(run, "no_date", "no_date", arrived))]
            return go("waited", "next", max(last.due_at, arrived))
        assert step.wait_for
        assert last.due_at
        awaited, due = step.wait_for, last.due_at
        since = run.entered_at if awaited.from_entry else last.since_at
        events = [each for each in self._matching(run, awaited.event, awaited.match, since) if each[0] <= due]
        if events:
            return go("matched", "then", max(events[0][0], arrived), awaited.event)
        if all(self._through(source) >= due for source in version.sources[awaited.event]):
            return go("timed_out", "else", max(due, arrived), awaited.event)
        stale = due + version.journey.max_stale
        at = max(stale, arrived)
        return [(at, STEP_RANK, lambda: self._end(run, "stale", "stale", at, awaited.event))]

    def _through(self, source: str) -> datetime:
        known_by = self.now.refreshed_at or self.now.known_by
        rows = [row.through for row in self.world.loaded if row.source == source and row.known_at <= known_by]
        return max(rows, default=datetime.min.replace(tzinfo=UTC))

    def _arm_of(self, run: Run, version: Version, node: str, weights: dict[str, float]) -> str:
        point, total = share(version.salt, node, run.unit) * 100, 0.0
        for name, weight in weights.items():
            total += weight
            if point < total:
                return name
        return list(weights)[-1]

    def _way(self, run: Run, step: Step) -> str:
        assert step.branch
        arms, at = step.branch.arms, run.last.logical_at
        for place, arm in enumerate(arms, 1):
            way = "then" if len(arms) == 1 else str(place)
            if arm.segment:
                if self.member(self.root(run.unit, at), arm.segment, at):
                    return way
                continue
            value = run.properties.get(str(arm.property))
            if value is None:
                continue
            if arm.equals is not None and not alike(value, arm.equals):
                continue
            if arm.one_of is not None and not any(alike(value, each) for each in arm.one_of):
                continue
            number = as_number(value)
            if arm.at_least is not None and (number is None or number < arm.at_least):
                continue
            if arm.less_than is not None and (number is None or number >= arm.less_than):
                continue
            return way
        return "else"

    # --- holdouts

    def _assign_arms(self) -> None:
        """Per person and journey at the first entry, and kept; whoever was decided before counts first."""
        new = [run for run in self.runs if run.tick == self.number]
        people: dict[str, list[Run]] = {}
        for run in self.runs:
            people.setdefault(self.root(run.unit, self.now.as_of), []).append(run)
        for run in sorted(new, key=lambda each: (each.entered_at, each.run_id)):
            version = self.version(run.journey, run.transitions[0].version)
            kin = [
                other
                for other in people[self.root(run.unit, self.now.as_of)]
                if other.arm and self.root(other.unit, run.entered_at) == run.unit
            ]
            kin.sort(key=lambda each: (each.tick, each.entered_at, each.run_id))
            everywhere = share(self.world.policy.salt, "global_holdout", run.unit) < self.world.policy.global_holdout
            if kin:
                everywhere = kin[0].arm == "global_holdout"
            same = [other for other in kin if other.journey == run.journey]
            held = share(version.salt, "holdout", run.unit) < version.journey.holdout
            if same and same[0].arm != "global_holdout":
                held = same[0].arm == "holdout"
            run.arm = "global_holdout" if everywhere else "holdout" if held else "treated"

    def _change_audiences(self) -> None:
        self.audiences = []
        for run in self.runs:
            for each in run.transitions:
                if each.kind == "synced" and run.arm == "treated":
                    op, audience = str(each.detail).split(" ")
                    self.audiences.append(AudienceChange(audience, run.unit, op, run.run_id, each.hop, each.logical_at))

    # --- arbitration

    def _window(self, at: datetime) -> datetime:
        """The end of the cap window that holds the moment."""
        size = self.world.policy.cap_window
        since = at - datetime(1970, 1, 1, tzinfo=UTC)
        return datetime(1970, 1, 1, tzinfo=UTC) + (since // size + 1) * size

    def _pauses(self, journey: str, channel: str) -> list[Pause]:
        scopes = {"all", f"journey:{journey}", f"channel:{channel}"}
        return [pause for pause in self.world.pauses if pause.scope in scopes and pause.paused_at <= self.now.as_of]

    def _decided_at(self, at: datetime, journey: str, channel: str, *, waits: bool) -> datetime | None:
        """When a candidate of this moment is decided; None: not until somebody resumes it."""
        while True:
            moment = self._window(at) if waits else at
            holding = [
                pause
                for pause in self._pauses(journey, channel)
                if pause.paused_at <= moment and (self._resumed(pause) is None or moment < self._resumed(pause))
            ]
            if not holding:
                return moment
            ends = [self._resumed(pause) for pause in holding]
            if None in ends:
                return None
            at = max(end for end in ends if end)

    def _resumed(self, pause: Pause) -> Any:
        """Nobody knows yet of what is to come."""
        return pause.resumed_at if pause.resumed_at and pause.resumed_at <= self.now.as_of else None

    def _arbitrate(self) -> None:
        """One after the other, in the order that counts; what was admitted and could not go is taken again."""
        waiting: list[tuple[Any, ...]] = []
        known = {decision.send_key: decision for decision in self.decisions}
        known_by_person: dict[str, dict[str, Decision]] = {}
        for decision in self.decisions:
            person = self.root(decision.unit, self.now.as_of)
            known_by_person.setdefault(person, {})[decision.send_key] = decision
        self.last_decisions = known_by_person
        for run in self.runs:
            for each in run.transitions:
                if each.kind == "sent" and self._moves(run.journey):
                    self._offer(waiting, run, each, known.get(digest("send", run.run_id, each.node, each.hop)))
        while waiting:
            _, _, _, send_key, round_, run, transition, window = heapq.heappop(waiting)
            decision = self._decide(run, transition, send_key, round_, window)
            self.decisions.append(decision)
            known_by_person.setdefault(self.root(run.unit, self.now.as_of), {})[send_key] = decision
            self._offer(waiting, run, transition, decision)

    def _offer(self, waiting: list[tuple[Any, ...]], run: Run, transition: Transition, last: Decision | None) -> None:
        version = self.version(run.journey, transition.version)
        send = self.flat[run.journey, transition.version][1][str(transition.node)].step.send
        assert send
        channel = version.channels[send.sink]
        waits = send.purpose != "transactional"
        at = transition.logical_at
        if last:
            if last.decision != "admitted" or not self._is_held(last):
                return
            at = last.not_before
        window = self._decided_at(at, run.journey, channel, waits=waits)
        if last and window is not None and window <= last.window_at:
            return
        if window is not None and window <= self.now.as_of:
            key = digest("send", run.run_id, transition.node, transition.hop)
            round_ = last.round + 1 if last else 1
            item = (window, -send.priority, transition.logical_at, key, round_, run, transition, window)
            heapq.heappush(waiting, item)

    def _is_held(self, decision: Decision) -> bool:
        """Whether it was to go while its journey or channel was paused."""
        return any(
            pause.paused_at <= decision.not_before
            and (self._resumed(pause) is None or decision.not_before < self._resumed(pause))
            for pause in self._pauses(decision.journey, decision.channel)
        )

    def _decide(self, run: Run, transition: Transition, send_key: str, round_: int, window: datetime) -> Decision:
        version = self.version(run.journey, transition.version)
        send = self.flat[run.journey, transition.version][1][str(transition.node)].step.send
        assert send
        channel, person = version.channels[send.sink], self.root(run.unit, window)
        is_marketing = send.purpose != "transactional"
        not_before = self._after_quiet_hours(run.unit, window) if is_marketing else window
        expires = transition.logical_at + send.expires
        decided = Decision(
            send_key,
            round_,
            run.run_id,
            str(transition.node),
            transition.hop,
            run.unit,
            person,
            run.journey,
            channel,
            send.template,
            send.purpose,
            transition.logical_at,
            window,
            not_before,
            expires,
            "admitted",
            None,
        )
        reason = self._refused(run, decided, is_marketing=is_marketing)
        return decided if reason is None else replace(decided, decision="refused", reason=reason)

    # --- withdrawal

    def _withdraw_from(self) -> None:
        """Per run, from which moment and hop on nothing of it is to be sent, and why."""
        for run in self.runs:
            if not self._moves(run.journey):
                continue
            stops = self.stops[run.run_id] = []
            for each in run.transitions:
                if each.ended in ("exit_condition", "goal", "merged", "retired"):
                    stops.append((each.logical_at, str(each.ended), -1))
                elif each.ended:
                    stops += self._left_after(run, each)
                if each.kind == "timed_out":
                    stops += self._late(run, each)

    def _left_after(self, run: Run, end: Transition) -> list[tuple[datetime, str, int]]:
        """No step was left, and then a condition to leave came true."""
        version = self.version(run.journey, end.version)
        moments = [at for condition in version.journey.exit if (at := self._leaves_at(run, condition))]
        return [(max(min(moments), end.logical_at), "exit_condition", -1)] if moments else []

    def _late(self, run: Run, timed_out: Transition) -> list[tuple[datetime, str, int]]:
        """What it waited for came in time after all; it was known too late."""
        node = self.flat[run.journey, timed_out.version][1][str(timed_out.node)]
        arrived = run.transitions[timed_out.hop - 1]
        awaited = node.step.wait_for
        assert awaited
        assert arrived.due_at
        if node.targets["then"] == node.targets["else"]:
            return []
        since = run.entered_at if awaited.from_entry else arrived.since_at
        events = self._matching(run, awaited.event, awaited.match, since)
        return [(each[0], "late_event", timed_out.hop) for each in events[:1] if each[0] <= arrived.due_at]

    def _withdraw(self) -> None:
        done = {each.send_key for each in self.withdrawals}
        last = {decision.send_key: decision for decision in self.decisions}
        for key, decision in last.items():
            if decision.decision != "admitted" or key in done or decision.purpose == "transactional":
                continue
            stops = [
                (at, why)
                for at, why, hop in self.stops[decision.run_id]
                if hop < decision.hop and at < decision.expires_at
            ]
            if stops:
                at, why = min(stops)
                self.withdrawals.append(Withdrawal(key, why, at))

    def _refused(self, run: Run, wanted: Decision, *, is_marketing: bool) -> str | None:
        policy, window, person = self.world.policy, wanted.window_at, wanted.person
        if is_marketing and run.arm != "treated":
            return run.arm
        stops = [at for at, _, hop in self.stops[run.run_id] if hop < wanted.hop and at < wanted.expires_at]
        if is_marketing and any(at <= window for at in stops):
            return "withdrawn"
        facts = self.facts(person, window)
        held = {"email": facts.email, "sms": facts.phone, "push": facts.push_token} if facts else {}
        contact = held.get(wanted.channel)
        if not contact:
            return "no_contact"
        latest: dict[str, Consent] = {}
        for row in sorted(self.stances.get((person, wanted.channel, contact), []), key=lambda row: row.as_of):
            if row.as_of <= window or row.purpose not in latest:
                latest[row.purpose] = row
        if any(row.suppressed for row in latest.values() if row.granted is not None):
            return "suppressed"
        if is_marketing and not (wanted.purpose in latest and latest[wanted.purpose].granted):
            return "no_consent"
        if wanted.not_before >= wanted.expires_at:
            return "expired"
        if not is_marketing:
            return None
        last = self.last_decisions.get(self.root(run.unit, self.now.as_of), {})
        others = [
            other
            for key, other in last.items()
            if other.decision == "admitted"
            and not self._is_freed(other, window)
            and key != wanted.send_key
            and self.root(other.unit, window) == person
        ]
        for other in others:
            near = abs(other.not_before - wanted.not_before) < policy.repeat_window
            if near and other.template == wanted.template and other.journey != wanted.journey:
                return "repeated"
        for cap in policy.caps:
            if cap.channel not in (None, wanted.channel) or cap.purpose not in (None, wanted.purpose):
                continue
            counted = [
                other
                for other in others
                if other.purpose != "transactional"
                and cap.channel in (None, other.channel)
                and cap.purpose in (None, other.purpose)
                and abs(other.not_before - wanted.not_before) < cap.per
            ]
            if len(counted) >= cap.max:
                return "capped"
        return None

    def _is_freed(self, other: Decision, window: datetime) -> bool:
        """Whether it was taken back before it was to go: then it holds no place any more."""
        return other.purpose != "transactional" and any(
            hop < other.hop and at <= window and at < other.not_before for at, _, hop in self.stops[other.run_id]
        )

    def _after_quiet_hours(self, unit: str, at: datetime) -> datetime:
        quiet = self.world.policy.quiet_hours
        if quiet is None:
            return at
        zone = self.zone(unit, at)
        local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        begin, end, now = quiet.begin, quiet.end, local.time()
        if begin < end:
            is_quiet, days = begin <= now < end, 0
        else:
            is_quiet, days = now >= begin or now < end, 1 if now >= begin else 0
        if not is_quiet:
            return at
        return max(at, utc_of(datetime.combine(local.date() + timedelta(days=days), end), zone))


def alike(value: Any, wanted: Any) -> bool:
    """Whether a property is what a journey asks for: the same text; of what it asks for as a number the same number."""
    if not isinstance(wanted, bool | str) and as_number(value) == wanted:
        return True
    return (value if isinstance(value, str) else json.dumps(value)) == (
        wanted if isinstance(wanted, str) else json.dumps(wanted)
    )


def as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
