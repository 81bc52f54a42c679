"""Who a publication lets in is told before, and one that would let in nobody is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from models.errors import ConfigError
from orchestration import cli, environment
from tests.journeys.badges import Badges

pytestmark = pytest.mark.slow

Tailrace = Callable[..., str]


@pytest.fixture
def tailrace(shop: Badges, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tailrace:
    """Run a command line on the shop; what it said."""
    for name, value in environment.child(shop.settings).items():
        monkeypatch.setenv(name, value)

    def ran(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        found = cli.run(list(arguments))
        said = capsys.readouterr()
        assert found == code, said
        return said.out + (said.err if code else "")

    return ran


def test_present_members_are_counted_before_they_enter(shop: Badges, tailrace: Tailrace) -> None:
    """Check and publish say how many `existing: true` takes in, in words and JSON, and so many enter; then nobody."""
    shop.journey("badge", "entry: {segment: seg_badge, existing: true}\nsteps: [{wait: 1 day}]\n")
    assert "badge: 20 present members enter when it is published" in tailrace("check")
    assert json.loads(tailrace("check", "--json"))["existing"] == {"badge": 20}
    at = "2026-09-01T23:30:00+00:00"
    assert "as version 1; 20 present members enter at the next tick" in tailrace("publish", "badge", "--as-of", at)
    assert shop.tick("2026-09-01T23:40").journeys.ticked.entered == 20
    assert json.loads(tailrace("check", "--json"))["existing"] == {}
    shop.journey("badge", "entry: {segment: seg_badge, existing: true}\nsteps: [{wait: 2 days}]\n")
    assert "present members" not in tailrace("check")
    at = "2026-09-01T23:50:00+00:00"
    assert json.loads(tailrace("publish", "badge", "--as-of", at, "--json"))["existing"] is None
    shop.journey("other", "entry: {segment: seg_badge, existing: true}\nsteps: [{wait: 2 days}]\n")
    assert json.loads(tailrace("publish", "other", "--as-of", at, "--json"))["existing"] == 20


def test_a_campaign_whose_time_is_over_is_refused(shop: Badges) -> None:
    """Past the last clock that shows `at`, publishing is refused with the line and both moments; an edit is not."""
    steps = "steps:\n  - wait: 1 day\n"
    east = f"entry:\n  segment: seg_badge\n  at: 2026-09-02 09:00\n  zone: Asia/Tokyo\n{steps}"
    shop.journey("east", east)
    with pytest.raises(ConfigError) as caught:
        shop.publish("east", "2026-09-02T00:01")
    said = str(caught.value)
    assert "east.yml:4: entry.at: 2026-09-02 09:00 is over" in said
    assert "showed it at 2026-09-02 00:00 UTC, before this is published as of 2026-09-02 00:01 UTC" in said
    assert shop.publish("east", "2026-09-02T00:00").version == 1
    shop.journey("east", f"{east}  - wait: 2 days\n")
    assert shop.publish("east", "2026-09-02T00:01").version == 2
    shop.journey("theirs", f"entry: {{segment: seg_badge, at: 2026-09-02 09:00}}\n{steps}")
    with pytest.raises(ConfigError, match="showed it at 2026-09-02 21:00 UTC"):
        shop.publish("theirs", "2026-09-02T21:01")
    assert shop.publish("theirs", "2026-09-02T21:00").version == 1
