"""What came of messages, summed from the mart `message_results` of the published copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets import store
from assets.mistakes import suggestion
from models.errors import UserError
from models.settings import Settings
from warehouse.query import render

SQL = Path(__file__).parent.parent / "sql"
DIMENSIONS = ("journey", "node", "template", "version", "locale", "channel", "day")
COUNTS = (
    "sent", "delivered", "opened", "machine_opened", "clicked", "bounced", "complained", "unsubscribed", "converted",
)  # fmt: skip


def results(settings: Settings, journey: str | None, by: Sequence[str], days: int | None) -> list[dict[str, Any]]:
    """One row a combination of `by`. Raises UserError for a column or journey that is not there."""
    for name in by:
        if name not in DIMENSIONS:
            message = f"--by: no column '{name}'{suggestion(name, DIMENSIONS)}"
            raise UserError(message)
    with store.reading(settings) as copy:
        if not copy.columns("main.message_results"):
            raise UserError("the published copy has no message_results yet; run `tailrace refresh`")
        names = [str(row["journey"]) for row in copy.rows("select distinct journey from main.message_results")]
        if journey is not None and journey not in names:
            message = f"no messages of a journey '{journey}' were sent{suggestion(journey, sorted(names), 'there are')}"
            raise UserError(message)
        query = render(SQL, "sum_results", copy.dialect, by=by, counts=COUNTS, journey=journey, days=days)
        return copy.rows(query)
