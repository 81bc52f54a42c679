"""What is gone from the project, written twice, or said by another clock: nothing is lost without a word."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest

from models.errors import UserError
from orchestration import brakes, clocks
from tests.journeys.badges import Badges, clock

pytestmark = pytest.mark.sampled

SEND = "{send: {sink: mail, template: badge, purpose: transactional, expires: 3 days}}"
HELLO = f"entry: {{event: Order Completed, key: order_id}}\nsteps: [{SEND}]\n"


def entered(shop: Badges) -> Badges:
    """Thirty messages may go."""
    shop.journey("hello", HELLO)
    shop.publish("hello", "2026-09-02T00:00")
    shop.land("2", range(30), "2026-09-02T09:00")
    assert shop.refresh("2026-09-02T10:00").ok
    return shop


def file_gone(shop: Badges) -> None:
    (shop.settings.dbt_project / "journeys" / "hello.yml").unlink()


def sink_renamed(shop: Badges) -> None:
    (shop.settings.project / "sinks.yml").write_text("sinks:\n  letter: {sink: recorder, channel: email}\n")


def template_gone(shop: Badges) -> None:
    (shop.settings.dbt_project / "templates" / "badge.txt").unlink()


def step_gone(shop: Badges) -> None:
    shop.journey("hello", HELLO.replace(SEND, "{exit: done}"))


@pytest.mark.parametrize("loses", [file_gone, template_gone, step_gone])
def test_what_was_published_leaves_whatever_the_files_say(shop: Badges, loses: Callable[[Badges], None]) -> None:
    """A message is of its version, with the text of then: an edit that is not published takes nothing from it."""
    entered(shop)
    loses(shop)
    assert shop.tick("2026-09-02T10:05").stranded == ()
    assert shop.due("2026-09-02T10:05") == ["mail/message_outbox/hello_transactional"]


def test_messages_that_cannot_leave_are_told(shop: Badges) -> None:
    """Whoever ticks or looks hears how many wait, and what they would have left by."""
    entered(shop)
    assert "cannot leave" not in shop.needs()
    sink_renamed(shop)
    (line,) = shop.tick("2026-09-02T10:05").stranded
    assert line.startswith("journey hello: 30 transactional messages cannot leave by mail: sinks.yml has no 'mail'")
    assert line in shop.needs()
    assert shop.tick("2026-09-05T10:05").stranded == ()  # expired: `why` and the funnel tell of that


def test_a_copied_journey_stops_only_itself(shop: Badges) -> None:
    """A copy that still has the other's name is no journey yet; an editor's own files beside it are nothing at all."""
    entered(shop)
    folder = shop.settings.dbt_project / "journeys"
    shutil.copy(folder / "hello.yml", folder / "hello2.yml")
    (folder / ".#hello.yml").symlink_to("nowhere")
    done = shop.tick("2026-09-02T10:05")
    assert [line.split(":")[0] for line in done.unread] == ["journey hello2"]
    assert "journeys/hello.yml is a journey 'hello' too; give one another name" in done.unread[0]
    assert done.stranded == ()


def test_a_pause_ends_after_it_began(shop: Badges) -> None:
    """By one clock or another: a resumption before its pause would hold messages for ever."""
    entered(shop)
    settings, scope = shop.settings, "journey:hello"
    assert brakes.pause(settings, scope, clock("2026-09-02T12:00").as_of) == [scope]
    with pytest.raises(UserError, match="'journey:hello' was paused as of 2026-09-02 12:00:00 UTC"):
        brakes.resume(settings, scope, clock("2026-09-02T11:00").as_of)
    assert brakes.pause(settings, scope, clock("2026-09-02T11:00").as_of) == [scope]  # it is already
    assert brakes.resume(settings, scope, clock("2026-09-02T12:00").as_of) == []
    with pytest.raises(UserError, match="'journey:hello' is not paused"):
        brakes.resume(settings, scope, clock("2026-09-02T11:00").as_of)
    with pytest.raises(UserError, match="was resumed as of"):
        brakes.pause(settings, scope, clock("2026-09-02T11:00").as_of)


def test_prod_is_never_ahead_of_now(shop: Badges) -> None:
    """A tick, a version or a pause of next year could not be taken back."""
    prod = replace(shop.settings, target="prod")
    assert clocks.clock(prod, "2026-09-02").as_of < clocks.clock(prod).as_of
    with pytest.raises(UserError, match="'2031-01-01' is ahead of now: in prod nothing runs as of 2031"):
        clocks.clock(prod, "2031-01-01")
    assert clocks.clock(shop.settings, "2031-01-01")
