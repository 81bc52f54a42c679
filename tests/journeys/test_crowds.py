"""More people or messages at once than policy.yml lets go wait for somebody's word, and that word is for so many."""

from __future__ import annotations

import pytest

from assets.journeys.crowds import too_many
from orchestration import cli, environment, local_recorder, sending
from tests.journeys.badges import Badges, clock

pytestmark = pytest.mark.sampled

THANKS = "entry: {event: Order Completed, key: order_id}\nsteps: [{wait: 1 day}, {exit: thanked}]\n"


@pytest.mark.parametrize(
    ("entries", "approved", "held"),
    [
        ({"a": 500}, {}, {}),
        ({"a": 501}, {}, {"a": 501}),
        ({"a": 300, "b": 250, "c": 200}, {}, {"a": 300}),
        ({"a": 300, "b": 300, "c": 300}, {}, {"a": 300, "b": 300}),
        ({"a": 900, "b": 500}, {"a": 990}, {}),
        ({"a": 991, "b": 500}, {"a": 990}, {"a": 991}),
        ({"a": 300, "b": 10}, {"a": 100}, {}),
    ],
)
def test_those_with_most_wait_until_the_others_fit(
    entries: dict[str, int], approved: dict[str, int], held: dict[str, int]
) -> None:
    """All entries of a tick count together; who comes by somebody's word counts for nothing, up to that word."""
    assert too_many(entries, 500, approved) == held


@pytest.mark.slow
def test_too_many_wait_for_a_word_that_is_for_so_many(shop: Badges, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held, told by status, let in by `apply journey:NAME` at the next tick; far more than that are held again."""
    for name, value in environment.child(shop.settings).items():
        monkeypatch.setenv(name, value)

    def apply(at: str) -> int:
        return cli.run(["apply", "journey:thanks", "--as-of", f"{at}:00+00:00"])

    shop.journey("thanks", THANKS)
    shop.publish("thanks", "2026-09-02T00:00")
    assert apply("2026-09-02T00:30") == 3
    shop.land("2", range(600), "2026-09-02T09:00")
    done = shop.refresh("2026-09-02T10:00").journeys
    assert "600 people would enter at once" in done.waiting["thanks"]
    assert "tailrace apply journey:thanks" in done.waiting["thanks"]
    assert "journey thanks: 600 people would enter at once" in shop.needs()
    assert apply("2026-09-02T10:30") == 0
    shop.land("3", range(600, 700), "2026-09-02T10:40")
    done = shop.refresh("2026-09-02T11:00").journeys
    assert done.ticked.entered == 0
    assert "700 people would enter at once" in done.waiting["thanks"]
    assert "journey thanks: 700 people would enter at once" in shop.needs()
    assert apply("2026-09-02T11:30") == 0
    shop.land("4", range(700, 730), "2026-09-02T11:40")
    done = shop.refresh("2026-09-02T12:00").journeys
    assert (done.ticked.entered, dict(done.waiting)) == (730, {})
    assert "journey thanks" not in shop.needs()
    assert apply("2026-09-02T12:30") == 3


@pytest.mark.slow
def test_messages_of_one_tick_count_together(shop: Badges) -> None:
    """Two journeys that send 300 each where 500 may go: one goes, the other says which plan to apply, and then goes."""
    send = "{send: {sink: mail, template: badge, purpose: transactional}}"
    for name, event, days in (("first", "Badge Won", "2 days"), ("second", "Badge Lost", "1 day")):
        shop.journey(name, f"entry: {{event: {event}}}\nsteps: [{{wait: {days}}}, {send}]\n")
    shop.land("0", range(1), "2026-09-01T13:00", "Badge Won")
    shop.land("00", range(1), "2026-09-01T13:00", "Badge Lost")
    shop.refresh("2026-09-02T00:00")
    for name in ("first", "second"):
        shop.publish(name, "2026-09-02T00:01")
    shop.land("2", range(300), "2026-09-02T09:00", "Badge Won")
    assert shop.refresh("2026-09-02T10:00").journeys.ticked.entered == 300
    shop.land("3", range(300, 600), "2026-09-03T09:00", "Badge Lost")
    assert shop.refresh("2026-09-03T10:00").journeys.ticked.entered == 300
    with local_recorder.running(shop.settings) as here:
        first, second = Badges(here).tick("2026-09-04T10:00", sends=True).synced
        assert (first.ok, dict(first.counts)) == (True, {"accepted": 300})
        assert second.plan
        assert "300 messages; allowed 500 a run, of which journeys sent 300 since the last tick" in str(second.error)
        assert f"tailrace apply {second.plan.plan_id}" in str(second.error)
        (again,) = Badges(here).tick("2026-09-04T10:05", sends=True).synced
        assert again.plan
        assert not again.ok
        done = sending.apply(here, again.plan.plan_id, lambda *_: None)
        assert dict(done.counts) == {"accepted": 300}
        assert clock("2026-09-04T10:05").as_of == again.plan.as_of
