"""The same promise on a Spark cluster: a writer, executors, a worker or the Connect server die in a fold and a build.

One case again, where `make spark` has put Spark: TAILRACE_TEST_ENGINES=1 pytest -m faults tests/faults -k spark17-
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from models.settings import Settings
from tests.engines import spark_serving
from tests.faults.cases import STRUCK
from tests.faults.spark_child import ROWS
from tests.faults.test_faults import COUNT
from warehouse.engine import Engine, engine

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("spark")]  # one cluster for all of them
CHILD = Path(__file__).with_name("spark_child.py")
SEEDS = range(64 if COUNT >= 300 else max(COUNT // 4, 6))
STEPS = {"appended": 3, "committed": 1, "staged": 1, "published": 1}
HOW = ("kill", "executors", "worker", "server")
SECONDS = 300


@dataclass(frozen=True)
class Struck:
    """One fault. Where the step is `never` it strikes at a share of the time that a night takes."""

    seed: int
    how: str
    step: str
    nth: int
    where: float

    def __str__(self) -> str:
        when = f"{self.where:.2f}" if self.step == "never" else f"{self.step}:{self.nth}"
        return f"spark{self.seed}-{self.how}@{when}"


def struck(seed: int) -> Struck:
    """The case of this seed: ways take turns, then steps; half of all strike at any time."""
    chance, how, turn = random.Random(seed), HOW[seed % len(HOW)], seed // len(HOW)
    places = [(step, nth) for step, often in STEPS.items() for nth in range(1, often + 1)]
    step, nth = places[turn // 2 % len(places)] if turn % 2 else ("never", 1)
    return Struck(seed, how, step, nth, chance.random())


@dataclass
class Nights:
    """One home on the cluster, which goes on from case to case: every night before a fault must outlive it."""

    cluster: spark_serving.Cluster
    home: Path
    url: str
    numbers: Iterator[int]
    seconds: float = 0.0
    done: set[int] = field(default_factory=set)

    @property
    def engine(self) -> Engine:
        return engine(Settings(self.home, self.home, warehouse_url=self.url))

    def begun(
        self, number: int, step: str = "never", nth: int = 1, action: str = "kill", *, bugs: Collection[str] = ()
    ) -> subprocess.Popen[str]:
        for file in ("waiting", "go"):
            (self.home / file).unlink(missing_ok=True)
        line = [sys.executable, str(CHILD), step, str(nth), action, self.url, str(number), *bugs]
        environment = {**os.environ, "TAILRACE_HOME": str(self.home), "PYTHONPATH": str(spark_serving.ROOT)}
        return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def stands(self, child: subprocess.Popen[str]) -> None:
        """Wait until it has come to its step."""
        deadline = time.monotonic() + SECONDS
        while not (self.home / "waiting").exists():
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < deadline, "the step did not come"
            time.sleep(0.05)

    def check(self) -> None:
        """Every night is there once and whole, in the logs and in what is published."""
        expected = [(night, 2 * ROWS, ROWS * (2 * ROWS - 1)) for night in sorted(self.done)]
        with self.engine.open() as warehouse:
            sql = "select night, count(*) as notes, sum(n) as total from tailrace.notes group by night order by night"
            assert [tuple(row.values()) for row in warehouse.rows(sql)] == expected
            told = warehouse.rows("select night, count(*) as n from tailrace.told group by night order by night")
            assert [tuple(row.values()) for row in told] == [(night, 1) for night, _, _ in expected]
        with self.engine.published() as copy:
            found = copy.rows("select night, notes, total from nights order by night")
            assert [tuple(row.values()) for row in found] == expected


@pytest.fixture(scope="module")
def nights(cluster: spark_serving.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    home = tmp_path_factory.mktemp("spark")
    (home / "dev").mkdir()
    found = Nights(cluster, home, f"{cluster.url}/faults", count(1))
    for _ in range(2):  # the second one shows how long a night takes
        began = time.monotonic()
        whole(found, next(found.numbers))
        found.seconds = time.monotonic() - began
    found.check()
    return found


def whole(nights: Nights, number: int) -> None:
    """What an operator does: again, until it comes to its end."""
    for _ in range(3):
        child = nights.begun(number)
        _, said = child.communicate(timeout=SECONDS)
        in_words(child.returncode, said)
        if child.returncode == 0:
            nights.done.add(number)
            return
    pytest.fail(f"it does not come to its end: {said}")


def in_words(code: int, said: str) -> None:
    """Killed, well, or an error that a person can read."""
    assert "Traceback" not in said, said[-3000:]
    assert code in (-9, 0, 1), said[-3000:]


@pytest.mark.parametrize("fault", [struck(seed) for seed in SEEDS], ids=str)
def test_nothing_is_lost_and_nothing_is_doubled(
    fault: Struck, nights: Nights, record_property: Callable[[str, object], None]
) -> None:
    """Whatever dies whenever: the next run of the same night brings it whole, and every night before is as it was."""
    record_property(STRUCK, [f"spark {fault.how}", fault.step, []])
    number, chance = next(nights.numbers), random.Random(fault.seed)
    if fault.how == "kill" and fault.step != "never":
        child = nights.begun(number, fault.step, fault.nth, "kill")
    elif fault.step != "never":
        child = nights.begun(number, fault.step, fault.nth, "wait")
        nights.stands(child)
        nights.cluster.strike(fault.how, chance)
        (nights.home / "go").touch()
    else:
        child = nights.begun(number)
        time.sleep(fault.where * nights.seconds)
        if fault.how == "kill":
            child.kill()
        else:
            nights.cluster.strike(fault.how, chance)
    _, said = child.communicate(timeout=SECONDS)
    print(f"{fault}: exit {child.returncode}: {said[-300:]}")  # noqa: T201 - the suite's account
    in_words(child.returncode, said)
    whole(nights, number)
    nights.check()


@pytest.mark.parametrize(
    ("bug", "found"), [("visible before whole", r"\(2, 2000, "), ("leftovers kept", "came between")]
)
def test_a_planted_bug_is_caught(bug: str, found: str, nights: Nights, tmp_path: Path) -> None:
    """The check notices what a killed run does where a promise of batches is not kept."""
    (tmp_path / "dev").mkdir()
    damaged = Nights(nights.cluster, tmp_path, f"{nights.cluster.url}/{bug.replace(' ', '_')}", count(1))
    whole(damaged, 1)
    struck_down = damaged.begun(2, "appended", 1, bugs=[bug])
    struck_down.communicate(timeout=SECONDS)
    assert struck_down.returncode == -signal.SIGKILL
    again = damaged.begun(2, bugs=[bug])
    _, said = again.communicate(timeout=SECONDS)
    in_words(again.returncode, said)
    with pytest.raises(AssertionError, match=found):
        came_whole(damaged, 2, again.returncode, said)


def came_whole(nights: Nights, number: int, code: int, said: str) -> None:
    """A night that came to its end, and is there as it should be."""
    assert code == 0, said
    nights.done.add(number)
    nights.check()
