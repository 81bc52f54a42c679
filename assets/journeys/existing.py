"""How many `entry: {existing: true}` takes in: who is in the segment, as the published copy has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assets.journeys.program import Version
from models.journey import Journey
from warehouse.base import Warehouse


def members(copy: Warehouse, journeys: Iterable[Journey], published: Sequence[Version]) -> dict[str, int]:
    """Journey → present members, where no version before took them in. A segment that was not built is left out."""
    took = {version.name for version in published if version.journey.entry.existing}
    found = {}
    for journey in journeys:
        segment = journey.entry.segment
        if segment and journey.entry.existing and journey.journey not in took and copy.columns(segment):
            rows = copy.rows(f"select count(*) as n from {copy.dialect.quote(segment)}")
            found[journey.journey] = int(rows[0]["n"])
    return found
