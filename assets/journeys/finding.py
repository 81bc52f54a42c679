"""Who may move in a tick: what is new about people, whose wait is over, who may enter, and where everybody is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from assets.journeys import occurrences, tables
from assets.journeys.program import NEVER
from assets.journeys.tick import Tick
from models.times import RECIPIENT

_EVENT = "source, event_id, profile_id, name, occurred_at, known_at, properties, tick"
_EVALUATION = "segment, as_of, tick"


def take(tick: Tick) -> None:
    """Events and evaluations of segments that no tick saw before; of a journey that waited, those of its wait."""
    names, segments = tick.texts(tick.program.events), tick.texts(tick.program.segments)
    known = {
        "names": names,
        "before": tick.before.events,
        "since": min(version.published_at for version in tick.versions),
    }
    tick.make(
        "new_event",
        "new_events",
        relation=tick.inputs.events,
        number=tick.number,
        through=tick.inputs.events_clock,
        is_behind=_is_behind(tick, **known),
        **known,
    )
    tick.make("new_evaluation", "new_evaluations", segments=segments, number=tick.number)
    events, evaluations = f"select e, {_EVENT} from new_event", f"select {_EVALUATION} from new_evaluation"
    if tick.least_tick < tick.number - 1:  # a journey is new or waited
        seen = f"tick > {tick.least_tick}"
        new = tick.counts("new_event")["new_event"]
        numbered = f"{new} + {tick.warehouse.dialect.numbered} as e, {_EVENT} from {tables.EVENTS}"
        tick.create("seen_event", f"select {numbered} where {seen} and name in ({names})")
        events += " union all select * from seen_event"
        evaluations += (
            f" union all select {_EVALUATION} from {tables.EVALUATIONS} where {seen} and segment in ({segments})"
        )
    tick.show("taken_event", events)
    tick.show("taken_evaluation", evaluations)
    tick.make("alias", "aliases")
    tick.has_aliases = tick.has("alias")


def _is_behind(tick: Tick, **known: Any) -> bool:
    """Whether of what the last tick could know there is more, or less, now than ticks took.

    An event becomes visible later than its clock says where its load waited for the lock, or its table was not there.
    """
    there, taken = (
        tick.warehouse.rows(tick.sql("seen_events", relation=relation, **known))[0]
        for relation in (tick.inputs.events, tables.EVENTS)
    )
    return there != taken


def find(tick: Tick) -> bool:
    """Everybody who may move or enter, and where they are; whether there is anybody."""
    _find_entrants(tick)
    watched = {str(row["event"]) for row in tick.program.rows("program_watch")}
    tick.make("touched", "touched", before=tick.before, watched=tick.texts(sorted(watched)))
    tick.make("due_run", "due_runs", since=min(_lower_dues(tick), default=tick.clock.as_of))
    found = tick.counts("entrant", "touched", "due_run")
    if not any(found.values()) and not tick.published:
        return False
    last = tick.warehouse.rows("select coalesce(max(r), 0) as r from entrant")[0]["r"]
    tick.make(
        "known_run",
        "known_runs",
        entered=last,
        has_touched=found["touched"] > 0,
        has_due=found["due_run"] > 0,
        published=tick.texts(tick.published) if tick.published else None,
        needs_cause=tick.program.has_own_events,
        needs_properties=bool(tick.program.matches or tick.program.properties),
    )
    known = tick.warehouse.rows("select count(*) as n, min(entered_at) as since from known_run")[0]
    tick.entrants, tick.known = found["entrant"], int(known["n"])
    if not tick.entrants + tick.known:
        return False
    tick.show("runner", tick.sql("runners"))
    tick.show("kin", tick.sql("kin", people="runner", has_aliases=tick.has_aliases))
    if tick.has_aliases:
        tick.make("together", "together")
    tick.make("trail", "trail", since=known["since"] or NEVER)
    tick.make("spot", "spots", has_aliases=tick.has_aliases)
    tick.has_lanes = tick.has("spot", "lane is not null")
    return True


def _lower_dues(tick: Tick) -> Iterator[datetime]:
    """Not later than the earliest of these nothing is due that was not before."""
    versions = {row["pv"]: row for row in tick.program.rows("program_version")}
    for node in tick.program.rows("program_node"):
        version = versions[node["pv"]]
        if node["kind"] in ("wait", "wait_for"):
            yield version["last_as_of"]
        if node["kind"] == "wait_for":
            yield node["last_horizon"]
            max_stale = timedelta(seconds=version["max_stale"])
            if node["horizon"] < tick.clock.as_of - max_stale:  # a wait may be given up
                yield max(version["last_as_of"], NEVER + max_stale) - max_stale


def _find_entrants(tick: Tick) -> None:
    versions = tick.program.rows("program_version")
    ticked = {pv: each for pv, each in tick.program.versions.items() if each.name not in tick.inputs.waiting}
    timed = occurrences.of(ticked, tick.clock, tick.last)
    tick.has_campaigns = occurrences.has_come(timed, ticked, tick.clock, tick.last)
    has_existing = any(row["takes_existing"] and row["published_at"] > row["last_as_of"] for row in versions)
    times = timed.to_pylist()
    recipients = any(row["zone"] == RECIPIENT for row in times)
    if has_existing or len(timed):
        entered = tick.texts(str(row["entry_segment"]) for row in versions if row["entry_kind"] != "event")
        tick.make("member_stay", "stays", segments=entered, people=None)
    if len(timed):
        tick.keep("occurrence", timed)
        if recipients:
            tick.make("fact", "facts", people=None)
    tick.make(
        "entrant",
        "entrants",
        has_events=any(row["entry_event"] for row in versions),
        versions=len(versions),
        event_key=_event_key(tick, versions),
        has_existing=has_existing,
        has_timed=len(timed) > 0,
        recipients=recipients,
        timed_since=min((row["zone_at"] for row in times), default=NEVER),
    )


def _event_key(tick: Tick, versions: Sequence[dict[str, Any]]) -> str:
    """SQL of the value by which an event is another run."""
    dialect = tick.warehouse.dialect
    keys = sorted({str(row["entry_key"]) for row in versions if row["entry_key"]})
    if not keys:
        return f"cast(null as {dialect.text})"
    arms = " ".join(
        f"when {dialect.literal(key)} then {dialect.json_text('event.properties', f'$.{key}')}" for key in keys
    )
    return f"case version.entry_key {arms} end"
