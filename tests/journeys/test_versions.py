"""What a published version needs stays there for as long as anybody goes by it."""

from __future__ import annotations

import pytest

from models.errors import ConfigError, Refused
from orchestration import checking
from tests.faults.world import SEGMENT
from tests.journeys.badges import Badges

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

ENTRY = "entry: {event: Order Completed, key: order_id}\n"
OLD = f"""{ENTRY}steps:
  - wait: 2 days
  - branch: {{segment: seg_rich, then: [{{send: {{sink: mail, template: old}}}}], else: exit}}
"""
NEW = f"{ENTRY}steps: [{{wait: 2 days}}, {{name: say, send: {{sink: mail, template: badge}}}}]\n"


@pytest.fixture
def shop(shop: Badges) -> Badges:
    """A journey with a segment and a template of its own, published before badges of the second are known."""
    shop.segment("seg_rich", SEGMENT)
    shop.write("templates/old.txt", "---\nsubject: Old\n---\nYours.\n")
    shop.journey("thanks", OLD)
    shop.refresh("2026-09-02T00:00")
    shop.publish("thanks", "2026-09-02T00:01")
    return shop


def take_away(shop: Badges) -> None:
    (shop.settings.dbt_project / "templates/old.txt").unlink()
    for ending in ("sql", "yml"):
        (shop.settings.dbt_project / f"models/segments/seg_rich.{ending}").unlink()


def test_runs_under_way_keep_what_they_need(shop: Badges) -> None:
    """Neither check nor publish lets a template or segment go that runs need; a version that ends them does."""
    shop.land("2", range(30), "2026-09-02T09:00")
    assert shop.refresh("2026-09-02T12:00").journeys.ticked.entered == 30
    take_away(shop)
    shop.journey("thanks", NEW)
    for refused in (
        lambda: shop.publish("thanks", "2026-09-02T13:00"),
        lambda: checking.check(shop.settings, lambda *_: None),
    ):
        with pytest.raises(ConfigError) as caught:
            refused()
        said = str(caught.value)
        assert "thanks.yml" in said
        assert "version 1, with 30 runs under way, names the segment 'seg_rich'" in said
        assert "and the template 'old'" in said
        assert "put it back, or publish a version without it that says `on_publish: exit`" in said
    shop.journey("thanks", NEW + "on_publish: exit\n")
    checking.check(shop.settings, lambda *_: None)
    assert shop.publish("thanks", "2026-09-02T13:00").version == 2
    done = shop.refresh("2026-09-02T14:00").journeys
    assert not done.waiting
    assert done.ticked.moved == 30
    shop.journey("thanks", NEW)
    checking.check(shop.settings, lambda *_: None)
    assert shop.publish("thanks", "2026-09-02T15:00").version == 3


def test_a_journey_without_its_file_is_asked_for_too(shop: Badges) -> None:
    """A published journey whose file is gone with its template is refused by check, with the file's name."""
    shop.land("2", range(30), "2026-09-02T09:00")
    shop.refresh("2026-09-02T12:00")
    take_away(shop)
    (shop.settings.dbt_project / "journeys/thanks.yml").unlink()
    with pytest.raises(ConfigError, match=r"journeys/thanks\.yml: version 1, with 30 runs under way"):
        checking.check(shop.settings, lambda *_: None)


def test_a_version_that_nobody_is_in_blocks_nothing(shop: Badges) -> None:
    """A segment that only an old version without runs names may go: the journey moves, and check is content."""
    shop.journey("thanks", NEW)
    shop.publish("thanks", "2026-09-02T00:02")
    take_away(shop)
    shop.land("2", range(30), "2026-09-02T09:00")
    done = shop.refresh("2026-09-02T12:00").journeys
    assert not done.waiting
    assert done.ticked.entered == 30
    assert "journey" not in shop.needs()
    checking.check(shop.settings, lambda *_: None)


def test_time_does_not_go_back_for_a_publication(shop: Badges) -> None:
    """A version as of a clock not after the last tick's, or the last version's, is refused and leaves nothing."""
    shop.journey("thanks", NEW)
    with pytest.raises(Refused, match=r"the last version was as of 2026-09-02T00:01:00.*use a later --as-of"):
        shop.publish("thanks", "2026-09-02T00:01")
    shop.tick("2026-09-02T11:00")
    for at in ("2026-09-02T10:00", "2026-09-02T11:00"):
        with pytest.raises(Refused, match=r"the last tick was as of 2026-09-02T11:00:00.*use a later --as-of"):
            shop.publish("thanks", at)
    assert shop.publish("thanks", "2026-09-02T11:01").version == 2


def test_a_step_that_nobody_stands_at_is_not_moved_from(shop: Badges) -> None:
    """`migrate` from a step that the published version lacks is refused with its line and the steps there are."""
    shop.journey("thanks", NEW + "on_publish:\n  migrate:\n    '1': '1'\n    'wait_a_bit': say\n")
    with pytest.raises(ConfigError) as caught:
        shop.publish("thanks", "2026-09-02T13:00")
    said = str(caught.value)
    assert "thanks.yml:7: on_publish.migrate.wait_a_bit: version 1 has no step 'wait_a_bit'" in said
    assert "it has: 1, 2, 2.then.1" in said


def test_a_map_is_carried_out_once(shop: Badges) -> None:
    """Left in the file for the next version, it is refused: it would move people again, or name steps that are gone."""
    shop.journey("thanks", NEW + "on_publish: {migrate: {'1': '1'}}\n")
    assert shop.publish("thanks", "2026-09-02T13:00").version == 2
    shop.journey("thanks", NEW.replace("2 days", "3 days") + "on_publish: {migrate: {'1': '1'}}\n")
    with pytest.raises(ConfigError, match="carried out when version 2 was published; take it out"):
        shop.publish("thanks", "2026-09-02T14:00")
