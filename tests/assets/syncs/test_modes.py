"""Who is written to by `send_on_entry`, and what becomes of a message that may have arrived."""

import pytest

from models.errors import UserError
from tests.assets.syncs.loop import loop
from tests.assets.syncs.test_withdrawals import X, heard, night

MESSAGE = {"mode": "send_on_entry"}


def written_to(here) -> list[str]:
    return [str(row.payload["profile_id"]) for row in here.vendor.heard]


@pytest.mark.parametrize(("first_run", "expected"), [("hold", ["new"]), ("send", ["there", "new"])])
def test_only_news_of_a_person_is_sent(first_run, expected) -> None:
    """Nobody is written to for entering by another definition or a merge; who was there before, if the sync says so."""
    with loop(**MESSAGE, first_run=first_run) as here:
        here.night("there")
        here.run()
        here.night("there", "defined", definition="two")
        here.run()
        here.night("winner", "defined", definition="two", merged={"there": "winner"})
        here.run()
        here.night("winner", "defined", "new", definition="two")
        here.run()
        assert written_to(here) == expected
        assert here.plan().operations == 0


def test_a_model_has_no_entry_ids_of_its_own() -> None:
    """A column of that name would stand beside ours, and an engine would take either."""
    with loop(**MESSAGE) as here:
        here.night()
        here.model({"profile_id": "varchar", "entry_id": "varchar"}, [{"profile_id": "a", "entry_id": "1"}])
        with pytest.raises(
            UserError, match="seg_x: `send_on_entry` gives each entry an 'entry_id'; rename the model's"
        ):
            here.plan()


def test_who_entered_by_a_definition_is_written_to_on_coming_back() -> None:
    """The next entry is one of its own."""
    with loop(**MESSAGE) as here:
        here.night()
        here.run()
        here.night("a", definition="two")
        here.night(definition="two")
        here.night("a", definition="two")
        here.run()
        assert written_to(here) == ["a"]


@pytest.mark.parametrize("merges_after_sending", [True, False])
def test_two_who_turn_out_to_be_one_get_one_message(merges_after_sending) -> None:
    """The winner owns the loser's entry: one of the two is sent, and none where one was sent before."""
    with loop(**MESSAGE) as here:
        here.night()
        here.run()
        here.night("a")
        if merges_after_sending:
            here.run()
        here.night("a", "b")
        here.night("b", merged={"a": "b"})
        here.run()
        assert written_to(here) == (["a"] if merges_after_sending else ["b"])
        assert here.plan().operations == 0


def test_a_rejected_message_is_tried_again_by_a_release_only() -> None:
    """A permanent no to a message waits like any other."""
    with loop(**MESSAGE) as here:
        here.night()
        here.run()
        here.night("a")
        here.run("reject")
        assert (here.plan().operations, here.listed("rejects")) == (0, set(entries(here)))
        here.release(entries(here)[0])
        here.run()
        assert written_to(here) == ["a"]


@pytest.mark.parametrize(("on_unknown", "expected"), [("hold", ["a"]), ("resend", ["a", "a"])])
def test_a_message_that_may_have_arrived(on_unknown, expected) -> None:
    """It waits for a person, unless the sync prefers two to none."""
    with loop(**MESSAGE, on_unknown=on_unknown) as here:
        here.night()
        here.run()
        here.night("a")
        here.run("lost")
        plan = here.plan()
        assert (plan.send, plan.held["unknown"]) == ((1, 0) if on_unknown == "resend" else (0, 1))
        here.run()
        assert written_to(here) == expected
        assert here.listed("unknowns") == (set() if on_unknown == "resend" else set(entries(here)))
        assert here.plan().operations == 0


def test_a_release_sends_what_may_have_arrived(world) -> None:
    """A person decides that two are better than none: the message goes once more, and is unknown no longer."""
    world.declare("seg_x", {"sink": "crm", **MESSAGE}, columns=["profile_id"])
    night(world)
    world.sync()
    night(world, "a", "b")
    world.recorder.behave(rules=[{"do": "lose"}])
    world.sync()
    world.recorder.behave()
    first, _ = sorted(row["key"] for row in world.sql("select key from tailrace.unknowns"))
    assert world.plan(X).send == 0
    assert world.release(X, first) == 1
    plan = world.plan(X)
    assert (plan.send, plan.held["unknown"]) == (1, 1)
    assert world.sync()[0].counts == {"accepted": 1}
    assert sorted(heard(world)) in (["a", "a", "b"], ["a", "b", "b"])
    assert world.release(X) == 1
    assert world.sync()[0].counts == {"accepted": 1}
    assert heard(world) == ["a", "a", "b", "b"]
    assert world.plan(X).operations == 0


def entries(here) -> list[str]:
    """The entries of `seg_x`, whatever became of them."""
    rows = here.warehouse.rows("select entry_id from tailrace.segment_history where change = 'entered'")
    return [row["entry_id"] for row in rows]
