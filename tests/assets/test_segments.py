"""Who entered and who left, when and why."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import identity, segments
from models.clock import Clock
from models.errors import UserError, WarehouseHeld
from warehouse import batches
from warehouse.batches import Batch
from warehouse.duckdb import DuckDB

START = datetime(2026, 1, 1, tzinfo=UTC)
Change = tuple[str, str, str]  # profile, change, cause


def clock(number: int) -> Clock:
    return Clock.at(START + timedelta(days=number))


class World:
    """A segment's model as a table, and the merges that identity made."""

    def __init__(self, warehouse: DuckDB) -> None:
        self.warehouse = warehouse
        batches.prepare(warehouse)
        identity.prepare(warehouse)
        segments.prepare(warehouse)

    def members(self, *profiles: str) -> None:
        values = ", ".join(f"('{name}')" for name in profiles)
        rows = (
            f"select * from (values {values}) as listed (profile_id)" if profiles else "select '' as profile_id limit 0"
        )
        self.warehouse.execute(f"create or replace table seg_x as {rows}")

    def merge(self, loser: str, winner: str, number: int) -> None:
        batch = Batch(self.warehouse, f"identity/{number}/{loser}")
        batch.append(
            identity.HISTORY,
            f"select 'profile_id' as identifier_type, '{loser}' as identifier, '{winner}' as profile_id, "
            f"'merged' as change, {number} as number",
        )
        batch.commit(START)

    def record(self, number: int, definition: str = "one") -> segments.Recorded:
        return segments.record(self.warehouse, clock(number), {"seg_x": definition})[0]

    def changes(self, number: int) -> list[Change]:
        rows = self.warehouse.rows(
            "select profile_id, change, cause from tailrace.segment_history where as_of = ? order by all",
            [clock(number).as_of],
        )
        return [(row["profile_id"], row["change"], row["cause"]) for row in rows]

    def open(self) -> list[dict[str, Any]]:
        return self.warehouse.rows(
            "select entry_id, profile_id from tailrace.segment_history where change = 'entered' and entry_id not in "
            "(select entry_id from tailrace.segment_history where change = 'left') order by profile_id"
        )


@pytest.fixture
def world() -> Iterator[World]:
    with DuckDB(Path(":memory:")) as warehouse:
        yield World(warehouse)


def test_nobody_is_no_member(world: World) -> None:
    """A row without a profile id enters nobody, as in a preview."""
    world.warehouse.execute("create or replace table seg_x as select unnest(['a', null]) as profile_id")
    assert world.record(1).entered == 1
    assert world.changes(1) == [("a", "entered", "first")]


def test_the_first_evaluation_is_no_news(world: World) -> None:
    """Whoever is there when a segment is first evaluated entered because of that; afterwards data is the cause."""
    world.members("a", "b")
    assert world.record(1).cause == "first"
    world.members("b", "c")
    recorded = world.record(2)
    assert (recorded.entered, recorded.left, recorded.cause) == (1, 1, "data")
    assert world.changes(1) == [("a", "entered", "first"), ("b", "entered", "first")]
    assert world.changes(2) == [("a", "left", "data"), ("c", "entered", "data")]


def test_an_empty_first_evaluation_counts(world: World) -> None:
    """A segment that began empty was evaluated: who enters it next is news."""
    world.members()
    world.record(1)
    world.members("a")
    world.record(2)
    assert world.changes(2) == [("a", "entered", "data")]


def test_a_changed_definition_is_the_cause(world: World) -> None:
    """When the model or one above it changed, who enters and leaves did so because of that, once."""
    world.members("a", "b")
    world.record(1)
    world.members("b", "c")
    world.record(2, definition="two")
    world.members("c", "d")
    world.record(3, definition="two")
    assert {cause for _, _, cause in world.changes(2)} == {"definition"}
    assert {cause for _, _, cause in world.changes(3)} == {"data"}


def test_history_advances_only_with_a_later_moment(world: World) -> None:
    """At the last evaluation's moment or before it, nothing is appended."""
    world.members("a")
    world.record(2)
    world.members("b")
    assert not world.record(2).advanced
    assert not world.record(1).advanced
    assert world.changes(2) == [("a", "entered", "first")]
    assert world.record(3).advanced


def test_many_are_recorded_as_each_would_be(world: World) -> None:
    """More than one statement takes, of which some were evaluated at this moment: what each did, in their order."""
    names = [f"seg_{number}" for number in range(2 * segments.AT_ONCE + 1)]
    for number, name in enumerate(names):
        world.warehouse.execute(f"create table {name} as select 'p' || i as profile_id from range({number}) as t (i)")
    early = names[::3]
    before = segments.record(world.warehouse, clock(1), dict.fromkeys(early, "one"))
    done = segments.record(world.warehouse, clock(1), dict.fromkeys(names, "one"))
    assert [each.segment for each in done] == names
    assert [each.advanced for each in done] == [name not in early for name in names]
    entered = {each.segment: each.entered for each in (*before, *done) if each.advanced}
    assert entered == {name: number for number, name in enumerate(names)}
    kept = world.warehouse.rows("select segment, count(*) as n from tailrace.segment_history group by segment")
    assert {row["segment"]: row["n"] for row in kept} == {name: count for name, count in entered.items() if count}
    assert world.warehouse.rows("select count(*) as n from tailrace.segment_evaluation")[0]["n"] == len(names)


def test_each_has_its_own_cause(world: World) -> None:
    """Evaluated for the first time, by another definition or by the same one, in one statement."""
    for name in ("seg_a", "seg_b", "seg_c"):
        world.warehouse.execute(f"create table {name} as select 'p' as profile_id")
    segments.record(world.warehouse, clock(1), {"seg_a": "one", "seg_b": "one"})
    world.warehouse.execute("insert into seg_a values ('q')")
    world.warehouse.execute("insert into seg_b values ('q')")
    done = segments.record(world.warehouse, clock(2), {"seg_a": "one", "seg_b": "two", "seg_c": "one"})
    assert [(each.cause, each.entered) for each in done] == [("data", 1), ("definition", 1), ("first", 1)]


def test_one_that_fails_takes_none_with_it(world: World) -> None:
    """Those before it are recorded; the error is its own, and those after it are for the next evaluation."""
    for name in ("seg_a", "seg_c"):
        world.warehouse.execute(f"create table {name} as select 'p' as profile_id")
    names = dict.fromkeys(("seg_a", "seg_gone", "seg_c"), "one")
    with pytest.raises(UserError, match="seg_gone"):
        segments.record(world.warehouse, clock(1), names)
    kept = world.warehouse.rows("select segment from tailrace.segment_history")
    assert [row["segment"] for row in kept] == ["seg_a"]
    world.warehouse.execute("create table seg_gone as select 'p' as profile_id")
    assert [each.advanced for each in segments.record(world.warehouse, clock(1), names)] == [False, True, True]


def test_a_statement_that_comes_late_is_told_of(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where other rows are there than were written nothing becomes visible, and the next evaluation writes it anew."""
    insert = world.warehouse.insert

    def twice(table: str, query: str) -> int:
        insert(table, query)
        return insert(table, query)

    world.members("a")
    monkeypatch.setattr(world.warehouse, "insert", twice)
    with pytest.raises(WarehouseHeld, match="run the command again"):
        world.record(1)
    assert world.open() == []
    monkeypatch.undo()
    assert world.record(1).entered == 1


def test_a_killed_evaluation_is_repeated(world: World) -> None:
    """Rows whose batch never became visible are replaced by the next evaluation's."""
    world.members("a")
    torn = Batch(world.warehouse, f"history/seg_x/{clock(1).as_of.isoformat()}")
    torn.append(
        segments.HISTORY, "select 'torn' as entry_id, 'seg_x' as segment, 'z' as profile_id, 'entered' as change"
    )
    world.record(1)
    assert [row["profile_id"] for row in world.open()] == ["a"]
    assert world.warehouse.rows(f"select count(*) as n from {segments.HISTORY}__log")[0]["n"] == 1


def test_a_merge_hands_the_membership_over(world: World) -> None:
    """The loser's entry ends and the winner's begins because of the merge: nobody is news."""
    world.members("loser", "other")
    world.record(1)
    world.merge("loser", "winner", 1)
    world.members("winner", "other")
    world.record(2)
    assert world.changes(2) == [("loser", "left", "merge"), ("winner", "entered", "merge")]


def test_a_winner_that_was_a_member_keeps_its_entry(world: World) -> None:
    """Two members that become one leave the winner's entry as it was."""
    world.members("loser", "winner")
    world.record(1)
    before = world.open()
    world.merge("loser", "winner", 1)
    world.members("winner")
    world.record(2)
    assert world.changes(2) == [("loser", "left", "merge")]
    assert world.open() == [row for row in before if row["profile_id"] == "winner"]


def test_a_merge_of_a_merge_hands_it_on(world: World) -> None:
    """Merged twice between two evaluations, the membership goes to the last winner."""
    world.members("a")
    world.record(1)
    world.merge("a", "b", 1)
    world.merge("a", "c", 2)
    world.merge("b", "c", 2)
    world.members("c")
    world.record(2)
    assert world.changes(2) == [("a", "left", "merge"), ("c", "entered", "merge")]


def test_an_entry_has_an_id_of_its_own(world: World) -> None:
    """Who comes back has another entry than before, and what left is what had entered."""
    for number, members in enumerate([("a",), (), ("a",)]):
        world.members(*members)
        world.record(number)
    rows = world.warehouse.rows("select entry_id, change from tailrace.segment_history order by as_of")
    assert [row["change"] for row in rows] == ["entered", "left", "entered"]
    assert rows[0]["entry_id"] == rows[1]["entry_id"] != rows[2]["entry_id"]


profiles = st.sampled_from("abcdef")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.frozensets(profiles), st.none() | st.tuples(profiles, profiles)), max_size=6))
def test_open_memberships_are_the_model(nights: list[tuple[frozenset[str], tuple[str, str] | None]]) -> None:
    """After any evaluations and merges, the open memberships are exactly the model's profiles, each once."""
    with DuckDB(Path(":memory:")) as warehouse:
        world = World(warehouse)
        alias = {name: name for name in "abcdef"}
        for number, (members, merge) in enumerate(nights):
            if merge and alias[merge[0]] != alias[merge[1]]:
                loser, winner = alias[merge[0]], alias[merge[1]]
                for name in [name for name, holder in alias.items() if holder == loser]:
                    alias[name] = winner
                    world.merge(name, winner, number + 1)
            world.members(*sorted({alias[name] for name in members}))
            world.record(number)
            assert [row["profile_id"] for row in world.open()] == sorted({alias[name] for name in members})
