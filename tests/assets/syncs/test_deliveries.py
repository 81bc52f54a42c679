"""From a model to a vendor and back: plan, apply, sync, with the real journal, loop and recorder."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep

import pytest

from models.errors import NeedsPerson, Refused, UserError, WarehouseHeld
from sinks.journal import Journal
from warehouse.lock import hold

X = "crm/seg_x"


def people(world, *rows: str, columns: str = "profile_id, email, n") -> None:
    """The model holds exactly these rows, each written as SQL values."""
    body = " union all ".join(f"select * from (values ({row})) as given ({columns})" for row in rows)
    empty = "select 'p' as profile_id, 'e' as email, 1 as n where false"
    world.sql(f"create or replace table seg_x as {body or empty}")


def declared(world, **entry) -> None:
    world.declare("seg_x", {"sink": "crm", **entry}, columns=["profile_id", "email", "n"], pii=("email",))


def test_a_model_is_sent_once(world) -> None:
    """What was sent is what the model held, and planning again finds nothing."""
    world.sql("create table seg_x as select 'p' || i as profile_id, i as n from range(120) as numbers (i)")
    world.declare("seg_x", {"sink": "crm"}, columns=["profile_id", "n"])
    plan = world.plan(X)
    assert (plan.upsert, plan.remove, plan.send, plan.audience) == (120, 0, 0, 120)
    result = world.apply(plan.plan_id)
    assert result.counts == {"accepted": 120}
    assert world.recorder.audience(X) == {f"p{i}": {"profile_id": f"p{i}", "n": i} for i in range(120)}
    assert world.plan(X).operations == 0


def test_only_what_changed_is_sent(world) -> None:
    """Entered, changed and left are told apart; a mirror ends equal to its model."""
    declared(world)
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 2", "'p3', null, 3")
    world.sync()
    people(world, "'p1', 'a@x', 1", "'p3', 'c@x', null", "'p4', 'd@x', 4")
    plan = world.plan(X)
    assert (plan.upsert, plan.remove) == (2, 1)
    assert plan.changes == {"email": 1, "n": 1}
    world.sync()
    held = world.recorder.audience(X)
    assert {key: row["n"] for key, row in held.items()} == {"p1": 1, "p3": None, "p4": 4}


def test_a_sample_masks_personal_data(world) -> None:
    """A plan shows values before and after; what is marked as personal only where it is asked for."""
    declared(world)
    people(world, "'p1', 'ann@example.com', 1")
    world.sync()
    people(world, "'p1', 'bob@example.com', 1")
    (shown,) = world.plan(X).sample
    assert shown == {
        "op": "upsert",
        "why": "changed",
        "key": {"profile_id": "p1"},
        "before": {"email": "a***@e***"},
        "after": {"email": "b***@e***"},
    }
    (shown,) = world.plan(X, show_pii=True).sample
    assert (shown["before"], shown["after"]) == ({"email": "ann@example.com"}, {"email": "bob@example.com"})


def test_what_is_kept_of_a_plan_is_masked(world) -> None:
    """A plan that was shown with personal data is stored without it."""
    declared(world)
    people(world, "'p1', 'ann@example.com', 1")
    assert world.plan(X, show_pii=True).sample[0]["after"]["email"] == "ann@example.com"
    ((kept,),) = [row.values() for row in world.sql("select document from tailrace.plan")]
    assert "ann@" not in kept
    assert "a***@e***" in kept


def test_a_plan_that_moved_is_refused(world) -> None:
    """Apply carries out exactly the plan that was looked at, or nothing."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    plan = world.plan(X)
    people(world, "'p1', 'a@x', 2")
    with pytest.raises(Refused, match="has moved"):
        world.apply(plan.plan_id)
    assert world.recorder.received(X) == []
    assert world.apply(world.plan(X).plan_id).counts == {"accepted": 1}
    with pytest.raises(Refused, match="has moved"):
        world.apply(plan.plan_id)
    with pytest.raises(UserError, match="no plan"):
        world.apply("none")


def test_guards_hold_a_sync_and_not_an_apply(world) -> None:
    """Too many removes wait for a person; what a person applies is done."""
    declared(world)
    people(world, *(f"'p{i}', 'a{i}@x', 1" for i in range(200)))
    world.sync()
    people(world, *(f"'p{i}', 'a{i}@x', 1" for i in range(100)))
    (result,) = world.sync()
    assert isinstance(result.error, Refused)
    plan = world.plan(X)
    assert [guard.name for guard in plan.guards if not guard.ok] == ["max_remove"]
    assert len(world.recorder.audience(X)) == 200
    assert world.apply(plan.plan_id).counts == {"accepted": 100}
    assert len(world.recorder.audience(X)) == 100


def test_an_empty_model_is_held(world) -> None:
    """A model that lost everyone removes nobody by itself."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    world.sync()
    people(world)
    (result,) = world.sync()
    assert "empty_model" in str(result.error)
    assert len(world.recorder.audience(X)) == 1


@pytest.mark.parametrize("rows", [["'p1', 'a@x', 1"] * 2, ["'p1', 'a@x', 1", "'p1', 'b@x', 1"], ["null, 'a@x', 1"]])
def test_a_key_is_one_row(world, rows) -> None:
    """Repeated and null keys stop the plan, at the first run and after it."""
    declared(world)
    people(world, *rows)
    with pytest.raises(Refused, match="key"):
        world.plan(X)
    people(world, "'p1', 'a@x', 1", "'p2', 'a@x', 1")
    world.sync()
    people(world, "'p1', 'a@x', 1", "'p2', 'a@x', 1", *rows)
    with pytest.raises(Refused, match="key"):
        world.plan(X)


def test_a_run_counts_rows_and_not_attempts(world) -> None:
    """A batch whose answer was lost and that is taken when it is sent again was accepted, and nothing else."""
    declared(world)
    people(world, *(f"'p{i}', 'a{i}@x', 1" for i in range(20)))
    world.recorder.behave(rules=[{"do": "lose", "at": [1]}])
    (result,) = world.sync()
    assert result.counts == {"accepted": 20}
    assert {row["outcome"] for row in world.sql("select outcome from tailrace.deliveries")} == {"unknown", "accepted"}
    (run,) = world.sql("select row_count, accepted, unknown, stopped from tailrace.sync_runs")
    assert run == {"row_count": 20, "accepted": 20, "unknown": 0, "stopped": None}


def test_rejected_rows_wait_for_a_change(world) -> None:
    """A permanent no is not asked again until the row or its mapping changes, and freezes nobody else."""
    declared(world)
    world.recorder.behave(reject=[{"where": {"n": 13}, "reason": "unlucky"}])
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 13")
    (result,) = world.sync()
    assert result.counts == {"accepted": 1, "rejected": 1}
    world.recorder.behave()
    plan = world.plan(X)
    assert (plan.operations, plan.held["rejected"]) == (0, 1)
    assert world.sql("select key, reason from tailrace.rejects") == [{"key": "p2", "reason": "unlucky"}]
    people(world, "'p1', 'a@x', 1", "'p2', 'c@x', 13")
    assert world.plan(X).upsert == 1
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 13")
    assert world.plan(X).upsert == 0
    assert world.release(X, "p2") == 1
    assert world.plan(X).upsert == 1
    with pytest.raises(UserError, match="holds nothing"):
        world.release(X, "p1")
    world.sync()
    assert set(world.recorder.audience(X)) == {"p1", "p2"}
    assert world.sql("select * from tailrace.rejects") == []


def test_a_reject_that_leaves_asks_for_nothing(world) -> None:
    """The vendor never had it: its leaving is no removal."""
    declared(world)
    world.recorder.behave(reject=[{"where": {"n": 13}}])
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 13")
    world.sync()
    people(world, "'p1', 'a@x', 1")
    plan = world.plan(X)
    assert (plan.operations, plan.held["rejected"]) == (0, 0)


@pytest.mark.parametrize("after", [["'p1', 'a@x', 1"], ["'p1', 'a@x', 2"], []], ids=["stays", "back", "left"])
def test_a_lost_answer_is_settled_by_the_next_run(world, after) -> None:
    """After an unknown upsert whose row stays, goes back or leaves, the audience ends equal to the model."""
    declared(world)
    people(world, "'p0', 'z@x', 0", "'p1', 'a@x', 2")
    world.sync()
    people(world, "'p0', 'z@x', 0", "'p1', 'a@x', 1")
    world.recorder.behave(rules=[{"do": "lose"}])
    world.sync()
    assert [row["key"] for row in world.sql("select key from tailrace.unknowns")] == ["p1"]
    world.recorder.behave()
    people(world, "'p0', 'z@x', 0", *after)
    world.sync()
    expected = {"p0": 0} | ({"p1": int(after[0][-1])} if after else {})
    assert {key: row["n"] for key, row in world.recorder.audience(X).items()} == expected
    assert world.sql("select * from tailrace.unknowns") == []
    assert world.plan(X).operations == 0


def test_a_first_upsert_of_unknown_outcome_is_taken_back(world) -> None:
    """A row the state never held is removed when its only upsert may have arrived."""
    declared(world)
    people(world, "'p0', 'z@x', 0")
    world.sync()
    people(world, "'p0', 'z@x', 0", "'p1', 'a@x', 1")
    world.recorder.behave(rules=[{"do": "lose"}])
    world.sync()
    assert set(world.recorder.audience(X)) == {"p0", "p1"}
    world.recorder.behave()
    people(world, "'p0', 'z@x', 0")
    assert world.plan(X).remove == 1
    world.sync()
    assert set(world.recorder.audience(X)) == {"p0"}


def test_rejected_removes_are_tried_again_the_next_day(world) -> None:
    """A removal the vendor refuses waits until tomorrow."""
    declared(world)
    people(world, "'p0', 'z@x', 0", "'p1', 'a@x', 1")
    world.sync()
    people(world, "'p0', 'z@x', 0")
    world.recorder.behave(reject=[{"share": 1.0}])
    world.sync()
    world.recorder.behave()
    plan = world.plan(X)
    assert (plan.remove, plan.held["rejected"]) == (0, 1)
    world.clock += timedelta(days=1)
    assert world.plan(X).remove == 1


def test_swapped_addresses_remove_nobody(world) -> None:
    """Where the vendor knows a row by its address, two people who swap theirs are two upserts."""
    declared(world, key=["email"], fields=["profile_id", "n"])
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 2")
    world.sync()
    people(world, "'p1', 'b@x', 1", "'p2', 'a@x', 2")
    plan = world.plan(X)
    assert (plan.upsert, plan.remove) == (2, 0)
    world.sync()
    assert {key: row["n"] for key, row in world.recorder.audience(X).items()} == {"a@x": 2, "b@x": 1}


def test_a_changed_key_is_a_remove_and_an_upsert(world) -> None:
    """The old address is taken out before the new one goes in."""
    declared(world, key=["email"], fields=["n"])
    people(world, "'p1', 'a@x', 1")
    world.sync()
    people(world, "'p1', 'b@x', 1")
    world.sync()
    assert [(row["op"], row["identity"]) for row in world.recorder.received(X)][1:] == [
        ("remove", "a@x"),
        ("upsert", "b@x"),
    ]


def test_another_key_is_another_sync(world) -> None:
    """The vendor hears everybody by the identity it knows them by from now on, and that one when they leave."""
    declared(world, key=["profile_id"], fields=["email", "n"])
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 2")
    world.sync()
    declared(world, key=["email"], fields=["profile_id", "n"])
    assert world.plan(X).upsert == 2
    world.sync()
    people(world, "'p2', 'b@x', 2")
    world.sync()
    assert [(row["op"], row["identity"]) for row in world.recorder.received(X)][2:] == [
        ("upsert", "a@x"),
        ("upsert", "b@x"),
        ("remove", "a@x"),
    ]


def test_upsert_removes_nobody(world) -> None:
    """In mode upsert who leaves the model stays with the vendor, and a change still goes."""
    declared(world, mode="upsert")
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 2")
    world.sync()
    people(world, "'p2', 'b@x', 3")
    plan = world.plan(X)
    assert (plan.upsert, plan.remove) == (1, 0)


def test_append_sends_a_key_once(world) -> None:
    """In mode append a key goes at first sight and never again, changed or back."""
    declared(world, mode="append")
    people(world, "'p1', 'a@x', 1")
    world.sync()
    people(world, "'p1', 'a@x', 2", "'p2', 'b@x', 1")
    plan = world.plan(X)
    assert (plan.upsert, plan.remove) == (1, 0)
    world.sync()
    assert [row["identity"] for row in world.recorder.received(X)] == ["p1", "p2"]


def test_a_clock_does_not_go_back(world) -> None:
    """In dev a sync before the last clock that sent is refused."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    world.sync()
    people(world, "'p1', 'a@x', 2")
    world.clock -= timedelta(days=3)
    (result,) = world.sync()
    assert isinstance(result.error, Refused)


def test_without_a_recorder_nothing_is_claimed(world) -> None:
    """A vendor that is not there is said so before anything is opened."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    world.settings = world.settings.__class__(
        world.settings.project, world.settings.home, recorder="http://127.0.0.1:9"
    )
    (result,) = world.sync()
    assert isinstance(result.error, NeedsPerson)
    assert world.sql("select * from tailrace.sync_runs") == []


def test_one_failure_stops_no_other(world) -> None:
    """A sync whose model is broken leaves the others alone."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    world.declare("seg_y", {"sink": "crm", "audience": "other"}, columns=["profile_id"])
    results = {result.sync: result for result in world.sync()}
    assert results[X].ok
    assert "not built" in str(results["crm/seg_y"].error)


@pytest.mark.parametrize("value", ["'a'::blob", "['a'::blob]", "{'x': 'a'::blob}", "interval 1 day"])
def test_a_type_that_cannot_leave_is_refused(world, value) -> None:
    """Bytes have no form in JSON: the column is named before anything is opened, and the next sync runs."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    world.declare("seg_b", {"sink": "crm", "audience": "other"}, columns=["profile_id", "picture"])
    world.sql(f"create table seg_b as select 'p1' as profile_id, {value} as picture, {{'blob': 1}} as fine")
    results = {result.sync: result for result in world.sync()}
    assert results[X].counts == {"accepted": 1}
    assert isinstance(results["crm/seg_b"].error, UserError)
    assert "'picture' is of type" in str(results["crm/seg_b"].error)


@pytest.mark.parametrize(("sink", "options"), [("crm", {"audience": "other"}), ("drop", {})])
def test_a_value_that_cannot_leave_stops_its_own_sync(world, sink, options) -> None:
    """A date without an end is told as an error of this sync; the others go on, and it goes once it is mended."""
    world.declare("seg_a", {"sink": sink, "fields": ["until"], **options}, columns=["profile_id", "until"])
    world.sql("create table seg_a as select 'p1' as profile_id, 'infinity'::date as until")
    declared(world)
    people(world, "'p1', 'a@x', 1")
    results = {result.sync: result for result in world.sync()}
    assert results[X].counts == {"accepted": 1}
    assert "cannot be written" in str(results[f"{sink}/seg_a"].error)
    world.sql("create or replace table seg_a as select 'p1' as profile_id, date '2026-01-01' as until")
    assert world.sync(f"{sink}/seg_a")[0].counts == {"accepted": 1}


@pytest.mark.parametrize(("before", "after"), [("null", "[]"), ("[]", "[null]"), ("[null]", "null"), ("[1]", "[]")])
def test_a_list_that_becomes_empty_is_a_change(world, before, after) -> None:
    """Nothing, an empty list and a list of nothing are told apart, also in what apply compares."""
    world.declare("seg_x", {"sink": "crm"}, columns=["profile_id", "tags"])
    for value in (before, after):
        world.sql(f"create or replace table seg_x as select 'p1' as profile_id, {value}::int[] as tags, 1 as n")
        plan = world.plan(X)
        assert plan.upsert == 1
        world.sync()
    world.sql(f"create or replace table seg_x as select 'p1' as profile_id, {before}::int[] as tags, 2 as n")
    plan = world.plan(X)
    world.sql(f"create or replace table seg_x as select 'p1' as profile_id, {after}::int[] as tags, 2 as n")
    with pytest.raises(Refused, match="has moved"):
        world.apply(plan.plan_id)


def test_a_lock_that_is_held_for_a_moment_stops_no_run(world) -> None:
    """Who looks at a sync's lock, or settles what was interrupted, is waited for; a run that goes on is not."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    lock = world.settings.locks / "crm__seg_x.lock"
    with ThreadPoolExecutor(1) as pool:
        with hold(lock):
            run = pool.submit(world.sync)
            sleep(1)
            assert not run.done()
        assert run.result()[0].counts == {"accepted": 1}
    with hold(lock):
        assert isinstance(world.sync()[0].error, WarehouseHeld)


def test_a_refused_batch_is_split(world) -> None:
    """One bad row in a batch refused as a whole costs nobody else."""
    declared(world)
    world.recorder.behave(reject=[{"where": {"n": 13}, "whole": True}])
    people(world, *(f"'p{i}', 'a{i}@x', {i}" for i in range(30)))
    (result,) = world.sync()
    assert result.counts["accepted"] == 29
    assert result.counts["rejected"] == 1
    assert [row["key"] for row in world.sql("select key from tailrace.rejects")] == ["p13"]


def test_a_new_column_is_sent_where_it_is_set(world) -> None:
    """Adding a column changes the rows that have a value in it, and the plan says which column is new."""
    declared(world)
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 2")
    world.sync()
    world.declare("seg_x", {"sink": "crm"}, columns=["profile_id", "email", "n", "city"])
    people(world, "'p1', 'a@x', 1, 'Oslo'", "'p2', 'b@x', 2, null", columns="profile_id, email, n, city")
    plan = world.plan(X)
    assert (plan.upsert, plan.new_columns) == (1, ("city",))
    world.sync()
    assert world.plan(X).operations == 0


def test_a_type_that_no_longer_casts_begins_a_generation(world) -> None:
    """A column may change its type: rows whose value is another are sent again, the rest is read through both."""
    declared(world)
    people(world, "'p1', 'a@x', '1'", "'p2', 'b@x', 'two'", "'p3', 'c@x', '3'")
    world.sync()
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', null")
    plan = world.plan(X)
    assert (plan.upsert, plan.remove) == (1, 1)
    world.sync()
    assert world.plan(X).operations == 0


def test_a_generation_is_no_other_model_s_ledger(world) -> None:
    """Whatever models are called, the second ledger of one is never the first of another."""
    declared(world)
    people(world, "'p1', 'a@x', 'one'")
    world.sync()
    people(world, "'p1', 'a@x', 1")
    world.sync()
    world.sql("create table seg_x_g2 as select 'p1' as profile_id, 'a@x' as email, 1 as n")
    world.declare("seg_x_g2", {"sink": "crm", "audience": "other"}, columns=["profile_id", "email", "n"])
    assert world.plan("crm/seg_x_g2").upsert == 1
    world.sync()
    ledgers = world.sql("select relation from tailrace.ledger")
    assert len({row["relation"] for row in ledgers}) == len(ledgers) == 3


def test_a_key_whose_type_changed_is_still_removed(world) -> None:
    """A key that today's type cannot hold is taken out by its old value."""
    world.declare("seg_x", {"sink": "crm", "key": ["code"]}, columns=["code", "n"])
    people(world, "'a', 1", "'7', 1", columns="code, n")
    world.sync()
    people(world, "7, 1", columns="code, n")
    plan = world.plan(X)
    assert (plan.upsert, plan.remove) == (0, 1)
    world.sync()
    assert set(world.recorder.audience(X)) == {"7"}


def test_a_paused_sync_keeps_still(world) -> None:
    """Nothing is claimed while a sync is paused."""
    declared(world)
    people(world, "'p1', 'a@x', 1")
    with Journal(world.settings.journal) as journal:
        journal.pause("all", world.clock)
    (result,) = world.sync()
    assert result.stopped == "paused (all)"
    assert world.recorder.received(X) == []


def test_a_column_of_the_sink_s_own_is_refused(world) -> None:
    """A field that would be there twice is told before anything is claimed."""
    world.declare("seg_x", {"sink": "drop"}, columns=["profile_id", "op"])
    people(world, "'p1', 'buy'", columns="profile_id, op")
    assert "'op' is a column of sink 'file'" in str(world.sync()[0].error)
    assert world.sql("select * from tailrace.sync_runs") == []


def test_a_file_takes_the_whole_plan(world) -> None:
    """A sink that takes all at once goes through the same claims and receipts."""
    world.declare("seg_x", {"sink": "drop"}, columns=["profile_id", "email", "n"])
    people(world, "'p1', 'a@x', 1", "'p2', 'b@x', 2")
    (result,) = world.sync()
    assert result.counts == {"accepted": 2}
    assert world.plan("drop/seg_x").operations == 0
    assert len(list(world.settings.out.rglob("*.csv"))) == 1
