"""The demo: a made-up shop, night by night. What landed is ingested, refreshed and sent; outcomes come back in between.

Journeys are published after the first night and ticked at every noon as well, when nobody's quiet hours are.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx

from assets import builds, demo_shop, publish, refresh, stages, store
from assets.journeys import documents, publication
from assets.refresh import RefreshResult
from assets.sync_run import SyncResult
from models.clock import Clock, end_of_day
from models.errors import NeedsPerson, UserError
from models.settings import Settings
from orchestration import clocks, journeys, local_gateway, local_recorder, sending
from orchestration.console import Tell
from sinks.fcm import FcmSink
from warehouse.engine import engine

OUTCOMES_SECONDS = 300.0
APP_SYNC = "app/message_outbox/cart_recovery"


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
    """What one day's run did. `outcomes`: how many came back of what was sent; `noon`: what its tick sent."""

    day: date
    refreshed: RefreshResult
    synced: tuple[SyncResult, ...]
    outcomes: int
    noon: tuple[SyncResult, ...] = ()

    @property
    def sent(self) -> int:
        """Rows that a vendor or a file took."""
        return sum(result.counts.get("accepted", 0) for result in (*self.noon, *self.synced))


def run(
    settings: Settings, *, people: int, days: int, seed: int, tell: Tell, nights: int | None = None
) -> tuple[Shop, list[Day]]:
    """Make the shop, then run its nights, or its last `nights`.

    A second run finds that done: it runs the last again, sending nothing. Raises UserError when the target already
    holds another shop.
    """
    shop = _made(settings, people, days, seed, tell)
    zone = clocks.zone(settings)
    before = _last_clock(settings)
    due = [shop.last_day - timedelta(days=back) for back in reversed(range(min(nights or days, days)))]
    todo = [day for day in due if before is None or end_of_day(day, zone) >= before.as_of]
    if not todo:
        message = "this target is past the demo's days already; for another demo set TAILRACE_HOME to a new folder"
        raise UserError(message)
    with local_recorder.running(settings) as recorded, local_gateway.running(recorded) as here:
        if recorded is not settings:  # the recorder is ours
            _programme(recorded, seed)
        done = [_day(here, day, Clock.at(end_of_day(day, zone)), seed, tell) for day in todo]
    return shop, done


def _programme(settings: Settings, seed: int) -> None:
    """Let a quarter of the apps be gone from their devices."""
    gone = {"sync": APP_SYNC, "share": 0.25, "of": "to", "reason": FcmSink.UNREGISTERED}
    httpx.put(f"{settings.recorder}/_behaviour", json={"seed": seed, "reject": [gone]}).raise_for_status()


def _day(settings: Settings, day: date, clock: Clock, seed: int, tell: Tell) -> Day:
    noon = _noon(settings, day, clock, tell)
    # the afternoon's opens and clicks are known to the night
    outcomes = _take_back(settings, seed) if noon else 0
    _land(settings, day)
    refreshed = refresh.refresh(settings, clock, lambda what: tell(f"{day}: {what}"))
    if not refreshed.ok:
        raise NeedsPerson("the refresh did not come out whole: look at `tailrace status`")
    _publish(settings, clock)
    synced = sending.sync(
        settings, clock, None, lambda what, done=None, total=None: tell(f"{day}: {what}", done, total)
    )
    tell(f"{day}: taking back what came of it")
    outcomes += _take_back(settings, seed)
    with store.kept_open(settings):
        stages.build_marts(settings, clock)
        with stages.opened(settings) as warehouse:
            publish.publish(settings, warehouse)
    return Day(day, refreshed, tuple(synced), outcomes, noon)


def _noon(settings: Settings, day: date, clock: Clock, tell: Tell) -> tuple[SyncResult, ...]:
    """What the night before left in somebody's quiet hours goes now; nothing before the first night."""
    at = Clock.at(datetime.combine(day, time(12), UTC))
    last = _last_clock(settings)
    if last is None or not last.as_of < at.as_of < clock.as_of:
        return ()
    return journeys.tick(settings, at, lambda what, done=None, total=None: tell(f"{day}: {what}", done, total)).synced


def _publish(settings: Settings, clock: Clock) -> None:
    """Every journey there is, after the first night."""
    after = Clock.at(clock.as_of + timedelta(microseconds=1))
    with store.locked(settings, how="beside"), stages.opened(settings) as warehouse:
        known = {version.name for version in publication.published(warehouse)}
    for read in documents.journeys(settings):
        if not known:
            journeys.publish(settings, read.journey.journey, after)


def _land(settings: Settings, day: date) -> None:
    """Put the files of this day, and of those before, where sources read them."""
    for file in sorted(_shelf(settings).glob("*/*")):
        target = settings.landing / file.relative_to(_shelf(settings))
        if file.name[: len("2026-09-01")] <= day.isoformat() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            aside = target.with_name(f"{target.name}.part")
            shutil.copyfile(file, aside)
            aside.rename(target)


def _shelf(settings: Settings) -> Path:
    """Where the shop's files wait for their day."""
    return settings.root / "demo-shop"


def _take_back(settings: Settings, seed: int) -> int:
    """Let the recorder tell what people did with what it took: messages to the gateway, the rest as files; how many.

    What the gateway answered is in a finished file a few seconds later.
    """
    body = {"folder": str(settings.outcomes), "seed": seed, "gateway": settings.gateway}
    answer = httpx.post(f"{settings.recorder}/_outcomes", json=body, timeout=OUTCOMES_SECONDS)
    if answer.is_error:
        message = f"the recorder could not tell what came of it: {answer.text.strip()}"
        raise NeedsPerson(message)
    local_gateway.wait_for_files(settings)
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
    files = demo_shop.generate(_shelf(settings), people=people, days=days, seed=seed)
    shop = Shop(**wanted, last_day=files.last_day, made=files.counts)
    note.write_text(json.dumps(vars(shop), default=str))
    return shop


def _last_clock(settings: Settings) -> builds.Build | None:
    if not engine(settings).exists():
        return None
    with store.locked(settings, how="beside"), stages.opened(settings) as warehouse:
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
                "sent_at_noon": {result.sync: dict(result.counts) for result in day.noon},
                "journeys": {
                    "entered": day.refreshed.journeys.ticked.entered,
                    "moved": day.refreshed.journeys.ticked.moved,
                    "decided": dict(day.refreshed.journeys.ticked.decided),
                },
                "outcomes": day.outcomes,
            }
            for day in days
        ],
    }
