"""Appends what a tick did to the logs, as one batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from assets.journeys import tables
from assets.journeys.tick import Tick, Ticked
from warehouse.batches import Batch, discard

_EVENT = "source, event_id, profile_id, name, occurred_at, known_at, properties, tick"


def write(tick: Tick, through: Mapping[str, datetime], ticked: Ticked) -> None:
    """All rows, then the batch that shows them."""
    batch = Batch(tick.warehouse, f"tick/{tick.number}")
    rows = dict(_rows(tick, ticked))
    rows[tables.TICKS] = tick.sql("kept_tick", tick=_row(tick, through, ticked))
    for log in _WRITTEN:
        if log in rows:
            batch.append(log, rows[log])
        elif not batch.known:  # what a killed tick of this number left
            discard(tick.warehouse, log, [batch.batch_id])
    tick.drop_all()  # before: nothing that can fail comes after the rows are visible
    batch.commit(tick.clock.known_by)


def _rows(tick: Tick, ticked: Ticked) -> Iterator[tuple[str, str]]:
    """Log → query of its new rows, where there are any."""
    if tick.news["new_event"]:
        yield tables.EVENTS, f"select {_EVENT} from new_event"
    if tick.news["new_evaluation"]:
        yield tables.EVALUATIONS, "select segment, as_of, tick from new_evaluation"
    if ticked.entered:
        yield tables.RUNS, tick.sql("kept_runs", number=tick.number)
    if tick.news.get("refused"):
        yield tables.NON_ENTRIES, tick.sql("kept_non_entries")
    if ticked.moved:
        yield tables.TRANSITIONS, tick.sql("kept_transitions")
    if "synced" in tick.kinds:
        yield tables.AUDIENCES, tick.sql("kept_audiences")
    if tick.news.get("late_stop"):
        yield tables.LATE, "select run_id, after_hop, stopped_at, reason from late_stop"
    if ticked.decided:
        yield tables.OUTBOX, tick.sql("kept_decisions")
    if tick.news.get("withdrawal"):
        yield tables.MESSAGES, "select * from withdrawal"


def _row(tick: Tick, through: Mapping[str, datetime], ticked: Ticked) -> dict[str, Any]:
    events = tick.inputs.events_clock
    return {
        "tick": tick.number,
        "as_of": tick.clock.as_of,
        "known_by": tick.clock.known_by,
        "events_as_of": events.as_of,
        "events_known_by": events.known_by,
        "loaded_through": json.dumps({source: at.isoformat() for source, at in sorted(through.items())}),
        "identity_number": tick.identity_number,
        "cap_window": int(tick.policy.cap_window.total_seconds()),
        "entered": ticked.entered,
        "moved": ticked.moved,
        "ended": sum(tick.ended.values()),
        "decided": sum(ticked.decided.values()),
    }


_WRITTEN = (
    tables.EVENTS,
    tables.EVALUATIONS,
    tables.RUNS,
    tables.NON_ENTRIES,
    tables.TRANSITIONS,
    tables.AUDIENCES,
    tables.LATE,
    tables.OUTBOX,
    tables.MESSAGES,
    tables.TICKS,
)
