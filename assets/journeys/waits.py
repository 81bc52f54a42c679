"""Which journeys do not move, and why: their segments are behind, or more people would enter than may.

Nothing of them is decided and no message of them leaves: somebody may have left, and nobody has looked.
"""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

from assets.journeys import crowds, in_use, named, people, publication
from assets.journeys.flat import flatten
from assets.journeys.program import Version
from models.clock import Clock
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"


def reasons(warehouse: Warehouse, kept: str = "tailrace") -> dict[str, str]:
    """Journey → why it waits. `kept`: the schema of the logs; the published copy may lack some."""
    found: dict[str, str] = {}
    if not warehouse.columns(f"{kept}.journey_version"):
        return found
    versions = publication.published(warehouse, relation=f"{kept}.journey_version")
    if warehouse.columns(f"{kept}.people_evaluation"):
        through = people.through(warehouse, f"{kept}.people_evaluation")
        found |= behind(warehouse, versions, through, kept) if through else {}
    if warehouse.columns(f"{kept}.journey_held"):
        for row in warehouse.rows(render(SQL, "journeys/list_held", warehouse.dialect, kept=kept)):
            found[str(row["journey"])] = crowds.held(str(row["journey"]), int(row["entries"]))
    return found


def behind(warehouse: Warehouse, versions: list[Version], through: Clock, kept: str = "tailrace") -> dict[str, str]:
    """Journeys that name a segment whose history did not come as far as people and events: they wait.

    What only a version names that nobody is in any more is not waited for. `kept`: the schema of the logs.
    """
    rows = warehouse.rows(render(SQL, "journeys/evaluated_segments", warehouse.dialect, kept=kept))
    evaluated = {str(row["segment"]): row["as_of"] for row in rows}
    late: dict[tuple[str, int], str] = {}
    for version in versions:
        for segment, _ in named.segments(version.journey, flatten(version.journey)):
            last = evaluated.get(segment)
            if last is None or last < through.as_of:
                since = "was never built" if last is None else f"is as of {last.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
                reason = f"waits for the segment {segment}, which {since}; see `tailrace status`"
                late[version.name, version.version] = reason
    if not late:  # runs are counted only where they matter
        return {}
    used = in_use.versions(versions, in_use.under_way(warehouse, kept))
    return {each.name: late[each.name, each.version] for each in used if (each.name, each.version) in late}
