"""Who is who, kept: the history that identity runs leave, and the numbers they read."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import identity
from assets.resolution import TYPES
from models.clock import Clock
from tests.assets.test_resolution import START, rows
from warehouse import batches
from warehouse.duckdb import DuckDB


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("+33 6 12 34 56 78", "", "+33612345678"),
        ("0033612345678", "FR", "+33612345678"),
        ("06 12 34 56 78", "", None),
        ("none", "FR", None),
        ("12", "FR", None),
        ("06 12 34 56 78", "Gallia", None),
    ],
)
def test_a_phone_number_is_one_in_e164(written: str, country: str, number: str | None) -> None:
    """However it is written, a number one can dial is one identifier, and what one cannot dial is none."""
    assert identity.e164(written, country) == number


@pytest.fixture(params=[identity.AT_ONCE, 1], ids=["at once", "in pieces"])
def warehouse(tmp_path: Path, request, monkeypatch):
    """A warehouse with the two views that identity reads, as tables; what is seen fits memory, or does not."""
    monkeypatch.setattr(identity, "AT_ONCE", request.param)
    with DuckDB(tmp_path / "warehouse.duckdb") as opened:
        batches.prepare(opened)
        identity.prepare(opened)
        texts = ", ".join(f"{name} varchar" for name in TYPES)
        opened.execute(f"create table int_event_identifiers ({texts}, occurred_at timestamptz, known_at timestamptz)")
        opened.execute(
            "create view stg_events as select *, cast(null as varchar) as properties from int_event_identifiers"
        )
        yield opened


def happen(warehouse: DuckDB, hour: int, **identifiers: str) -> None:
    names = ", ".join(["occurred_at", "known_at", *identifiers])
    moment = warehouse.dialect.literal(START + timedelta(hours=hour))
    values = ", ".join([moment, moment, *(f"'{value}'" for value in identifiers.values())])
    warehouse.execute(f"insert into int_event_identifiers ({names}) values ({values})")


def run(warehouse: DuckDB, hour: int, definition: str = "one") -> identity.IdentityResult:
    return identity.identify(warehouse, Clock.at(START + timedelta(hours=hour)), salt="s", definition=definition)


def holders(warehouse: DuckDB) -> dict[str, str]:
    found = warehouse.rows(
        "select identifier, profile_id from tailrace.profile_map where identifier_type <> 'profile_id'"
    )
    return {row["identifier"]: row["profile_id"] for row in found}


def test_numbers_are_read_a_batch_at_a_time(warehouse: DuckDB) -> None:
    """However many are new, some thousands are in memory, and what is read stays read; a second look reads nothing."""
    count = 2 * identity.PHONES_AT_ONCE + 1
    warehouse.execute(f"insert into int_event_identifiers (phone) select '+' || i from range({count}) as numbers (i)")
    for _ in range(2):
        identity.read_phones(warehouse, Clock.at(START))
    found = warehouse.rows("select batch_id, count(*) as n from tailrace.phone group by batch_id order by n")
    assert [row["n"] for row in found] == [1, identity.PHONES_AT_ONCE, identity.PHONES_AT_ONCE]
    assert warehouse.rows("select count(distinct written) as n from tailrace.phone") == [{"n": count}]


def test_a_run_with_nothing_new_is_skipped(warehouse: DuckDB) -> None:
    """Identity reads nothing when no event became visible, and never appends to its history then."""
    happen(warehouse, 1, email="a@b.example")
    assert run(warehouse, 2).minted == 1
    assert run(warehouse, 3).skipped
    assert warehouse.rows("select count(*) as n from tailrace.profile_id_history")[0]["n"] == 2


def test_two_runs_at_one_clock_both_count(warehouse: DuckDB) -> None:
    """A file that arrives between two runs at the same clock is not lost."""
    happen(warehouse, 1, email="a@b.example")
    run(warehouse, 2)
    happen(warehouse, 2, email="c@d.example")
    assert run(warehouse, 2).minted == 1
    happen(warehouse, 2, email="a@b.example", user_id="u")
    assert run(warehouse, 2).identifiers == 1
    assert len(set(holders(warehouse).values())) == 2


def test_an_interrupted_run_is_run_again(warehouse: DuckDB) -> None:
    """Rows under a batch that never became visible change nothing and are replaced by the next run's."""
    happen(warehouse, 1, email="a@b.example")
    batch_id = f"identity/{(START + timedelta(hours=2)).isoformat()}/{(START + timedelta(hours=2)).isoformat()}"
    batches.Batch(warehouse, batch_id).append(
        identity.HISTORY, "select 'email' as identifier_type, 'x' as identifier, 'torn' as profile_id, 1 as number"
    )
    assert holders(warehouse) == {}
    run(warehouse, 2)
    assert set(holders(warehouse)) == {"a@b.example"}


def test_late_merges_are_found_by_reading_only_what_is_new(warehouse: DuckDB) -> None:
    """An event between two known people merges them with all they hold."""
    happen(warehouse, 1, email="a@b.example", anonymous_id="d1")
    happen(warehouse, 1, user_id="u1", anonymous_id="d2")
    run(warehouse, 2)
    happen(warehouse, 3, anonymous_id="d1", user_id="u1")
    assert run(warehouse, 4).merged == 1
    assert len(set(holders(warehouse).values())) == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(rows, min_size=1, max_size=4))
def test_an_earlier_moment_looks_up_the_ids_of_then(nights: list[list[dict[str, object]]]) -> None:
    """Read at an earlier `known_by`, the history gives who was who on that night, and derives nothing."""
    with DuckDB(Path(":memory:")) as warehouse:
        batches.prepare(warehouse)
        identity.prepare(warehouse)
        texts = ", ".join(f"{name} varchar" for name in TYPES)
        columns = f"{texts}, occurred_at timestamptz, known_at timestamptz"
        warehouse.execute(f"create table int_event_identifiers ({columns})")
        warehouse.execute("create view stg_events as select *, null as properties from main.int_event_identifiers")
        warehouse.execute("create schema past")
        kept = []
        for number, night in enumerate(nights):
            for each in night:
                happen(
                    warehouse, number, **{name: f"{name}-{value}" for name, value in each.items() if value is not None}
                )
            run(warehouse, number)
            kept.append(holders(warehouse))
        for number, expected in enumerate(kept):
            moment = warehouse.dialect.literal(START + timedelta(hours=number))
            visible = f"from main.int_event_identifiers where occurred_at <= {moment}"
            warehouse.execute(f"create or replace view past.int_event_identifiers as select * {visible}")
            warehouse.execute(f"create or replace view past.stg_events as select *, null as properties {visible}")
            clock = Clock.at(START + timedelta(hours=number))
            assert identity.replay(warehouse, clock, salt="s", schema="past").is_empty()
            found = warehouse.rows("select * from past.profile_map where identifier_type <> 'profile_id'")
            assert {row["identifier"]: row["profile_id"] for row in found} == expected
