"""Takes back messages of runs under way to people who have left: claim and withdrawal take one key, the first has it.

What a run has not claimed when its person leaves is not sent; what it has is beyond recall.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from assets.audience import HISTORY, PROFILE_MAP
from assets.opening import Opener
from warehouse.query import render

SQL = Path(__file__).parent / "sql"
LEFT = "left the segment"


def withdraw_departed(opener: Opener, segments: Collection[str], at: datetime) -> int:
    """Withdraw the messages of open runs that are about these segments and whose entry is nobody's any more.

    The segments' histories were just advanced. Returns how many were not claimed yet.
    """
    withdrawn = 0
    for delivery in opener.journal.open_deliveries():
        segment = delivery.sync.split("/")[1]
        opened = opener.opened(delivery.run_id) if segment in segments else None
        if opened is None or "entry_id" not in opened.columns(opener.warehouse):
            continue
        query = render(
            SQL,
            "departed_messages",
            opener.warehouse.dialect,
            planned=opened.planned,
            run_id=opened.run_id,
            segment=segment,
            history=HISTORY,
            profile_map=PROFILE_MAP,
        )
        withdrawn += opener.journal.withdraw([row["send_key"] for row in opener.warehouse.rows(query)], LEFT, at)
    return withdrawn
