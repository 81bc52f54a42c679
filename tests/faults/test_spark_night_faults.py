"""Whole nights on a Spark cluster, one after the other: parts of it and the command itself die in each.

The real command line: what is landed is refreshed by dbt, planned, sent, and folded. Counted at the receiver.
One case again, with those before it: TAILRACE_TEST_ENGINES=1 pytest -m faults tests/faults/test_spark_night_faults.py
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.engines import spark_serving
from tests.faults import test_journey_faults as of_journeys
from tests.faults.journey_world import NOON, build_journeys
from tests.faults.test_faults import check, done, recover
from tests.faults.world import World, build, moment
from tests.ran import Ran

pytestmark = [
    pytest.mark.faults,
    pytest.mark.xdist_group("spark"),  # one cluster for all of them
    pytest.mark.sampled("module", one_of=0),  # minutes a night
]

NIGHT = "2026-09-03T01:00:00+00:00"  # after the second day: the first messages leave; the others at noon


@dataclass
class Nights:
    """One world that goes on: whatever was struck, every night before it must outlive it."""

    cluster: spark_serving.Cluster
    world: World
    days: Iterator[int]
    seconds: dict[str, float]  # how long a command takes where nothing strikes


@pytest.fixture(scope="module")
def nights(cluster: spark_serving.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    world = build(tmp_path_factory.mktemp("nights") / "world")
    world.warehouse, world.patience = f"{cluster.url}/nights", 900
    found = Nights(cluster, world, count(1), {})
    world.start_recorder()
    for day in (next(found.days), next(found.days)):  # the second one shows how long each takes
        world.land(day)
        for command in ("refresh", "sync"):
            began = time.monotonic()
            done(world.tailrace(command, "--as-of", moment(day)))
            found.seconds[command] = time.monotonic() - began
        check(world, day)
    yield found
    world.stop_recorder()


@pytest.mark.parametrize(
    ("command", "how", "where"),
    [
        ("sync", "worker", "appended"),
        ("sync", "server", "folding"),
        ("sync", "kill", "committed"),
        ("refresh", "worker", 0.5),
        ("refresh", "server", 0.4),
        ("refresh", "kill", 0.7),
    ],
)
def test_nothing_is_lost_and_nothing_is_doubled(nights: Nights, command: str, how: str, where: float | str) -> None:
    """Struck at a share of the time that it takes, or where it stands at a step: the next runs bring it all."""
    world, day = nights.world, next(nights.days)
    line = (command, "--as-of", moment(day))
    world.land(day)
    if command == "sync":
        done(world.tailrace("refresh", "--as-of", moment(day)))
    if isinstance(where, float):
        child = world.begun(*line)
        time.sleep(where * nights.seconds[command])
        child.kill() if how == "kill" else nights.cluster.strike(how, random.Random(f"{command} {how}"))
        ran = world.ended(child)
    elif how == "kill":
        ran = world.tailrace(*line, fault=(where, 2, "kill"))
        assert ran.code == -9, f"the step did not come: {ran.code} {ran.err}"
    else:
        ran = struck_at(world, line, where, nights.cluster, how)
    print(f"{command} {how}@{where}: exit {ran.code}: {ran.err[-300:]}")  # noqa: T201 - the suite's account
    assert "Traceback" not in ran.err + ran.out, ran.err + ran.out
    recover(world, command, day=day)
    check(world, day)


def struck_at(world: World, line: tuple[str, ...], step: str, cluster: spark_serving.Cluster, how: str) -> Ran:
    """A command that stands at a step while a part of the cluster dies, and goes on."""
    for file in ("waiting", "go"):
        (world.home / file).unlink(missing_ok=True)
    child = world.stopped(*line, step=step)
    cluster.strike(how, random.Random(f"{line[0]} {how}"))
    return world.go_on(child)


def test_a_tick_loses_and_doubles_no_message(cluster: spark_serving.Cluster, tmp_path: Path) -> None:
    """A worker dies while messages leave, the server between the moves of a tick and their commit.

    The next ticks bring it all: each message once or listed, every row the oracle's.
    """
    world = build_journeys(tmp_path / "world")
    world.warehouse, world.patience = f"{cluster.url}/ticks", 900
    world.begin()
    world.start_recorder()
    done(world.tailrace("refresh", "--as-of", moment(2)))
    for clock, step, how in ((NIGHT, "claimed", "worker"), (NOON, "appended", "server")):
        line = ("tick", "--as-of", clock)
        ran = struck_at(world, line, step, cluster, how)
        print(f"tick {how}@{step}: exit {ran.code}: {ran.err[-300:]}")  # noqa: T201 - the suite's account
        assert "Traceback" not in ran.err + ran.out, ran.err + ran.out
        if clock == NIGHT:
            done(world.tailrace(*line))
    of_journeys.recover(world, "tick")
    world.check()
    world.stop_recorder()
