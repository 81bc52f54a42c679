"""Whatever a vendor and a network do, run after run, a good run ends what can be ended and lists the rest."""

from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.assets.syncs.loop import loop
from tests.assets.syncs.tables import disagreements, holding, successions
from tests.sampling import sampled
from tests.sinks.vendor import WHAT

MANY = settings(
    max_examples=sampled(40, 12), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
GOOD, LOST, CUT = ({"script": [what] * 8, "dies": "", "compacts": True} for what in ("ok", "lost", "cut"))
# a whole run may go one way: after four attempts rows are left as they are
stubborn = st.sampled_from(["lost", "late 500", "garbage", "cut", "reject", "whole"]).map(lambda what: [what] * 8)
faults = st.fixed_dictionaries(
    {
        "script": stubborn | st.lists(st.sampled_from(WHAT), max_size=8) | st.just([]),
        "dies": st.sampled_from(["", "", "", "opened", "sent"]),
        "compacts": st.booleans(),
    }
)


@given(
    tables=successions(3),
    troubles=st.tuples(faults, faults),
    rows=st.sampled_from([1, 2, 5]),
    connections=st.integers(1, 3),
)
@example(tables=[holding(p1=1), holding(p1=2), holding(p1=1)], troubles=(GOOD, LOST), rows=1, connections=1)
@example(tables=[holding(), holding(p1=1), holding()], troubles=(GOOD, LOST), rows=1, connections=1)
@settings(MANY, max_examples=sampled(60, 20))
def test_any_order_of_outcomes_ends_converged(tables, troubles, rows, connections) -> None:
    """After one good run the audience is the model, but for rejected rows; after their release it is all of it."""
    with loop(tables[0].key, options={"rows": rows, "connections": connections}) as here:
        for table, trouble in zip(tables, troubles, strict=False):
            here.model(table.kinds, table.listed)
            here.run(*trouble["script"], dies=trouble["dies"])
            if trouble["compacts"] and not trouble["dies"]:
                here.compact()
        last = tables[-1]
        here.model(last.kinds, last.listed)
        here.run()
        rejected = here.listed("rejects")
        wrong = disagreements(here.vendor.audience, last)
        assert [each for each in wrong if not any(each.startswith(repr(key)) for key in rejected)] == []
        assert here.listed("unknowns") <= rejected
        assert here.plan().operations == 0
        here.release()
        here.run()
        assert disagreements(here.vendor.audience, last) == []
        assert here.listed("rejects") | here.listed("unknowns") == set()
        assert here.plan().operations == 0


numbers = st.dictionaries(st.sampled_from(["p1", "p2", "p3", "p4"]), st.integers(0, 2))


@given(audiences=st.tuples(numbers, numbers, numbers), troubles=st.tuples(faults, faults), rows=st.sampled_from([1, 3]))
@example(audiences=({"p1": 0}, {}, {"p1": 0}), troubles=(GOOD, CUT), rows=1)
@example(audiences=({"p1": 0}, {"p1": 1}, {"p1": 1}), troubles=(GOOD, LOST), rows=1)
@MANY
def test_what_may_not_be_repeated_waits_for_a_person(audiences, troubles, rows) -> None:
    """An upsert that is not idempotent never goes twice; who is not listed is right, and a release settles the rest."""
    options = {"url": "https://hooks.example/in", "rows": rows, "idempotent": {"upsert": False}}
    with loop(sink="webhook", options=options) as here:
        for audience, trouble in zip(audiences, (*troubles, GOOD), strict=True):
            table = holding(**audience)
            here.model(table.kinds, table.listed)
            here.run(*trouble["script"], dies=trouble["dies"])
        first, between, last = audiences
        came_back = (first.keys() & last.keys()) - between.keys()  # whose removal may have been heard: to be sent again
        for name in {"p1", "p2", "p3", "p4"} - came_back:
            heard = [(row.op, row.payload["a"]) for row in here.vendor.heard if row.identity == name]
            assert all(one != other for one, other in pairwise(heard) if one[0] == "upsert")
        listed = here.listed("rejects") | here.listed("unknowns")
        wrong = disagreements(here.vendor.audience, table)
        assert [each for each in wrong if not any(each.startswith(repr(key)) for key in listed)] == []
        assert here.plan().operations == 0
        here.release()
        here.run()
        assert disagreements(here.vendor.audience, table) == []
        assert here.listed("rejects") | here.listed("unknowns") == set()
        assert here.plan().operations == 0


nights = st.tuples(st.sets(st.sampled_from("abcde")), faults)


@given(nights=st.lists(nights, min_size=1, max_size=3), rows=st.sampled_from([1, 3]), connections=st.integers(1, 3))
@MANY
def test_nobody_gets_a_message_twice(nights, rows, connections) -> None:
    """Each entry is written to at most once, and who is a member at the end was written to or is listed."""
    with loop(mode="send_on_entry", options={"rows": rows, "connections": connections}) as here:
        here.night()
        here.run()
        for members, trouble in nights:
            here.night(*sorted(members))
            here.run(*trouble["script"], dies=trouble["dies"])
        here.run()
        assert max(here.vendor.taken.values(), default=0) <= 1
        history = here.warehouse.rows("select entry_id, profile_id, change from tailrace.segment_history")
        gone = {row["entry_id"] for row in history if row["change"] == "left"}
        open_entries = {row["entry_id"]: row["profile_id"] for row in history if row["entry_id"] not in gone}
        assert set(open_entries.values()) == members
        told = set(here.vendor.taken) | here.listed("rejects") | here.listed("unknowns")
        assert set(open_entries) <= told
        assert here.plan().operations == 0
