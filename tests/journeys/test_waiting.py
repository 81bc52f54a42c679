"""A journey that cannot move waits, says for what, and catches up; nothing else waits with it."""

from __future__ import annotations

import dagster as dg
import pytest

from assets import store
from models.errors import Refused
from orchestration import keys, reports, run_clock
from orchestration.code_location import build
from orchestration.jobs import REFRESH
from tests.faults.world import SEGMENT
from tests.journeys.badges import Badges, clock

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

THANKS = "entry: {event: Order Completed, key: order_id}\nsteps: [{wait: 1 day}, {exit: thanked}]\n"


def published_at(shop: Badges) -> str:
    """The clock of the newest history that is published."""
    with store.reading(shop.settings) as copy:
        return f"{copy.rows('select max(as_of) as at from segment_history')[0]['at']:%Y-%m-%dT%H:%M}"


def test_a_refresh_that_a_later_tick_overtook_ends_whole(shop: Badges) -> None:
    """A refresh launched before the last tick does all but tick, and says so; only `tailrace tick` is refused."""
    shop.journey("thanks", THANKS)
    shop.publish("thanks", "2026-09-02T00:00")
    shop.land("2", range(30), "2026-09-02T09:00")
    shop.tick("2026-09-02T11:00")
    done = shop.refresh("2026-09-02T10:00")
    assert done.ok
    assert "the last tick was as of 2026-09-02 11:00:00 UTC" in str(done.journeys.skipped)
    assert "publish" in done.seconds
    assert published_at(shop) == "2026-09-02T10:00"
    assert reports.refreshed(done)["journeys"] == {"tick": None, "no_tick": done.journeys.skipped}
    with pytest.raises(Refused, match="time does not go back"):
        shop.tick("2026-09-02T10:30")
    assert shop.tick("2026-09-02T12:00").journeys.ticked.entered == 30


def test_a_run_of_dagster_that_a_later_tick_overtook_ends_whole(shop: Badges) -> None:
    """The same refresh as a Dagster run: its journeys' step shows why there was no tick, and the marts are built."""
    shop.journey("thanks", THANKS)
    shop.publish("thanks", "2026-09-02T00:00")
    shop.land("2", range(30), "2026-09-02T09:00")
    shop.tick("2026-09-02T11:00")
    job = build(shop.settings).resolve_job_def(REFRESH)
    tags = run_clock.tags(clock("2026-09-02T10:00").as_of)
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), raise_on_error=False, tags=tags)
    assert result.success
    made = {event.asset_key: event.materialization for event in result.get_asset_materialization_events()}
    assert "the last tick was as of" in str(made[keys.journey("thanks")].metadata["waiting"].value)
    assert dg.AssetKey(["marts", "journey_funnel"]) in made
    assert published_at(shop) == "2026-09-02T10:00"


def test_a_journey_waits_for_a_broken_segment_and_catches_up(shop: Badges) -> None:
    """One names a segment that breaks: it waits and says so, the other goes on; mended, it moves as if nothing was."""
    shop.segment("seg_rich", SEGMENT)
    branch = "{branch: {segment: seg_rich, then: [{exit: rich}], else: [{exit: poor}]}}"
    shop.journey("waits", f"entry: {{event: Order Completed, key: order_id}}\nsteps: [{{wait: 1 hour}}, {branch}]\n")
    shop.journey("goes_on", THANKS)
    shop.refresh("2026-09-02T00:00")
    for name in ("waits", "goes_on"):
        shop.publish(name, "2026-09-02T00:01")
    shop.segment("seg_rich", SEGMENT.replace("profile_id", "profile_idd", 1))
    shop.land("2", range(30), "2026-09-02T09:00")
    broken = shop.refresh("2026-09-02T09:30")
    assert not broken.ok
    why = "waits for the segment seg_rich, which is as of 2026-09-02 00:00 UTC"
    assert broken.journeys.ticked.entered == 30
    assert {name: reason.split(";")[0] for name, reason in broken.journeys.waiting.items()} == {"waits": why}
    assert f"journey waits: {why}" in shop.needs()
    assert why in shop.tick("2026-09-02T09:40").journeys.waiting["waits"]
    shop.segment("seg_rich", SEGMENT)
    mended = shop.refresh("2026-09-02T11:00")
    assert (mended.ok, mended.journeys.ticked.entered, dict(mended.journeys.waiting)) == (True, 30, {})
    with store.reading(shop.settings) as copy:
        moved = copy.rows(
            "select kind, detail, strftime(logical_at at time zone 'UTC', '%H:%M') as clock, count(*) as n "
            "from journey_transition "
            "where journey = 'waits' group by kind, detail, logical_at order by logical_at, kind"
        )
    assert [(row["kind"], row["clock"], row["n"]) for row in moved] == [
        ("entered", "09:00", 30),
        ("branched", "10:00", 30),
        ("finished", "10:00", 30),
        ("waited", "10:00", 30),
    ]
    assert "journey waits" not in shop.needs()


def test_a_step_of_dagster_shows_where_people_are(shop: Badges) -> None:
    """The asset of a journey has its numbers, those of the tick, and its steps as a table with a bar each."""
    send = "{send: {sink: mail, template: badge, purpose: transactional}}"
    shop.journey("thanks", THANKS.replace("[", f"[{send}, "))
    shop.publish("thanks", "2026-09-02T00:00")
    shop.land("2", range(20), "2026-09-02T09:00")
    job = build(shop.settings).resolve_job_def(REFRESH)
    tags = run_clock.tags(clock("2026-09-02T10:00").as_of)
    result = job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), raise_on_error=False, tags=tags)
    assert result.success
    made = {event.asset_key: event.materialization for event in result.get_asset_materialization_events()}
    shown = {name: value.value for name, value in made[keys.journey("thanks")].metadata.items()}
    steps = str(shown.pop("steps")).splitlines()
    assert shown == {
        "in_it_now": 20,
        "entered": 20,
        "sent": 0,  # a vendor accepted nothing yet
        "converted": 0,
        "tick_entered": 20,
        "tick_moves": 40,
        "tick_messages/admitted": 20,
        "waiting": "",
    }
    bar = "█" * 24
    assert steps == [
        "| step | what | entered | | here | sent | converted |",
        "|---|---|--:|---|--:|--:|--:|",
        f"| 1 | send badge by mail | 20 | {bar} | 0 | 0 | 0 |",
        f"| 2 | wait 1 day | 20 | {bar} | 20 |  | 0 |",
        "| 3 | exit: thanked | 0 |  | 0 |  | 0 |",
    ]


def test_messages_of_a_journey_that_waits_do_not_leave(shop: Badges) -> None:
    """While a segment that ends the journey cannot be built nobody knows who left: nothing goes until it is mended."""
    send = "{send: {sink: mail, template: badge, purpose: transactional, expires: 3 days}}"
    shop.journey(
        "thanks", f"entry: {{event: Order Completed, key: order_id}}\nexit: [{{segment: seg_gone}}]\nsteps: [{send}]\n"
    )
    nobody = "select profile_id from {{ ref('profiles') }} where false"
    shop.segment("seg_gone", nobody)
    assert shop.refresh("2026-09-01T23:30").ok
    shop.publish("thanks", "2026-09-02T00:00")
    shop.land("2", range(30), "2026-09-02T09:00")
    assert shop.refresh("2026-09-02T10:00").ok
    assert shop.due("2026-09-02T10:01") == ["mail/message_outbox/thanks_transactional"]
    shop.segment("seg_gone", nobody.replace("profile_id", "no_such_column"))
    assert not shop.refresh("2026-09-02T11:00").ok
    assert shop.due("2026-09-02T11:01") == []
    shop.segment("seg_gone", nobody)
    assert shop.refresh("2026-09-02T12:00").ok
    assert shop.due("2026-09-02T12:01") == ["mail/message_outbox/thanks_transactional"]
