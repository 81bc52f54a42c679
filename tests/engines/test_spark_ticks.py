"""Journeys on Spark beside the oracle: every run, transition, refusal, decision and withdrawal of a random world."""

import pytest

from tests.engines.conftest import bared
from tests.journeys import harness, worlds
from tests.journeys.oracle import Oracle

pytestmark = [pytest.mark.slow, pytest.mark.sampled(one_of=0)]

PEOPLE = 40  # a statement takes tenths of a second, whatever it is about
SEEDS = (11, 25)  # with merges, pauses and several versions; minutes each


@pytest.mark.parametrize("seed", SEEDS)
def test_engine_and_oracle_leave_the_same_rows(seed, spark):
    """Whatever the streams are, late, doubled, merged or paused; the last tick again leaves nothing more."""
    case = worlds.make(seed, PEOPLE)
    oracle = Oracle(case.world)
    with spark() as warehouse:
        harness.fill(warehouse, case.world)
        for tick in case.ticks:
            oracle.tick(tick)
            harness.tick(warehouse, case.world, tick)
        expected = harness.of_oracle(oracle)
        assert not harness.differences(expected, harness.of_engine(warehouse))
        harness.tick(warehouse, case.world, case.ticks[-1])
        assert not harness.differences(expected, harness.of_engine(warehouse))
        bared(warehouse)  # for the next world
