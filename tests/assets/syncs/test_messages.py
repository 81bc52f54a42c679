"""Messages: one an entry, whatever becomes of the sync that sends them."""

import pytest

from tests.assets.syncs.test_withdrawals import X, heard, night

MESSAGE = {"sink": "crm", "mode": "send_on_entry"}


def declared(world, **options) -> None:
    world.declare("seg_x", MESSAGE | options, columns=["profile_id"])


@pytest.mark.parametrize("moved", [{"audience": "other"}, {"account": "another"}, {"rows": 7}])
def test_a_message_goes_once_wherever_it_would_go_today(world, moved) -> None:
    """Another audience, account or option is no reason to write to anyone again; who enters next is written to."""
    declared(world)
    night(world)
    night(world, "a", "b")
    assert world.sync()[0].counts == {"accepted": 2}
    declared(world, **moved)
    assert world.plan(X).operations == 0
    night(world, "a", "b", "c")
    assert world.sync()[0].counts == {"accepted": 1}
    assert heard(world) == ["a", "b", "c"]


def test_what_is_unknown_stays_unknown_when_the_address_changes(world) -> None:
    """A message that may have arrived at the old address waits for a person, as it did before."""
    declared(world)
    night(world)
    night(world, "a")
    world.recorder.behave(rules=[{"do": "lose"}])
    world.sync()
    world.recorder.behave()
    declared(world, audience="other")
    plan = world.plan(X)
    assert (plan.send, plan.held["unknown"]) == (0, 1)


def test_a_sync_that_is_new_to_an_old_segment_begins_with_its_last_night(world) -> None:
    """Who entered before is not written to, then or later; who enters from then on is, synced every night or not."""
    night(world)
    night(world, "a")
    night(world, "a", "b")
    declared(world)
    assert world.plan(X).send == 1
    night(world, "a", "b", "c")
    night(world, "a", "b", "c", "d")
    assert world.plan(X).send == 3
    world.sync()
    assert heard(world) == ["b", "c", "d"]
    night(world, "b", "c", "d")
    night(world, "a", "b", "c", "d")
    world.sync()
    assert heard(world) == ["a", "b", "c", "d"]


def test_first_run_send_is_for_everybody(world) -> None:
    """Whoever is a member is written to where the sync asks for it."""
    night(world, "a")
    night(world, "a", "b")
    night(world, "a", "b", "c")
    declared(world, first_run="send")
    assert world.plan(X).send == 3


def test_a_restored_warehouse_misses_nobody(world) -> None:
    """Where the first plan is forgotten and deliveries are not, the sync begins where it did."""
    declared(world)
    night(world)
    night(world, "a")
    world.sync()
    world.sql("delete from tailrace.first_plan__log", "delete from tailrace.batch where batch_id like 'first_plan/%'")
    night(world, "a", "b")
    night(world, "a", "b", "c")
    assert world.plan(X).send == 2
