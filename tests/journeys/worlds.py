"""Random worlds: people, streams and journeys that try everything the language and the world allow, from one seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from models.journey import Journey
from models.policy import Policy
from tests.journeys.oracle import (
    Consent,
    Event,
    Facts,
    Loaded,
    Membership,
    Merge,
    Pause,
    Tick,
    Version,
    World,
    flatten,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS = 7
# seven days in which clocks change: America and Europe in spring, Lord Howe in autumn, Europe and America in autumn
STARTS = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 5), (3, 26), (4, 1), (10, 22), (10, 28))]
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Auckland", None]
EVENTS = ["Cart Updated", "Order Completed", "Signed Up", "Page Viewed"]
SOURCES = ["shop", "app"]
SEGMENTS = ["seg_a", "seg_b", "seg_c"]
TEMPLATES = ["hello", "remind", "offer"]
CHANNELS = {"mail": "email", "text": "sms"}
DURATIONS = ["30 minutes", "1 hour", "4 hours", "1 day", "2 days"]


@dataclass
class Case:
    world: World
    ticks: list[Tick]


def make(seed: int, people: int = 200) -> Case:
    """A world of this many people, and ticks that see it as it becomes known."""
    return _Maker(random.Random(seed), people).case()


class _Maker:
    def __init__(self, rng: random.Random, people: int) -> None:
        self.rng, self.start = rng, rng.choice(STARTS)
        self.people = [f"p{number}" for number in range(people)]
        self.end = self.start + DAYS * DAY
        self.world = World(self._policy())

    def case(self) -> Case:
        self._merge()
        self._live()
        self._decide()
        self._do()
        self._segment()
        self._load()
        self._pause()
        for number in range(self.rng.randint(1, 4)):
            self._publish(f"journey_{number}")
        return Case(self.world, self._ticks())

    def _moment(self, first: datetime | None = None, last: datetime | None = None) -> datetime:
        first, last = first or self.start, last or self.end
        seconds = self.rng.randint(0, max(int((last - first).total_seconds()), 0))
        moment = first + timedelta(seconds=seconds)
        if self.rng.random() < 0.3:  # things meet at round times
            moment = moment.replace(minute=self.rng.choice([0, 15, 30]), second=0)
        return max(moment, first)

    def _policy(self) -> Policy:
        rng = self.rng
        scopes = [{}, {"channel": "email"}, {"channel": "sms"}, {"purpose": "marketing"}]
        caps = [
            {"max": rng.randint(1, 2), "per": rng.choice(["1 day", "3 days"]), **rng.choice(scopes)}
            for _ in range(rng.randint(0, 2))
        ]
        quiet = [None, {"begin": "21:00", "end": "08:00"}, {"begin": "01:00", "end": "03:30"}]
        given = {
            "salt": f"salt{rng.random()}",
            "caps": caps,
            "quiet_hours": rng.choice(quiet),
            "cap_window": rng.choice(["15 minutes", "1 hour"]),
            "repeat_window": rng.choice(["1 hour", "1 day"]),
            "global_holdout": rng.choice([0, 0.1]),
            "default_zone": rng.choice([None, "America/New_York"]),
        }
        return Policy.model_validate(given)

    # --- people

    def _merge(self) -> None:
        gone: set[str] = set()
        for _ in range(self.rng.choice([0, *[len(self.people) // 8] * 3])):  # in some worlds nobody is two
            loser, winner = self.rng.sample(self.people, 2)
            at = self._moment()
            if loser in gone or winner in gone or any(merge.as_of == at for merge in self.world.merges):
                continue
            gone.add(loser)
            late = self.rng.choice([timedelta(0), timedelta(0), 5 * HOUR])
            self.world.merges.append(Merge(loser, winner, at, at + late))
        self._order_merges()

    def _order_merges(self) -> None:
        """Nobody becomes somebody who is gone by then, and what was known later does not change what was before."""
        merges, self.world.merges = self.world.merges, []
        known = self.start
        for merge in sorted(merges, key=lambda each: each.as_of):
            known, winner = max(known, merge.known_by), self.root(merge.winner, merge.as_of)
            if winner != merge.loser:
                self.world.merges.append(Merge(merge.loser, winner, merge.as_of, known))

    def root(self, profile: str, at: datetime) -> str:
        for merge in self.world.merges:
            if merge.as_of <= at and merge.loser == profile:
                profile = merge.winner
        return profile

    def _live(self) -> None:
        for person in self.people:
            at = self.start - HOUR if self.rng.random() < 0.8 else self._moment()
            for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
                dates = {}
                if self.rng.random() < 0.6:
                    day = self._moment(self.start - DAY, self.end)
                    dates["renewal_at"] = self.rng.choice([day.date().isoformat(), day.isoformat()])
                late = self.rng.choice([timedelta(0), timedelta(0), 3 * HOUR])
                self.world.facts.append(
                    Facts(
                        person,
                        f"{person}@example.com" if self.rng.random() < 0.9 else None,
                        f"+49{person[1:]}" if self.rng.random() < 0.6 else None,
                        self.rng.choice(ZONES),
                        dates,
                        at,
                        at + late,
                    )
                )
                at = self._moment(at + HOUR, self.end + DAY)

    def _decide(self) -> None:
        for person in self.people:
            for channel, contact in (("email", f"{person}@example.com"), ("sms", f"+49{person[1:]}")):
                for purpose in ("marketing", "news"):
                    at = self.start - HOUR
                    for _ in range(self.rng.choice([0, 1, 1, 1, 2])):
                        granted = self.rng.choice([True, True, True, True, False, None])
                        suppressed = self.rng.random() < 0.04
                        late = self.rng.choice([timedelta(0), timedelta(0), 3 * HOUR])
                        self.world.consents.append(
                            Consent(person, channel, contact, purpose, granted, suppressed, at, at + late)
                        )
                        at = self._moment(at + HOUR, self.end + DAY)

    def _do(self) -> None:
        for number in range(len(self.people) * 4):
            person, occurred = self.rng.choice(self.people), self._moment(self.start - DAY, self.end)
            delay = self.rng.choice(
                [timedelta(0), timedelta(minutes=2), timedelta(minutes=2), HOUR, 7 * HOUR, 2 * DAY, -30 * HOUR]
            )
            properties: dict[str, Any] = {}
            if self.rng.random() < 0.85:
                properties["cart_id"] = self.rng.choice(["c1", "c2", 3])
            if self.rng.random() < 0.7:
                properties["plan"] = self.rng.choice(["gold", "silver", True])
            if self.rng.random() < 0.7:
                properties["total"] = self.rng.choice([10, 20.5, "30", "030", 30.0, "many", "NaN", 40, 1234567.0])
            name, source = self.rng.choice(EVENTS), self.rng.choice(SOURCES)
            known = max(occurred + delay, self.start)
            visible = known + self.rng.choice([HOUR, 20 * HOUR]) if self.rng.random() < 0.1 else None
            event = Event(source, f"e{number}", person, name, occurred, known, properties, visible)
            self.world.events.append(event)
            if self.rng.random() < 0.1:  # something else at the same moment, or the same again
                twin = self.rng.choice([name, *EVENTS])
                self.world.events.append(replace(event, event_id=f"{self.rng.choice('ez')}{number}t", name=twin))

    # --- segments

    def _segment(self) -> None:
        for segment in SEGMENTS:
            members: dict[str, str] = {}
            at, number = self._moment(self.start - HOUR, self.start + 6 * HOUR), 0
            known = at
            while at < self.end:
                known = max(known, at + self.rng.choice([timedelta(0), timedelta(0), 4 * HOUR]))
                number = self._evaluate(segment, members, at, known, number)
                at = self._moment(at + HOUR, at + 18 * HOUR)

    def _evaluate(self, segment: str, members: dict[str, str], at: datetime, known: datetime, number: int) -> int:
        is_first = not any(row.segment == segment for row in self.world.memberships)
        cause = "first" if is_first else self.rng.choice(["data", "data", "data", "data", "definition"])
        gone = [person for person in sorted(members) if self.root(person, at) != person]
        heirs = {self.root(person, at) for person in gone}
        rows = [(members.pop(person), person, "left", "merge") for person in gone]
        for person in self.people:
            if self.root(person, at) != person:
                continue
            wants = person in members if self.rng.random() < 0.8 else self.rng.random() < 0.4
            wants = wants or person in heirs
            if wants and person not in members:
                number += 1
                members[person] = f"{segment}/{number}"
                rows.append((members[person], person, "entered", "merge" if person in heirs else cause))
            elif not wants and person in members:
                rows.append((members.pop(person), person, "left", cause))
        self.world.memberships += [
            Membership(entry_id, segment, person, change, why, at, known) for entry_id, person, change, why in rows
        ]
        return number

    def _load(self) -> None:
        for source in SOURCES:
            at = self.start
            while at < self.end:
                if self.rng.random() < 0.85:
                    self.world.loaded.append(Loaded(source, at - self.rng.choice([timedelta(0), HOUR, 9 * HOUR]), at))
                at += self.rng.choice([2 * HOUR, 6 * HOUR, DAY])

    def _pause(self) -> None:
        for scope in ("all", "channel:email", "journey:journey_0"):
            at = self.start
            while self.rng.random() < 0.3:
                at = self._moment(at + HOUR, at + 4 * DAY)
                until = self._moment(at + timedelta(minutes=10), at + 2 * DAY) if self.rng.random() < 0.9 else None
                self.world.pauses.append(Pause(scope, at, until))
                if until is None:
                    break
                at = until

    # --- journeys

    def _publish(self, name: str) -> None:
        at = self._moment(self.start, self.start + 2 * DAY)
        salt, earlier = f"{name}{self.rng.random()}", None
        for number in range(1, self.rng.choice([2, 2, 3, 4])):
            journey = self._journey(name, earlier)
            sources = {event: self.rng.choice([["shop"], ["app"], SOURCES]) for event in EVENTS}
            self.world.versions.append(Version(journey, number, at, salt, sources, CHANNELS))
            at, earlier = self._moment(at + HOUR, at + 4 * DAY), journey

    def _journey(self, name: str, earlier: Journey | None) -> Journey:
        rng = self.rng
        entry = self._entry()
        is_event = "event" in entry
        given: dict[str, Any] = {
            "journey": name,
            "entry": entry,
            "holdout": rng.choice([0, 0, 0.2]),
            "max_stale": rng.choice(["1 hour", "1 day", "3 days"]),
            "exit": [self._condition(is_event=is_event) for _ in range(rng.choice([0, 1, 1, 2]))],
            "steps": self._steps(0, is_event=is_event),
        }
        if rng.random() < 0.6:
            given["goal"] = {"event": rng.choice(EVENTS), "within": rng.choice(["1 day", "5 days"])}
            if is_event and rng.random() < 0.5:
                given["goal"]["match"] = "cart_id"
        self._loop(given["steps"])
        if earlier:
            policy = rng.choice(["drain", "exit", "migrate", "migrate"])
            if policy == "migrate":
                old = list(flatten(earlier)[1])
                new = list(flatten(Journey.model_validate(given))[1])
                given["on_publish"] = {
                    "migrate": {node: rng.choice(new) for node in rng.sample(old, rng.randint(1, len(old)))}
                }
            else:
                given["on_publish"] = policy
        return Journey.model_validate(given)

    def _entry(self) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choice(["event", "event", "segment", "segment", "at", "every"])
        if kind == "event":
            entry: dict[str, Any] = {"event": rng.choice(EVENTS)}
            if rng.random() < 0.6:
                entry["key"] = "cart_id"
            entry["reentry"] = rng.choice(
                ["once", "after_exit", "always"] + (["per_key"] * 2 if "key" in entry else [])
            )
        else:
            entry = {"segment": rng.choice(SEGMENTS)}
            if kind == "segment":
                entry |= {"existing": rng.random() < 0.4, "reentry": rng.choice(["once", "after_exit", "always"])}
            elif kind == "at":
                entry["at"] = self._moment(self.start + DAY).replace(tzinfo=None, second=0).isoformat(sep=" ")
            else:
                entry["every"] = rng.choice(["day 09:00", "day 02:30", "sunday 01:45", "monday 09:00", "month 12:00"])
                entry["reentry"] = rng.choice(["always", "after_exit"])
            if kind in ("at", "every"):
                entry["zone"] = rng.choice(["recipient", "recipient", "Europe/Berlin"])
        if entry.get("reentry") == "always" or rng.random() < 0.2:
            entry["gap"] = rng.choice(["1 hour", "1 day", "3 days"])
        return entry

    def _condition(self, *, is_event: bool) -> dict[str, Any]:
        if self.rng.random() < 0.5:
            return {"segment": self.rng.choice(SEGMENTS)}
        match = {"match": "cart_id"} if is_event and self.rng.random() < 0.4 else {}
        return {"event": self.rng.choice(EVENTS), **match}

    def _steps(self, depth: int, *, is_event: bool) -> list[dict[str, Any]]:
        count = self.rng.randint(1, 4 if depth == 0 else 2)
        return [self._step(depth, is_event=is_event) for _ in range(count)]

    def _target(self, depth: int, *, is_event: bool) -> Any:
        if depth >= 2 or self.rng.random() < 0.4:
            return self.rng.choice(["exit", "next", "next"])
        return self._steps(depth + 1, is_event=is_event)

    def _step(self, depth: int, *, is_event: bool) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choice(["send"] * 3 + ["wait"] * 2 + ["wait_for"] * 2 + ["branch", "split", "sync"])
        if kind == "send":
            given: Any = {
                "sink": rng.choice(list(CHANNELS)),
                "template": rng.choice(TEMPLATES),
                "purpose": rng.choice(["marketing", "marketing", "marketing", "news", "transactional"]),
                "priority": rng.choice([10, 50, 90]),
                "expires": rng.choice(["1 hour", "1 day", "2 days"]),
            }
        elif kind == "wait":
            given = self._wait()
        elif kind == "wait_for":
            given = {
                "event": rng.choice(EVENTS),
                "timeout": rng.choice(DURATIONS),
                "then": self._target(depth, is_event=is_event),
                "else": self._target(depth, is_event=is_event),
            }
            if is_event and rng.random() < 0.5:
                given["match"] = rng.choice(["cart_id", "plan"])
            if rng.random() < 0.3:
                given["since"] = rng.choice(["entry", "arrival"])
        elif kind == "branch":
            arms = [self._arm(depth, is_event=is_event) for _ in range(rng.randint(1, 3))]
            given = {"arms": arms, "else": self._target(depth, is_event=is_event)}
        elif kind == "split":
            weights = rng.choice([[10, 90], [50, 50], [33.3, 66.7], [33.3333333333] * 3])
            shares = dict(zip("abc", weights, strict=False))
            given = {**shares, "steps": {name: self._target(depth, is_event=is_event) for name in shares}}
        else:
            given = {"audience": rng.choice(["vip", "lost"]), "op": rng.choice(["enter", "leave"])}
        return {kind: given}

    def _wait(self) -> Any:
        rng = self.rng
        kind = rng.choice(["for", "for", "until", "weekday", "date"])
        if kind == "for":
            return rng.choice(DURATIONS)
        zone = {"zone": "Asia/Kolkata"} if rng.random() < 0.2 else {}
        if kind == "until":
            return {"until": rng.choice(["09:00", "02:30", "01:45", "00:00"]), **zone}
        if kind == "weekday":
            return {"until": rng.choice(["sunday 02:15", "monday 09:00", "saturday 23:30"]), **zone}
        shift = rng.choice([{}, {"before": "1 day"}, {"after": "4 hours"}])
        return {"date": "renewal_at", "at": "10:00", **shift, **zone}

    def _arm(self, depth: int, *, is_event: bool) -> dict[str, Any]:
        rng = self.rng
        then = self._target(depth, is_event=is_event)
        if not is_event or rng.random() < 0.4:
            return {"segment": rng.choice(SEGMENTS), "then": then}
        test: dict[str, Any] = rng.choice(
            [
                {"property": "plan", "is": "gold"},
                {"property": "plan", "in": ["silver", True]},
                {"property": "total", "at_least": 20},
                {"property": "total", "less_than": 25, "at_least": 5},
                {"property": "cart_id", "is": 3},
                {"property": "total", "in": [30, 20.5]},
                {"property": "total", "is": rng.choice(["30", "030", 1234567.0])},
            ]
        )
        return {**test, "then": then}

    def _loop(self, steps: list[dict[str, Any]]) -> None:
        """Sometimes a journey goes back to an earlier step, over a wait."""
        if self.rng.random() < 0.3:
            steps.insert(0, {"name": "again", "wait": self.rng.choice(["1 day", "2 days"])})
            steps.append({"branch": {"segment": self.rng.choice(SEGMENTS), "then": "again"}})

    # --- ticks

    def _ticks(self) -> list[Tick]:
        at, ticks = self._moment(self.start, self.start + DAY), []
        refreshed = self.start
        names = sorted({version.journey.journey for version in self.world.versions})
        while at < self.end + 2 * DAY:
            moving: Sequence[str] | None = None
            if self.rng.random() < 0.15:
                moving = [name for name in names if self.rng.random() < 0.5]
            refreshed = at if self.rng.random() < 0.8 else refreshed
            ticks.append(Tick(at, at, None if moving is None else frozenset(moving), refreshed))
            at = self._moment(at + timedelta(minutes=1), at + self.rng.choice([HOUR, DAY, 3 * DAY, 3 * DAY]))
        return ticks
