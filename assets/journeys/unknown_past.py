"""What of the past a backtest cannot know as it was, and what stands in for it; in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from assets.journeys import publication
from assets.journeys.pauses import paired
from assets.journeys.program import Version
from assets.journeys.rerun import Past, days_of, others, recorded_at, recorded_dates, segments_of
from models.policy import Policy
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"


def notes(warehouse: Warehouse, policy: Policy, past: Past, versions: Iterable[Version]) -> list[str]:
    """The working copy first, then the published version, where there is one."""
    versions = list(versions)
    found = [*_of_people(warehouse, past, versions[0])]
    for segment in segments_of(versions):
        found += _of_segment(warehouse, policy, past, segment)
    changes = warehouse.rows(render(SQL, "journeys/why_pauses", warehouse.dialect, kept=past.kept))
    if any(span.begin < past.end and (span.end is None or span.end > past.start) for span in paired(changes)):
        found.append("pauses are left out: nothing waits for them here")
    if others(warehouse, past, versions[0].name):
        found.append("messages of other journeys count for caps as they were decided")
    return found


def _of_people(warehouse: Warehouse, past: Past, version: Version) -> Iterator[str]:
    recorded = recorded_at(warehouse, past)
    if recorded is None:
        yield "contact points, zones and consent were never recorded: those of now stand in"
    elif recorded > past.start:
        yield f"contact points, zones and consent are recorded since {_said(recorded)}: before, as they were then"
    if missing := sorted(publication.date_columns([version]) - recorded_dates(warehouse, past)):
        yield f"{', '.join(missing)}: not recorded; as of now"


def _of_segment(warehouse: Warehouse, policy: Policy, past: Past, segment: str) -> Iterator[str]:
    rows = warehouse.rows(
        f"select min(as_of) as first from {past.kept}.segment_evaluation where segment = ?", [segment]
    )
    first = rows[0]["first"]
    if first is not None and first <= past.start:
        return
    days = [at for at in days_of(warehouse, past, policy.zone_info, [segment]).values() if first is None or at < first]
    if days and min(days) <= past.start:
        yield f"{segment}: by the days that were worked out, until its history begins"
        return
    since = min([*days, *([first] if first else [])], default=None)
    told = f"before {_said(since)}" if since else "ever"
    yield f"nobody knows who was in {segment} {told}; `tailrace backfill segment_days` works it out"


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
