"""Faults over the accounts of providers: one is refused and messages go on by another, or processes share one.

One case again: pytest -m faults tests/faults -k refused7-
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.cases import STRUCK
from tests.faults.conftest import Copy, Record
from tests.faults.message_world import MAIL, OFFERS, THANKS, TODAY, TOMORROW, MessageWorld, ended, recover, seeds
from tests.faults.test_faults import done

pytestmark = pytest.mark.faults

# --- an account is refused, and messages go on by another


@dataclass(frozen=True)
class Refused:
    """The first destination refuses from a request on; before, an answer may be lost; the run dies at a step, or not.

    `nth` counts from the request that is refused: 0 is that one, 1 the first by the other destination.
    """

    seed: int
    first: str
    request: int
    step: str
    nth: int
    lost: int | None

    def __str__(self) -> str:
        lost = f"lost:{self.lost}" if self.lost else ""
        struck = f"kill@{self.step}:{self.nth}" if self.step != "never" else ""
        parts = (f"refused{self.seed}", self.first.partition("/")[0], f"at:{self.request}", struck, lost)
        return "-".join(part for part in parts if part)

    @property
    def by(self) -> tuple[str, str]:
        return ("offers", "mail") if self.first == OFFERS else ("mail", "offers")


CHANGING = ("never", "claimed", "sent", "answered", "received", "folding", "folded", "closed")


def refused(seed: int) -> Refused:
    """The case of this seed; steps and the first destination take turns."""
    chance = random.Random(seed)
    request, step = chance.randrange(1, 7), CHANGING[seed // 2 % len(CHANGING)]
    lost = chance.randrange(1, request) if request > 1 and chance.random() < 0.5 else None
    return Refused(seed, (OFFERS, MAIL)[seed % 2], request, step, chance.randrange(4), lost)


def refuse(world: MessageWorld, fault: Refused, bug: str | None = None) -> None:
    """The run in which the account is refused."""
    first, other = fault.by
    world.configure(first, {"connections": 2}, failover=[other])
    rules: list[dict[str, Any]] = [{"do": "unauthorised", "at": [fault.request]}]
    rules += [{"do": "lose", "at": [fault.lost]}] if fault.lost else []
    world.behave({"rules": rules})
    once = fault.step in {"folding", "folded", "closed"}
    # a refusal of smtp comes before anything is handed over: such a request is not `sent`
    unsent = fault.step == "sent" and first == "mail"
    nth = 1 if once else max(fault.request + fault.nth - unsent, 1)
    ran = world.tailrace("sync", fault.first, "--as-of", TODAY, fault=(fault.step, nth, "kill"), bug=bug)
    assert bug or "Traceback" not in ran.err, ran.err
    assert bug or ran.code == (0 if fault.step == "never" else -9), f"the step did not come: {ran.code} {ran.err}"


@pytest.mark.parametrize("fault", [refused(seed) for seed in seeds(16)], ids=str)
def test_what_goes_on_by_another_goes_once(fault: Refused, copy_of_messages: Copy, record_property: Record) -> None:
    """Whatever strikes while messages change destinations: none lost, none doubled over both."""
    record_property(STRUCK, ["failover", fault.step, ["unauthorised"]])
    world = copy_of_messages()
    refuse(world, fault)
    if fault.step == "never":
        by = {name for (name,) in world.published("select sink from deliveries where outcome = 'accepted'")}
        assert fault.by[1] in by, "nothing went on"
        assert bool(world.unknown(fault.first)) == bool(fault.lost)
    recover(world, fault.first)
    world.check_messages(fault.first)


# --- one account, two processes


@dataclass(frozen=True)
class Shared:
    """Two syncs of one account at once, with a quota for less than both; one of them dies at a step, or not."""

    seed: int
    per_day: int
    step: str
    nth: int

    def __str__(self) -> str:
        return f"shared{self.seed}-{self.per_day}-{self.step}:{self.nth}"


def shared(seed: int) -> Shared:
    chance = random.Random(seed)
    step = ("claimed", "never", "answered", "received", "sent")[seed % 5]
    return Shared(seed, chance.randrange(41, 60), step, chance.randrange(1, 4))


def share(world: MessageWorld, fault: Shared, bug: str | None = None) -> None:
    """Both begun at once."""
    world.configure("offers", {"connections": 2, "rows": 3}, per_day=fault.per_day)
    world.behave({"rules": [{"do": "slow", "seconds": 0.05}]})
    struck = (fault.step, fault.nth, "kill")
    children = [
        world.begun("sync", sync, "--as-of", TODAY, fault=fault_of, bug=bug)
        for sync, fault_of in ((OFFERS, struck), (THANKS, None))
    ]
    codes = [ended(child).code for child in children]
    assert codes == [-9 if fault.step != "never" else 0, 0]
    world.behave({})


@pytest.mark.parametrize("fault", [shared(seed) for seed in seeds(5)], ids=str)
def test_a_quota_is_shared_by_processes(fault: Shared, copy_of_messages: Copy, record_property: Record) -> None:
    """Never more than the quota is claimed in a day, whoever dies; the rest goes the next day, and nothing is lost."""
    record_property(STRUCK, ["quota", fault.step, []])
    world = copy_of_messages()
    share(world, fault)
    done(world.tailrace("sync", OFFERS, "--as-of", TODAY))
    check_quota(world, fault.per_day)
    recover(world, OFFERS, THANKS, as_of=TOMORROW)
    world.check_messages(OFFERS, THANKS)


def check_quota(world: MessageWorld, per_day: int) -> None:
    """What was claimed, and so what the vendor heard."""
    assert len(world.claims()) <= per_day, "more than the quota was claimed"
    assert per_day - 10 <= world.heard().total() <= per_day, "not what the quota has room for"


def test_a_failover_that_takes_along_what_is_in_doubt_is_caught(copy_of_messages: Copy) -> None:
    """With that bug planted what the first account may have sent is sent by the second as well."""
    world = copy_of_messages()
    refuse(world, Refused(-1, OFFERS, 5, "never", 0, 2), bug="failover moves unknown")
    with pytest.raises(AssertionError, match="doubled"):
        world.check_messages(OFFERS)


def test_a_quota_of_each_process_is_caught(copy_of_messages: Copy) -> None:
    """With that bug planted two processes send twice what the account may be sent."""
    world = copy_of_messages()
    share(world, Shared(-1, 41, "never", 1), bug="quota of a process")
    with pytest.raises(AssertionError, match="more than the quota"):
        check_quota(world, 41)
