"""What journeys keep for ever: the logs of the warehouse that ticks append to, and those that they read."""

from __future__ import annotations

from collections.abc import Mapping

from warehouse.base import Warehouse
from warehouse.batches import create_log

_T, _B, _I, _M, _F = "varchar", "bigint", "integer", "timestamptz", "boolean"

VERSIONS = "tailrace.journey_version"
RUNS = "tailrace.journey_run"
NON_ENTRIES = "tailrace.journey_non_entry"
TRANSITIONS = "tailrace.journey_transition"
AUDIENCES = "tailrace.journey_audience"
OUTBOX = "tailrace.message_outbox"
MESSAGES = "tailrace.message_event"
LATE = "tailrace.journey_late"
TICKS = "tailrace.journey_tick"
EVENTS = "tailrace.journey_event"
EVALUATIONS = "tailrace.journey_evaluation"
PROFILES = "tailrace.profile_history"
CONSENT = "tailrace.consent_history"
HELD = "tailrace.journey_held"
APPROVED = "tailrace.journey_approval"
PEOPLE = "tailrace.people_evaluation"
LOADED = "tailrace.source_loaded"
PAUSES = "tailrace.pause_change"

LOGS: Mapping[str, Mapping[str, str]] = {
    VERSIONS: {
        "journey": _T, "version": _I, "spec": _T, "salt": _T, "sources": _T, "channels": _T, "templates": _T,
        "published_at": _M, "known_by": _M,
    },
    RUNS: {
        "run_id": _T, "journey": _T, "version": _I, "unit_id": _T, "entered_at": _M, "entry_key": _T, "cause": _T,
        "arm": _T, "properties": _T, "tick": _B,
    },
    NON_ENTRIES: {
        "journey": _T, "version": _I, "unit_id": _T, "cause": _T, "entry_key": _T, "logical_at": _M, "reason": _T,
    },
    TRANSITIONS: {
        "run_id": _T, "journey": _T, "version": _I, "hop": _I, "kind": _T, "node": _T, "next_node": _T, "ended": _T,
        "detail": _T, "logical_at": _M, "since_at": _M, "due_at": _M,
    },
    AUDIENCES: {"audience": _T, "profile_id": _T, "op": _T, "run_id": _T, "hop": _I, "logical_at": _M},
    OUTBOX: {
        "send_key": _T, "round": _I, "run_id": _T, "node": _T, "hop": _I, "journey": _T, "version": _I, "unit_id": _T,
        "profile_id": _T, "channel": _T, "sink": _T, "template": _T, "purpose": _T, "priority": _I, "logical_at": _M,
        "window_at": _M, "not_before": _M, "expires_at": _M, "zone": _T, "decision": _T, "reason": _T,
    },
    MESSAGES: {
        "send_key": _T, "event": _T, "reason": _T, "provider": _T, "provider_event_id": _T, "occurred_at": _M,
    },
    LATE: {"run_id": _T, "after_hop": _I, "stopped_at": _M, "reason": _T},
    TICKS: {
        "tick": _B, "journey": _T, "as_of": _M, "known_by": _M, "events_as_of": _M, "events_known_by": _M,
        "loaded_through": _T, "identity_number": _B, "cap_window": _I, "entered": _B, "moved": _B, "ended": _B,
        "decided": _B,
    },
    EVENTS: {
        "source": _T, "event_id": _T, "profile_id": _T, "name": _T, "occurred_at": _M, "known_at": _M,
        "properties": _T, "tick": _B,
    },
    EVALUATIONS: {"segment": _T, "as_of": _M, "tick": _B},
    PROFILES: {
        "profile_id": _T, "email": _T, "phone": _T, "push_token": _T, "time_zone": _T, "dates": _T, "as_of": _M,
        "known_by": _M,
    },
    CONSENT: {
        "profile_id": _T, "channel": _T, "contact_point": _T, "purpose": _T, "granted": _F, "suppressed": _F,
        "reason": _T, "as_of": _M, "known_by": _M,
    },
    HELD: {"journey": _T, "version": _I, "entries": _B, "as_of": _M},
    APPROVED: {"journey": _T, "held_as_of": _M, "approved_at": _M},
    PEOPLE: {"as_of": _M, "known_by": _M},
    LOADED: {"source": _T, "through": _M, "known_at": _M},
    PAUSES: {"journal_id": _T, "position": _B, "scope": _T, "change": _T, "changed_at": _M},
}  # fmt: skip


KEYS = frozenset(
    {
        *("run_id", "unit_id", "profile_id", "send_key", "event_id", "cause", "entry_key"),
        *("properties", "email", "phone", "push_token", "dates", "contact_point", "provider_event_id", "spec"),
    }
)
"""Texts that nearly every row has another value of."""


def prepare(warehouse: Warehouse) -> None:
    """Create the logs where they are missing."""
    for name, columns in LOGS.items():
        create_log(warehouse, name, columns, KEYS)
