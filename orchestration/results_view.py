"""What `tailrace results` reads of the mart `message_results`: counts, and shares of what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assets import store
from assets.mistakes import suggestion
from models.errors import UserError
from models.settings import Settings
from orchestration import console

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
        literal, listed = copy.dialect.literal, ", ".join(by)
        counts = ", ".join(f"cast(sum({name}) as bigint) as {name}" for name in COUNTS)
        conditions = [f"journey = {literal(journey)}"] if journey else []
        if days:
            conditions.append(f"day > (select max(day) from main.message_results) - {days}")
        where = f" where {' and '.join(conditions)}" if conditions else ""
        return copy.rows(
            f"select {listed}, {counts} from main.message_results{where} group by {listed} order by {listed}"
        )


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table; beside each count its share of what was sent."""
    screen = console.out()
    if not rows:
        screen.print("no messages were sent yet")
        return
    screen.print(console.table([{name: _cell(row, name) for name in row} for row in rows]))
    screen.print("machine opened: by a proxy or scanner; whether a person opened it, too, nobody can say")


def _cell(row: dict[str, Any], name: str) -> Any:
    if name == "version" and row[name]:
        return row[name][:8]
    if name in COUNTS[1:] and row["sent"]:
        return f"{row[name]:,} ({row[name] / row['sent']:.1%})" if row[name] else 0
    return row[name]
