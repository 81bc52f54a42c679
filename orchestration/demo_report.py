"""What the demo says when it is over: what happened, and what to look at next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestration import console
from orchestration.demonstration import Day, Shop
from orchestration.sending import exit_code

NEXT = {
    "status": "everything on one screen",
    "plan crm/seg_lapsed": "what would be sent now, and why",
    'sql "select * from results limit 5"': "what came of what was sent",
    "preview seg_high_value": "edit dbt_project/models/segments/seg_high_value.sql first",
    "ui": "the graph, the runs and their schedules in Dagster",
}


def print_demo(shop: Shop, days: Sequence[Day]) -> None:
    """A table a stage of the loop, for the last day that ran."""
    screen = console.out()
    made = ", ".join(f"{count:,} {what}" for what, count in shop.made.items() if what != "people")
    screen.print(f"A shop of {shop.people:,} people over {shop.days} days: {made}.")
    rows = [
        {
            "day": day.day,
            "new rows": sum(one.rows for one in day.refreshed.ingested),
            "bad lines": sum(one.bad for one in day.refreshed.ingested),
            "new people": day.refreshed.identity.minted,
            "entered": sum(one.entered for one in day.refreshed.segments),
            "left": sum(one.left for one in day.refreshed.segments),
            "sent": day.sent,
            "outcomes back": day.outcomes,
        }
        for day in days
    ]
    screen.print(console.table(rows))
    synced = [result for day in days[-1:] for result in day.synced]
    lines = [
        {
            "sync": result.sync,
            "audience": result.plan.audience if result.plan else None,
            "sent": result.counts.get("accepted", 0),
            "not sent": str(result.error or result.stopped or "") or None,
        }
        for result in synced
    ]
    screen.print(console.table(lines, title=f"syncs on {days[-1].day}"))
    if exit_code(synced) == 0 and sum(day.sent for day in days) == 0:
        screen.print("0 sent: every audience was as it should be.")
    screen.print(following(), markup=False)


def following() -> str:
    """What to look at next, as somebody here can type it: `tailrace` may be in an environment that is not entered."""
    found, beside = shutil.which("tailrace"), Path(sys.executable).with_name("tailrace")
    is_ours = not beside.exists() or (found and beside.samefile(found))
    program = "tailrace" if is_ours else shlex.quote(os.path.relpath(beside))
    lines = {f"  {program} {arguments}": what for arguments, what in NEXT.items()}
    width = max(map(len, lines)) + 2
    return "\n".join(["Next:", *(f"{line:<{width}}{what}" for line, what in lines.items())])
