"""The demo: a made-up shop's last two days, each ingested, refreshed and synced at its own end; outcomes in between."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx

from assets import builds, demo_shop, publish, refresh, stages, store
from assets.deliveries import SyncResult
from assets.refresh import RefreshResult
from models.clock import Clock, end_of_day
from models.errors import NeedsPerson, UserError
from models.settings import Settings
from orchestration import clocks, local_recorder, sending
from orchestration.console import Tell

OUTCOMES_SECONDS = 300.0


@dataclass(frozen=True)
class Shop:
    """What a demo was made of; `made` counts what its files hold."""

    people: int
    days: int
    seed: int
    last_day: date
    made: dict[str, int]


@dataclass(frozen=True)
class Day:
    """What one day's run did. `outcomes`: how many came back of what was sent."""

    day: date
    refreshed: RefreshResult
    synced: tuple[SyncResult, ...]
    outcomes: int

    @property
    def sent(self) -> int:
        """Rows that a vendor or a file took."""
        return sum(result.counts.get("accepted", 0) for result in self.synced)


def run(settings: Settings, *, people: int, days: int, seed: int, tell: Tell) -> tuple[Shop, list[Day]]:
    """Make the shop, then run its last two days. A second run finds that done: it runs the last again, sending nothing.

    Raises UserError when the target already holds another shop.
    """
    shop = _made(settings, people, days, seed, tell)
    zone = clocks.zone(settings)
    before = _last_clock(settings)
    due = [shop.last_day - timedelta(days=1), shop.last_day]
    todo = [day for day in due if before is None or end_of_day(day, zone) >= before.as_of]
    if not todo:
        message = "this target is past the demo's days already; for another demo set TAILRACE_HOME to a new folder"
        raise UserError(message)
    with local_recorder.running(settings) as here:
        done = [_day(here, day, Clock.at(end_of_day(day, zone)), seed, tell) for day in todo]
    return shop, done


def _day(settings: Settings, day: date, clock: Clock, seed: int, tell: Tell) -> Day:
    refreshed = refresh.refresh(settings, clock, lambda what: tell(f"{day}: {what}"))
    if not refreshed.ok:
        raise NeedsPerson("the refresh did not come out whole: look at `tailrace status`")
    synced = sending.sync(
        settings, clock, None, lambda what, done=None, total=None: tell(f"{day}: {what}", done, total)
    )
    tell(f"{day}: taking back what came of it")
    outcomes = _take_back(settings, seed)
    with store.locked(settings):
        stages.build_marts(settings, clock)
        with stages.opened(settings) as warehouse:
            publish.publish(settings, warehouse)
    return Day(day, refreshed, tuple(synced), outcomes)


def _take_back(settings: Settings, seed: int) -> int:
    """Let the recorder write what people did with what it took, where the source `outcomes` reads it; how many."""
    body = {"folder": str(settings.landing / "outcomes"), "seed": seed}
    answer = httpx.post(f"{settings.recorder}/_outcomes", json=body, timeout=OUTCOMES_SECONDS)
    answer.raise_for_status()
    return int(answer.json()["outcomes"])


def _made(settings: Settings, people: int, days: int, seed: int, tell: Tell) -> Shop:
    note = settings.root / "demo.json"
    wanted = {"people": people, "days": days, "seed": seed}
    if note.exists():
        kept = json.loads(note.read_text())
        if {name: kept[name] for name in wanted} != wanted:
            has = " ".join(f"--{name} {kept[name]}" for name in wanted)
            message = f"this target holds another shop ({has}); for another one set TAILRACE_HOME to a new folder"
            raise UserError(message)
        return Shop(**{**kept, "last_day": date.fromisoformat(kept["last_day"])})
    tell(f"making a shop of {people:,} people and {days} days")
    files = demo_shop.generate(settings.landing, people=people, days=days, seed=seed)
    shop = Shop(**wanted, last_day=files.last_day, made=files.counts)
    note.write_text(json.dumps(vars(shop), default=str))
    return shop


def _last_clock(settings: Settings) -> builds.Build | None:
    if not settings.warehouse.exists():
        return None
    with store.locked(settings), stages.opened(settings) as warehouse:
        return builds.latest(warehouse, builds.CLOCK)


def document(shop: Shop, days: list[Day]) -> dict[str, Any]:
    """The JSON of `tailrace demo`."""
    return {
        **vars(shop),
        "sent": sum(day.sent for day in days),
        "runs": [
            {
                "as_of": day.refreshed.clock.as_of,
                "new_rows": sum(one.rows for one in day.refreshed.ingested),
                "new_people": day.refreshed.identity.minted,
                "entered": sum(one.entered for one in day.refreshed.segments),
                "left": sum(one.left for one in day.refreshed.segments),
                "sent": {result.sync: dict(result.counts) for result in day.synced},
                "outcomes": day.outcomes,
            }
            for day in days
        ],
    }
