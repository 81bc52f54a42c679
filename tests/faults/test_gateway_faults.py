"""Faults between people who leave, providers that tell, and the gateway that hears both beside a delivery.

One case again: pytest -m faults tests/faults -k killed17-
"""

from __future__ import annotations

import random
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.links import Recipient
from models.settings import Settings
from tests.faults.cases import STRUCK
from tests.faults.conftest import Copy, Record
from tests.faults.message_gateway import (
    Crowd,
    Gateway,
    Post,
    check_landed,
    check_told_again,
    posts,
    serving,
    unsubscribe,
)
from tests.faults.message_world import COUNT, MAIL, OFFERS, TODAY, WHOLE, MessageWorld, ended, recover, seeds
from tests.faults.test_faults import done
from tests.sampling import IS_SAMPLE

pytestmark = pytest.mark.faults
LARGE = 30  # the seed of the case with 10,000 requests


# --- the gateway is killed while a crowd posts


@dataclass(frozen=True)
class Killed:
    """So many requests, and the gateway is killed when a share of them is answered."""

    seed: int
    count: int
    share: float

    def __str__(self) -> str:
        return f"killed{self.seed}-{self.count}-at:{self.share:.2f}"


def killed(seed: int) -> Killed:
    """The case of this seed."""
    chance = random.Random(seed)
    return Killed(seed, 10_000 if seed == LARGE else chance.randrange(500, 1_200), 0.95 * chance.random())


def kill_and_tell_again(settings: Settings, fault: Killed, bug: str | None = None) -> list[Post]:
    """Killed in the middle, started again, all told again; what was told."""
    everything = posts(settings, random.Random(fault.seed), fault.count)
    with serving(settings, bug) as gateway:
        crowd = Crowd(gateway, everything)
        with crowd.posting(int(fault.share * fault.count)):
            gateway.end()
    assert len(crowd.answered) < fault.count, "it was killed too late"
    with serving(settings, bug) as gateway:
        check_landed(settings, crowd.answered)
        again = Crowd(gateway, everything)
        again.all()
        gateway.end(signal.SIGTERM)
    assert len(again.answered) == fault.count
    return everything


@pytest.mark.parametrize("fault", [killed(seed) for seed in seeds(LARGE)], ids=str)
def test_what_the_gateway_answered_is_landed_once(
    fault: Killed, messages: MessageWorld, tmp_path: Path, record_property: Record
) -> None:
    """SIGKILL while webhooks and unsubscribes arrive: each that was answered is landed once; again is the same line."""
    record_property(STRUCK, ["gateway killed", "answered", []])
    settings = Settings(project=messages.settings.project, home=tmp_path)
    check_told_again(settings, kill_and_tell_again(settings, fault))


@pytest.mark.skipif(COUNT < WHOLE or IS_SAMPLE, reason="a sample has no room for it")
def test_ten_thousand_are_in_events_once(copy_of_messages: Copy, record_property: Record) -> None:
    """Of 10,000 requests each that was answered is one event after the next refresh, told again or not."""
    record_property(STRUCK, ["gateway killed", "answered", []])
    world = copy_of_messages()
    everything = kill_and_tell_again(world.settings, killed(LARGE))
    done(world.tailrace("refresh", "--as-of", TODAY))
    found = dict(world.published("select event_id, count(*) from events where source = 'outcomes' group by event_id"))
    assert set(found.values()) == {1}
    assert {event for post in everything for event in post.events} <= found.keys()
    left = {contact for (contact,) in world.published("select email from events where name = 'Message Unsubscribed'")}
    assert left == {post.contact for post in everything if post.contact}


# --- people leave while they are written to


@dataclass(frozen=True)
class Race:
    """Some leave while a slow vendor takes messages; besides, `killed` dies in the middle."""

    seed: int
    sync: str
    killed: str  # nobody, gateway, delivery

    def __str__(self) -> str:
        return f"race{self.seed}-{self.sync.partition('/')[0]}-{self.killed}"

    @property
    def chance(self) -> random.Random:
        return random.Random(self.seed)


def race(seed: int) -> Race:
    return Race(seed, (MAIL, OFFERS)[seed % 2], ("nobody", "delivery", "gateway")[seed // 2 % 3])


@dataclass
class Leaving:
    """Who left, each with the moment of the answer and what was claimed just after it."""

    world: MessageWorld
    gateways: ExitStack
    gateway: Gateway
    answers: dict[str, tuple[datetime, set[str]]] = field(default_factory=dict)  # contact → …

    def leave(self, recipient: Recipient) -> None:
        assert self.gateway.post(unsubscribe(self.world.settings, recipient)) == 200
        self.answers[recipient.contact] = datetime.now(UTC), {*self.world.claims()}

    def restart(self) -> None:
        self.gateway.end()
        self.gateway = self.gateways.enter_context(serving(self.world.settings))

    def check(self, sync: str) -> None:
        """Nobody was written to by a claim that came after the answer; everybody else was, once."""
        heard, claims, unknown = self.world.heard(), self.world.claims(), self.world.unknown(sync)
        assert max(heard.values()) == 1, "doubled"
        spared = 0
        for recipient in self.world.due(sync):
            key = recipient.send_key
            if recipient.contact not in self.answers:
                assert heard[key] or key in unknown, f"lost: {key}"
                continue
            answered_at, claimed = self.answers[recipient.contact]
            spared += not heard[key]
            late = key not in claimed or claims[key] > answered_at
            assert not (heard[key] and late), "mailed after it was answered"
        assert spared, "all were written to before they left"


def leave_meanwhile(world: MessageWorld, fault: Race, leaving: Leaving, bug: str | None = None) -> None:
    """A delivery; as soon as the vendor has its first message people leave, one after the other."""
    chance, struck = fault.chance, None
    world.configure("mail", {"connections": chance.choice((1, 2))})
    world.configure("offers", {"connections": chance.choice((1, 2)), "rows": chance.choice((1, 2))})
    world.behave({"rules": [{"do": "slow", "seconds": 0.06}]})
    if fault.killed == "delivery":
        struck = (chance.choice(("claimed", "sent", "answered", "received")), chance.randrange(8, 16), "kill")
    people = chance.sample(world.due(fault.sync), 14)
    child = world.begun("sync", fault.sync, "--as-of", TODAY, fault=struck, bug=bug)
    while not world.heard():
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    for number, recipient in enumerate(people):
        if number == 7 and fault.killed == "gateway":
            leaving.restart()
        leaving.leave(recipient)
        time.sleep(0.04 * chance.random())
    assert ended(child).code == (-9 if struck else 0)


@pytest.mark.parametrize("fault", [race(seed) for seed in seeds(24)], ids=str)
def test_nobody_is_written_to_after_the_answer(fault: Race, copy_of_messages: Copy, record_property: Record) -> None:
    """Once an unsubscribe was answered no claim takes that person, in this run or the next; the others lose nothing."""
    record_property(STRUCK, ["people leave", "claimed", []])
    world = copy_of_messages()
    with ExitStack() as gateways:
        leaving = Leaving(world, gateways, gateways.enter_context(serving(world.settings)))
        leave_meanwhile(world, fault, leaving)
        recover(world, fault.sync)
        leaving.check(fault.sync)


@pytest.mark.parametrize("bug", ["claim without suppression", "suppression read once"])
def test_a_claim_that_does_not_look_at_who_left_is_caught(bug: str, copy_of_messages: Copy) -> None:
    """With that bug planted people are written to after they were told that they are not: the race above would fail."""
    world = copy_of_messages()
    with ExitStack() as gateways:
        leaving = Leaving(world, gateways, gateways.enter_context(serving(world.settings)))
        leave_meanwhile(world, Race(-1, MAIL, "nobody"), leaving, bug=bug)
        with pytest.raises(AssertionError, match="mailed after"):
            leaving.check(MAIL)


def test_an_answer_before_it_is_landed_is_caught(messages: MessageWorld, tmp_path: Path) -> None:
    """With that bug planted what was answered just before the kill is nowhere."""
    settings = Settings(project=messages.settings.project, home=tmp_path)
    with pytest.raises(AssertionError, match=r"lost|not listed"):
        kill_and_tell_again(settings, Killed(-1, 800, 0.5), bug="answer before landing")
