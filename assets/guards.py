"""The verdicts on a plan: what blocks `tailrace sync` until a person applies the plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assets.upstream import Upstream
from models.delivery import Guard
from models.sync import Guards


@dataclass(frozen=True)
class Size:
    """What the guards weigh, in rows."""

    model: int  # rows of the model today, with or without consent
    accepted: int  # identities that the vendor holds
    adds: int
    removes: int
    excused: int  # removes of those who said no, part of `removes`: no guard holds them
    sends: int
    is_first: bool  # no run went through to its end yet
    sent: int = 0  # messages of all journeys since the last tick, where these are a journey's


def verdicts(limits: Guards, size: Size, above: Upstream) -> Iterator[Guard]:
    """One verdict a guard, in the order a person reads them."""
    removes = size.removes - size.excused
    share = removes / size.accepted if size.accepted else 0.0
    yield Guard(
        "max_remove",
        removes <= limits.max_remove_rows or share <= limits.max_remove,
        f"{removes:,} of {size.accepted:,} would leave ({share:.1%}; allowed {limits.max_remove:.0%}"
        f" or {limits.max_remove_rows:,} rows)" + (f", and {size.excused:,} who said no" if size.excused else ""),
    )
    yield Guard(
        "max_add",
        size.is_first or size.adds <= max(limits.max_add_rows, limits.max_add * size.accepted),
        f"{size.adds:,} would enter an audience of {size.accepted:,}"
        + (
            "; the first run may"
            if size.is_first
            else f"; allowed {limits.max_add:g} times that or {limits.max_add_rows:,}"
        ),
    )
    yield Guard(
        "max_send",
        size.sends == 0 or size.sends + size.sent <= limits.max_send,
        f"{size.sends:,} messages; allowed {limits.max_send:,} a run"
        + (f", of which journeys sent {size.sent:,} since the last tick" if size.sent else ""),
    )
    yield Guard(
        "empty_model",
        size.model > 0 or size.accepted == 0,
        f"the model has {size.model:,} rows, the vendor holds {size.accepted:,}",
    )
    yield Guard("unique_key", True, "every key is one row")  # noqa: FBT003 - a plan exists only where this holds
    yield Guard("upstream", not above.broken, above.trouble or "no model it is built from is broken")
    yield Guard("freshness", not above.stale, _freshness(above))


def _freshness(above: Upstream) -> str:
    told = [f"source {name} brought nothing since {when:%Y-%m-%d %H:%M} UTC" for name, when in above.stale.items()]
    told += ["every source brought something within its max_age"] if not told else []
    told += [f"{name} never brought anything, which holds nobody" for name in above.silent]
    return "; ".join(told)
