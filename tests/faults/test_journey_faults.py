"""Faults over tick → outbox → claim → recorder.

One case again: pytest -m faults tests/faults -k journey17-
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.cases import VENDOR, behaviour
from tests.faults.conftest import CopyOf
from tests.faults.journey_template import Journeys
from tests.faults.journey_world import NOON, SYNC, JourneyWorld
from tests.faults.test_faults import COUNT, done
from tests.faults.world import moment

pytestmark = pytest.mark.faults
SEEDS = range(100 if COUNT >= 300 else max(COUNT // 4, 3))
REFRESH = ("appended", "committed", "landed", "staged", "published")
TICK = (
    "appended", "committed", "planned", "opened", "spooled", "claimed", "sent", "answered", "received", "folding",
    "folded", "closed", "staged", "published",
)  # fmt: skip
CONVERGED_AFTER = 4


@dataclass(frozen=True)
class Struck:
    """What is struck, where (a share of the step's occurrences), and what is lost besides."""

    seed: int
    command: str
    step: str
    where: float
    behaviour: dict[str, Any] = field(default_factory=dict)
    afterwards: str = ""

    def __str__(self) -> str:
        vendor = "+".join(rule["do"] for rule in self.behaviour.get("rules", []))
        parts = (f"journey{self.seed}", self.command, f"{self.step}:{self.where:.2f}", vendor, self.afterwards)
        return "-".join(part for part in parts if part)


def struck(seed: int) -> Struck:
    """The case of this seed; steps take turns."""
    chance = random.Random(seed)
    turn, where = seed // 4, chance.random()
    if seed % 4 == 0:
        return Struck(seed, "refresh", REFRESH[turn % len(REFRESH)], where)
    if seed % 4 == 1:
        return Struck(seed, "tick", "never", 0, behaviour(chance, VENDOR[turn % len(VENDOR)]))
    afterwards = "journal" if seed % 8 == 7 else "yesterday" if seed % 8 == 3 else ""
    return Struck(seed, "tick", TICK[seed // 2 % len(TICK)], where, afterwards=afterwards)


def strike(world: JourneyWorld, fault: Struck, counts: dict[str, int], bug: str | None = None) -> None:
    before = world.folder / "yesterday.duckdb"
    shutil.copy(world.root / "warehouse.duckdb", before)
    world.behave(fault.behaviour)
    often = counts.get(fault.step, 0)
    nth = 1 + int(fault.where * often)
    as_of = moment(2) if fault.command == "refresh" else NOON
    ran = world.tailrace(fault.command, "--as-of", as_of, fault=(fault.step, nth, "kill"), bug=bug)
    assert bug or "Traceback" not in ran.err, ran.err
    if fault.step != "never" and bug is None:
        assert ran.code == -9, f"the step did not come: {ran.code} {ran.err}"
    if fault.afterwards == "journal":
        for file in world.root.glob("journal.sqlite*"):
            file.unlink()
    elif fault.afterwards == "yesterday":
        shutil.copy(before, world.root / "warehouse.duckdb")
        (world.root / "warehouse.duckdb.wal").unlink(missing_ok=True)
    world.behave({})


def recover(world: JourneyWorld, command: str, bug: str | None = None) -> None:
    """What an operator would do: run it again until it has nothing more to say."""
    if command == "refresh":
        done(world.tailrace("refresh", "--as-of", moment(2), bug=bug))
        done(world.tailrace("sync", SYNC, "--as-of", moment(2), bug=bug))
    for _ in range(CONVERGED_AFTER):
        ran = world.tailrace("tick", "--as-of", NOON, "--json", bug=bug)
        assert ran.code in (0, 1), f"{ran.code}\n{ran.out}\n{ran.err}"
        assert bug or "Traceback" not in ran.err, ran.err
        if not ran.json["sent"]:
            return
    pytest.fail(f"it does not converge: {ran.out}")


@pytest.mark.parametrize("fault", [struck(seed) for seed in SEEDS], ids=str)
def test_no_message_is_lost_or_doubled(fault: Struck, journeys: Journeys, copy_of_journeys: CopyOf) -> None:
    """Whatever strikes a tick or its sending: each message once or listed, every row the oracle's."""
    world = copy_of_journeys(fault.command)
    strike(world, fault, journeys.counts[fault.command])
    recover(world, fault.command)
    world.check()


def go_back(journeys: Journeys, world: JourneyWorld, bug: str | None = None) -> None:
    """The warehouse of before the second day is put back beside the journal of after it, and everything runs again."""
    shutil.copy(journeys.landed.root / "warehouse.duckdb", world.root / "warehouse.duckdb")
    (world.root / "warehouse.duckdb.wal").unlink(missing_ok=True)
    recover(world, "refresh", bug=bug)


def test_a_warehouse_of_yesterday_sends_nothing_again(journeys: Journeys, copy_of_journeys: CopyOf) -> None:
    """A message is called the same however often it is worked out: what the journal saw leave does not leave again."""
    world = copy_of_journeys("tick")
    go_back(journeys, world)
    assert set(world.mailed().values()) == {1}


def test_a_counter_in_the_run_id_is_caught(journeys: Journeys, copy_of_journeys: CopyOf) -> None:
    """With that bug planted, the warehouse of yesterday sends everything again."""
    world = copy_of_journeys("tick")
    go_back(journeys, world, bug="counter in run_id")
    assert max(world.mailed().values()) > 1


def test_a_latest_state_by_clock_is_caught(journeys: Journeys, copy_of_journeys: CopyOf) -> None:
    """With that bug planted, runs are taken for where they were, and the tables differ from the oracle's."""
    fault = Struck(-2, "tick", "never", 0)
    world = copy_of_journeys("tick")
    strike(world, fault, journeys.counts["tick"], bug="latest by clock")
    with pytest.raises(AssertionError, match=r"doubled|lost|journeys"):
        world.check()
