"""Makes the program of a tick from the published versions: every step, arm and condition as a row of a small table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, time
from itertools import accumulate, pairwise
from typing import Any

import pyarrow as pa

from assets.journeys.flat import END, Flat, Node, arm_name, flatten
from assets.journeys.program import COMPLETED, NEVER, OUT, SCHEMAS, Last, Program, Version
from models.journey import EXIT, NEXT, Arm, Migration, Value
from models.times import WEEKDAYS


def compile_versions(
    versions: Sequence[Version],
    last: Mapping[str, Last],
    through: Mapping[str, datetime],
    waiting: Collection[str] = (),
) -> Program:
    """The program of these versions.

    `through`: source → until when it is loaded, as far as is known. `waiting`: journeys that do not move this time.
    """
    return _Compiler(versions, last, through, waiting).program()


class _Compiler:
    def __init__(
        self,
        versions: Sequence[Version],
        last: Mapping[str, Last],
        through: Mapping[str, datetime],
        waiting: Collection[str],
    ) -> None:
        self.versions = sorted(versions, key=lambda each: (each.name, each.version))
        self.last, self.through, self.waiting = last, through, waiting
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
        self.numbers: dict[tuple[int, str], int] = {}
        self.flats: list[Flat] = [flatten(each.journey) for each in self.versions]
        for pv, flat in enumerate(self.flats):
            for node in flat.nodes:
                self.numbers[pv, node.id] = len(self.numbers)

    def program(self) -> Program:
        for pv, version in enumerate(self.versions):
            self._version(pv, version)
            for node in self.flats[pv].nodes:
                self._node(pv, version, node)
        tables = {name: pa.Table.from_pylist(rows, SCHEMAS[name]) for name, rows in self.rows.items()}
        return Program(tables, dict(enumerate(self.versions)), **self._used())

    def _used(self) -> dict[str, Any]:
        journeys = [each.journey for each in self.versions]
        steps = [node.step for flat in self.flats for node in flat.nodes]
        arms = [arm for step in steps if step.branch for arm in step.branch.arms]
        watched = self.rows["program_watch"]
        entries = [journey.entry for journey in journeys]
        exits = [condition for journey in journeys for condition in journey.exit]
        waits = [step.wait for step in steps if step.wait]
        return {
            "matches": _known(row["match"] for row in watched),
            "properties": _known(arm.property for arm in arms),
            "dates": _known(wait.date for wait in waits),
            "segments": _known(
                [
                    *(entry.segment for entry in entries),
                    *(condition.segment for condition in exits),
                    *(arm.segment for arm in arms),
                ]
            ),
            "events": _known([*(entry.event for entry in entries), *(row["event"] for row in watched)]),
            "has_local_waits": any(wait.until or wait.date for wait in waits),
            "has_other_shares": len({(each.name, hex_below(each.journey.holdout), each.salt) for each in self.versions})
            > len({each.name for each in self.versions}),
            "has_own_events": not {entry.event for entry in entries}.isdisjoint(row["event"] for row in watched),
        }

    def _target(self, pv: int, way: str) -> int:
        return {END: COMPLETED, EXIT: OUT}[way] if way in (END, EXIT) else self.numbers[pv, way]

    def _version(self, pv: int, version: Version) -> None:
        journey, entry, last = version.journey, version.journey.entry, self.last.get(version.name, Last())
        later = [each for each in self.versions if each.name == version.name and each.version > version.version]
        earlier = [each for each in self.versions if each.name == version.name and each.version < version.version]
        kind = "event" if entry.event else "time" if entry.at or entry.every else "segment"
        migrates = isinstance(journey.on_publish, Migration)
        goal = journey.goal
        self.rows["program_version"].append(
            {
                "pv": pv, "journey": version.name, "version": version.version,
                "published_at": version.published_at,
                "next_published_at": later[0].published_at if later else None,
                "on_publish": "migrate" if migrates else journey.on_publish,
                "entry_kind": kind, "entry_event": entry.event, "entry_key": entry.key,
                "entry_segment": entry.segment,
                "takes_existing": entry.existing and not any(each.journey.entry.existing for each in earlier),
                "policy": entry.policy, "gap": int(entry.gap.total_seconds()) if entry.gap else None,
                "first": self.numbers[pv, self.flats[pv].first],
                "goal_event": goal.event if goal else None, "goal_match": (goal.match or "") if goal else None,
                "goal_seconds": int(goal.within.total_seconds()) if goal else None,
                "holdout_below": hex_below(journey.holdout), "salt": version.salt,
                "max_stale": int(journey.max_stale.total_seconds()),
                "last_tick": last.number, "last_as_of": last.as_of, "is_ticked": version.name not in self.waiting,
            }
        )  # fmt: skip
        for place, condition in enumerate(journey.exit):
            match = condition.match or ""
            self.rows["program_exit"].append(
                {"pv": pv, "place": place, "segment": condition.segment, "event": condition.event, "match": match}
            )
            self._watch(pv, condition.event, match)
        if goal:
            self._watch(pv, goal.event, goal.match or "")
        if isinstance(journey.on_publish, Migration) and earlier:
            for old, new in journey.on_publish.migrate.items():
                self.rows["program_migration"].append(
                    {"pv": pv, "n": self.numbers[pv - 1, old], "target": self._target(pv, new)}
                )

    def _watch(self, pv: int, event: str | None, match: str) -> None:
        row = {"pv": pv, "event": event, "match": match}
        if event and row not in self.rows["program_watch"]:
            self.rows["program_watch"].append(row)

    def _node(self, pv: int, version: Version, node: Node) -> None:
        number, step = self.numbers[pv, node.id], node.step
        ways = {way: self._target(pv, target) for way, target in node.ways.items()}
        row: dict[str, Any] = {"n": number, "pv": pv, "node": node.id, "kind": node.kind, "next_n": ways[NEXT]}
        if send := step.send:
            row |= {
                "detail": send.template, "sink": send.sink, "channel": version.channels[send.sink],
                "template": send.template, "purpose": send.purpose, "priority": send.priority,
                "expires": int(send.expires.total_seconds()),
            }  # fmt: skip
        elif sync := step.sync:
            row |= {"detail": f"{sync.op} {sync.audience}", "audience": sync.audience, "op": sync.op}
        elif step.exit:
            row |= {"detail": step.exit}
        elif wait := step.wait:
            moment = wait.until or wait.date
            shift = (wait.after or wait.before) if wait.date else wait.duration
            sign = -1 if wait.before else 1
            row |= {
                "seconds": sign * int(shift.total_seconds()) if shift else 0, "zone": wait.zone if moment else None,
                "day": "until" if wait.until else None, "date_column": wait.date,
                "weekday": WEEKDAYS.index(wait.until.day) if wait.until and wait.until.day in WEEKDAYS else None,
                "day_seconds": _seconds(wait.until.at if wait.until else wait.at) if moment else None,
            }  # fmt: skip
        elif awaited := step.wait_for:
            sources, last = version.sources.get(awaited.event, ()), self.last.get(version.name, Last())
            row |= {
                "then_n": ways["then"], "else_n": ways["else"], "event": awaited.event, "match": awaited.match or "",
                "detail": awaited.event, "from_entry": awaited.from_entry,
                "seconds": int(awaited.timeout.total_seconds()),
                "horizon": _least(self.through, sources), "last_horizon": _least(last.loaded_through, sources),
            }  # fmt: skip
            self._watch(pv, awaited.event, awaited.match or "")
        elif step.branch:
            row["else_n"] = ways["else"]
            for place, arm in enumerate(step.branch.arms):
                self._arm(number, place, arm, arm_name(place, len(step.branch.arms)), ways)
        elif step.split:
            bounds = [0.0, *accumulate(weight / 100 for weight in step.split.weights.values())]
            bounds[-1] = 1  # the last way has what rounding left
            for name, (low, high) in zip(step.split.weights, pairwise(bounds), strict=True):
                self.rows["program_split"].append(
                    {"n": number, "way": name, "low": hex_below(low), "high": hex_below(high), "target": ways[name]}
                )
        self.rows["program_node"].append(row)

    def _arm(self, number: int, place: int, arm: Arm, way: str, ways: Mapping[str, int]) -> None:
        given = [_values([arm.equals])] if arm.equals is not None else []
        given += [_values(arm.one_of)] if arm.one_of is not None else []
        self.rows["program_arm"].append(
            {
                "n": number, "place": place, "way": way, "target": ways[way], "segment": arm.segment,
                "property": arm.property, "has_values": bool(given), "at_least": arm.at_least,
                "less_than": arm.less_than,
            }
        )  # fmt: skip
        for value in sorted(set.intersection(*map(set, given)) if given else ()):
            row = {"n": number, "place": place, "value": value, "number": given[0][value]}
            self.rows["program_value"].append(row)


def hex_below(share: float) -> str:
    """The eight hexadecimal digits below which this share of all hashes is; for 1 a text above all of them."""
    bound = -int(-share * 2**32 // 1)
    return "g" if share >= 1 else f"{bound:08x}"


def _least(through: Mapping[str, datetime], sources: Sequence[str]) -> datetime:
    return min((through.get(source, NEVER) for source in sources), default=NEVER)


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60


def _values(given: Iterable[Value]) -> dict[str, float | None]:
    """As JSON has each, without quotes → the number, where it is written as one."""
    return {_text(each): None if isinstance(each, bool | str) else float(each) for each in given}


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _known(names: Iterable[str | None]) -> list[str]:
    return sorted({name for name in names if name})
