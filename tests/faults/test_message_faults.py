"""Faults over deliveries of messages by smtp and SendGrid: what dies, and what is told late.

One case again: pytest -m faults tests/faults -k doubt7-
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from models.outcome import Report, Told
from tests.faults.cases import STRUCK, SYNC_STEPS, VENDOR, behaviour
from tests.faults.conftest import Copy, Record
from tests.faults.message_gateway import AT, serving, webhook
from tests.faults.message_world import MAIL, OFFERS, TODAY, MessageWorld, recover, seeds
from tests.faults.test_faults import done

pytestmark = pytest.mark.faults

# --- a delivery dies, and runs again


@dataclass(frozen=True)
class Died:
    """Killed at a step, at a share of its occurrences in a clean run; besides, what the vendor does to its requests."""

    seed: int
    sync: str
    step: str
    where: float
    behaviour: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        vendor = "+".join(rule["do"] for rule in self.behaviour.get("rules", []))
        parts = (f"died{self.seed}", self.sync.partition("/")[0], f"{self.step}:{self.where:.2f}", vendor)
        return "-".join(part for part in parts if part)


def died(seed: int) -> Died:
    """The case of this seed: each step for both destinations, and every third with a vendor in trouble."""
    chance = random.Random(seed)
    where, sync = chance.random(), (MAIL, OFFERS)[seed % 2]
    vendor = behaviour(chance, chance.choice(VENDOR)) if seed % 3 == 2 else {}
    return Died(seed, sync, SYNC_STEPS[seed // 2 % len(SYNC_STEPS)], where, vendor)


@pytest.fixture(scope="module")
def counts(messages: MessageWorld, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, int]]:
    """Sync → how often each step comes where nothing strikes; then each message was heard once."""
    world = messages.copied(tmp_path_factory.mktemp("counts") / "world")
    world.start_recorder()
    found = {}
    for sync in (MAIL, OFFERS):
        done(world.tailrace("sync", sync, "--as-of", TODAY, fault=("never", 1, "count")))
        found[sync] = world.counted()
    world.check_messages(MAIL, OFFERS)
    world.stop_recorder()
    return found


def strike(world: MessageWorld, fault: Died, counts: Mapping[str, Mapping[str, int]], bug: str | None = None) -> None:
    world.behave(fault.behaviour)
    nth = 1 + int(fault.where * counts[fault.sync][fault.step])
    ran = world.tailrace("sync", fault.sync, "--as-of", TODAY, fault=(fault.step, nth, "kill"), bug=bug)
    assert bug or "Traceback" not in ran.err, ran.err
    if not fault.behaviour and bug is None:
        assert ran.code == -9, f"the step did not come: {ran.code} {ran.err}"


@pytest.mark.parametrize("fault", [died(seed) for seed in seeds(2 * len(SYNC_STEPS))], ids=str)
def test_a_message_goes_once_whatever_dies(
    fault: Died, counts: Mapping[str, Mapping[str, int]], copy_of_messages: Copy, record_property: Record
) -> None:
    """By smtp and by SendGrid: each message is heard once, refused, or listed as in doubt, however its run ended."""
    record_property(STRUCK, ["message", fault.step, [rule["do"] for rule in fault.behaviour.get("rules", [])]])
    world = copy_of_messages()
    strike(world, fault, counts)
    recover(world, fault.sync)
    world.check_messages(fault.sync)


# --- the provider tells what nobody else knows


@dataclass(frozen=True)
class Doubt:
    """A delivery stands or dies at a step; the provider's events are loaded before or after it is known to be in doubt.

    `when`: before (the claim has no receipt yet), after (it is listed), standing (the run goes on, and has its answer).
    """

    seed: int
    step: str
    nth: int
    when: str

    def __str__(self) -> str:
        return f"doubt{self.seed}-{self.step}:{self.nth}-{self.when}"


def doubt(seed: int) -> Doubt:
    when = ("after", "before", "standing", "after")[seed % 4]
    step = "answered" if when == "standing" else ("answered", "sent", "claimed")[seed // 2 % 3]
    return Doubt(seed, step, random.Random(seed).randrange(1, 10), when)


def tell(world: MessageWorld, seed: int) -> dict[str, Told]:
    """SendGrid's events of all that it heard, landed by the gateway and refreshed: send_key → what was told of it."""
    chance = random.Random(seed)
    words = {key: chance.choice((Told.ACCEPTED, Told.DELIVERED, Told.REJECTED)) for key in sorted(world.heard())}
    reports = [Report(f"e-{key}", word, AT, key) for key, word in words.items()]
    with serving(world.settings) as gateway:
        assert gateway.post(webhook(reports)) == 200
        gateway.end()
    with serving(world.settings):  # finishes the file of the one that was killed
        pass
    done(world.tailrace("refresh", "--as-of", TODAY))
    return words


def check_settled(world: MessageWorld, told: Mapping[str, Told]) -> None:
    """Nothing that was told of is in doubt any more, and it is what the provider said."""
    assert not world.unknown(OFFERS) & told.keys(), "told of, and in doubt"
    fates = world.fates(OFFERS)
    settled = {key: "rejected" if told[key] is Told.REJECTED else "accepted" for key in told if "unknown" in fates[key]}
    assert world.settled() == settled


@pytest.mark.parametrize("fault", [doubt(seed) for seed in seeds(8)], ids=str)
def test_the_provider_settles_what_is_in_doubt(fault: Doubt, copy_of_messages: Copy, record_property: Record) -> None:
    """What a killed run left in doubt is what the provider tells of it, also where it told before anybody doubted."""
    record_property(STRUCK, ["told", fault.step, []])
    world = copy_of_messages()
    line = ("sync", OFFERS, "--as-of", TODAY)
    if fault.when == "standing":
        child = world.stopped(*line, step=fault.step, nth=fault.nth)
        told = tell(world, fault.seed)
        done(world.go_on(child))
    else:
        assert world.tailrace(*line, fault=(fault.step, fault.nth, "kill")).code == -9
        told = tell(world, fault.seed) if fault.when == "before" else {}
    recover(world, OFFERS)
    if fault.when != "standing":
        assert world.unknown(OFFERS)
        told = tell(world, fault.seed) if fault.when == "after" else told
        done(world.tailrace("refresh", "--as-of", TODAY))
    check_settled(world, told)
    recover(world, OFFERS)
    world.check_messages(OFFERS)


# --- the cases have teeth


def test_a_claim_after_the_message_is_caught(counts: Mapping[str, Mapping[str, int]], copy_of_messages: Copy) -> None:
    """With that bug planted a message is sent twice where a run died between request and receipt."""
    world = copy_of_messages()
    fault = Died(-1, MAIL, "answered", 0.5)
    strike(world, fault, counts, bug="claim after send")
    recover(world, MAIL, bug="claim after send")
    with pytest.raises(AssertionError, match="doubled"):
        world.check_messages(MAIL)
