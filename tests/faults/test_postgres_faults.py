"""The same promise with the warehouse on PostgreSQL: processes killed, connections cut, the server begun again.

One case again: TAILRACE_TEST_ENGINES=1 pytest -m faults tests/faults -k postgres17-
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.cases import REFRESH_STEPS, STRUCK, SYNC_STEPS, VENDOR, behaviour
from tests.faults.journey_world import JourneyWorld
from tests.faults.postgres_template import Worlds, words, working_copy
from tests.faults.postgres_world import Server
from tests.faults.test_faults import COUNT, TODAY, check, recover
from tests.faults.test_journey_faults import TICK
from tests.faults.test_journey_faults import recover as recover_journeys
from tests.faults.world import World
from tests.ran import Ran

pytestmark = pytest.mark.faults
SEEDS = range(72 if COUNT >= 300 else max(COUNT // 2, 9))
KINDS = ("kill", "cut at", "restart at", "refresh", "cut", "tick", "journal lost", "tick cut", "warehouse of yesterday")
STRIKES = ("cut", "restart", "crash")


@dataclass(frozen=True)
class Struck:
    """One fault. `how`: kill, cut, restart or crash; `where`: a share of the step's occurrences, or of the time."""

    seed: int
    kind: str
    command: str
    step: str
    where: float
    how: str
    behaviour: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        vendor = "+".join(rule["do"] for rule in self.behaviour.get("rules", []))
        parts = (f"postgres{self.seed}", self.command, f"{self.how}@{self.step}:{self.where:.2f}", vendor)
        return "-".join(part for part in parts if part)


def struck(seed: int) -> Struck:
    """The case of this seed. Kinds take turns, and within a kind the steps."""
    chance = random.Random(seed)
    kind, turn, where = KINDS[seed % len(KINDS)], seed // len(KINDS), chance.random()
    command = "refresh" if kind == "refresh" else "tick" if kind.startswith("tick") else "sync"
    steps = {"refresh": REFRESH_STEPS, "tick": TICK, "sync": SYNC_STEPS}[command]
    how = chance.choice(STRIKES)
    if kind in ("cut", "tick cut"):  # at any time, whatever is under way: every third a refresh
        command = "refresh" if kind == "cut" and turn % 3 == 2 else command
        return Struck(seed, kind, command, "never", where, how)
    step = steps[(turn * 5 + seed % len(KINDS)) % len(steps)]
    if kind in ("cut at", "restart at"):
        given = behaviour(chance, chance.choice(VENDOR)) if turn % 2 else {}
        return Struck(seed, kind, command, step, where, "cut" if kind == "cut at" else how, given)
    if kind in ("refresh", "tick"):
        return Struck(seed, kind, command, step, where, chance.choice(("kill", *STRIKES)))
    return Struck(seed, kind, command, step, where, "kill")


@pytest.mark.parametrize("fault", [struck(seed) for seed in SEEDS], ids=str)
def test_nothing_is_lost_and_nothing_is_doubled(
    fault: Struck,
    postgres: Server,
    on_postgres: Worlds,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Whatever strikes process or server whenever: no row lost, none doubled, every doubt listed, and it converges."""
    record_property(STRUCK, [f"postgres {fault.how}", fault.step, []])
    with working_copy(postgres, on_postgres, fault.command, tmp_path) as world:
        strike(postgres, world, fault, on_postgres)
        if isinstance(world, JourneyWorld):
            recover_journeys(world, fault.command)
            world.check()
        else:
            recover(world, fault.command)
            check(world, TODAY)


@pytest.mark.parametrize(
    ("bug", "fault"),
    [
        ("visible before whole", Struck(-1, "kill", "refresh", "committed", 0, "kill")),
        ("claim after send", Struck(-2, "kill", "sync", "answered", 0.9, "kill")),
        ("unknown forgotten", Struck(-3, "kill", "sync", "claimed", 0.9, "kill")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_bug_is_caught(
    bug: str, fault: Struck, postgres: Server, on_postgres: Worlds, tmp_path: Path
) -> None:
    """The checks have teeth on this engine, too."""
    with working_copy(postgres, on_postgres, fault.command, tmp_path) as world:
        strike(postgres, world, fault, on_postgres, bug=bug)
        with pytest.raises((AssertionError, pytest.fail.Exception), match=r"mirror|doubled|lost|converge"):
            come_to_rest(world, fault.command, bug)


def come_to_rest(world: World, command: str, bug: str | None = None) -> None:
    """Nothing more to say, and everything right."""
    recover(world, command, bug=bug)
    check(world, TODAY)


def strike(postgres: Server, world: World, fault: Struck, template: Worlds, bug: str | None = None) -> None:
    """Let it strike the journal, if it is on the server, or the warehouse; what is said then is words, or nothing."""
    url = world.journal or world.warehouse
    assert url
    kept = postgres.database(like=url)
    world.behave(fault.behaviour)
    command = words(fault.command)
    nth = 1 + int(fault.where * template.counts[fault.command].get(fault.step, 0))
    if fault.step == "never":
        child = world.begun(*command, bug=bug)
        time.sleep(fault.where * template.seconds[fault.command])
        postgres.strike(url, fault.how)
        ran = world.ended(child)
    elif fault.how == "kill":
        ran = world.tailrace(*command, fault=(fault.step, nth, "kill"), bug=bug)
        assert bug or ran.code == -9, f"the step did not come: {ran.code} {ran.err}"
    else:
        child = world.stopped(*command, step=fault.step, nth=nth, bug=bug)
        postgres.strike(url, fault.how)
        ran = world.go_on(child)
    print(f"{fault}: exit {ran.code}: {ran.err[-300:]}")  # noqa: T201 - the suite's account
    in_words(ran, bug)
    if fault.kind == "journal lost" and world.journal:
        postgres.put_back(world.journal, None)
    elif fault.kind == "journal lost":
        for file in world.root.glob("journal.sqlite*"):
            file.unlink()
    if fault.kind.endswith("of yesterday"):
        postgres.put_back(url, kept)
    else:
        postgres.forget(kept)
    world.behave({})


def in_words(ran: Ran, bug: str | None) -> None:
    """Killed, well, or an error that a person can read."""
    assert bug or "Traceback" not in ran.err + ran.out, ran.err + ran.out
    assert bug or ran.code in (-9, 0, 1, 2, 3), ran.err
