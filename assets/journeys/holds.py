"""What holds people and messages up: pauses, and sources that are not loaded as far as a wait needs.

Reads what `tailrace why` has found; decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from assets.journeys.flat import flatten
from assets.journeys.pauses import Pause, concerned, window_end
from assets.journeys.program import NEVER, Version
from models.journey import Account, Gate

Row = Mapping[str, Any]


def pauses(
    moves: Iterable[Row],
    decided: Iterable[Row],
    versions: Mapping[tuple[str, int], Version],
    made: Sequence[Pause],
    window: timedelta,
) -> Iterator[dict[str, Any]]:
    """A row a message and pause that kept it from being decided or, once admitted, from going."""
    rounds: dict[tuple[str, int], list[datetime]] = {}
    for row in decided:
        if row["decision"] == "admitted":
            rounds.setdefault((row["run_id"], row["hop"]), []).append(row["not_before"])
    for move in moves:
        version = versions.get((move["journey"], move["version"]))
        node = flatten(version.journey).node(str(move["node"])) if version and move["decision"] == "sent" else None
        if version is None or node is None or node.step.send is None:
            continue
        send = node.step.send
        mine = concerned(made, move["journey"], version.channels.get(send.sink))
        waits = window if send.purpose != "transactional" else None
        held = list(_before_decision(mine, move["at"], waits))
        held += [span for at in rounds.get((move["run_id"], move["hop"]), ()) for span in mine if span.holds(at)]
        for span in dict.fromkeys(held):
            yield {
                **{name: move[name] for name in ("journey", "run_id", "node")},
                "at": max(span.begin, move["at"]),
                "kind": Account.PAUSED.value,
                "decision": stamp(span.end) if span.end else None,
                "reason": span.scope,
                "ref": move["ref"],
                "detail": send.template,
            }


def _before_decision(mine: Sequence[Pause], at: datetime, window: timedelta | None) -> Iterator[Pause]:
    """The pauses that moved the moment at which a message of this moment is decided."""
    while True:
        moment = window_end(at, window) if window else at
        holding = [span for span in mine if span.holds(moment)]
        yield from holding
        ends = [span.end for span in holding if span.end]
        if not holding or len(ends) < len(holding):
            return
        at = max(ends)


def waits(
    moves: Iterable[Row], ticks: Mapping[str, Row], versions: Mapping[tuple[str, int], Version]
) -> Iterator[dict[str, Any]]:
    """A row a wait that was begun, with until when; one more where it is past that and goes on."""
    for move in moves:
        if move["due_at"] is None:
            continue
        row = {
            **{name: move[name] for name in ("at", "journey", "run_id", "ref")},
            "kind": Account.WAITING.value,
            "node": move["next_node"],
            "decision": stamp(move["due_at"]),
        }
        yield row
        if move["hop"] == move["last_hop"] and not move["is_over"]:
            yield from _overdue(move, row, ticks.get(move["journey"]), versions.get((move["journey"], move["version"])))


def _overdue(move: Row, row: Row, tick: Row | None, version: Version | None) -> Iterator[dict[str, Any]]:
    node = flatten(version.journey).node(str(move["next_node"])) if version else None
    due = move["due_at"]
    if version is None or node is None or tick is None or node.step.wait_for is None or tick["as_of"] < due:
        return
    through = {source: datetime.fromisoformat(at) for source, at in json.loads(tick["loaded_through"]).items()}
    late = [each for each in version.sources.get(node.step.wait_for.event, ()) if through.get(each, NEVER) < due]
    reason = Gate.NOT_LOADED if late else Gate.NO_TICK
    told = [
        f"{each}, loaded through {_minute(through[each]) if each in through else 'nobody knows when'}" for each in late
    ]
    decision = stamp(due + version.journey.max_stale)
    yield {**row, "at": due, "decision": decision, "reason": reason.value, "detail": "; ".join(told) or None}


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
