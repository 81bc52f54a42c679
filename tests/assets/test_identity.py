"""Who is who: the decision as a pure function, and the history it leaves."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import components, identity
from assets.resolution import ALIAS, KNOWN_SCHEMA, TYPES, Mint, resolve
from models.clock import Clock
from tests.sampling import sampled
from warehouse import batches
from warehouse.duckdb import DuckDB

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZES = {"user_id": 4, "crm_id": 3, "email": 4, "phone": 3, "anonymous_id": 9}

row = st.fixed_dictionaries({name: st.none() | st.sampled_from(range(size)) for name, size in SIZES.items()})
rows = st.lists(row, max_size=25)


def observed(seen: list[dict[str, object]]) -> pl.DataFrame:
    """Rows as events give them; the place in the list is when it was seen."""
    schema = {**dict.fromkeys(TYPES, pl.String()), "first_seen_at": KNOWN_SCHEMA["minted_at"]}
    table = [
        {name: None if each.get(name) is None else f"{name}-{each[name]}" for name in TYPES}
        | {"first_seen_at": START + timedelta(hours=number)}
        for number, each in enumerate(seen)
    ]
    return pl.DataFrame(table, schema=schema)


def mint(batch: str = "first") -> Mint:
    return Mint("salt", batch)


def nobody() -> pl.DataFrame:
    return KNOWN_SCHEMA.to_frame()


def after(known: pl.DataFrame, changes: pl.DataFrame, at: datetime = START) -> pl.DataFrame:
    """Who holds what once the changes are in the history."""
    born = changes.filter(change="minted", identifier_type=ALIAS).select("profile_id", minted_at=pl.lit(at))
    births = pl.concat([known.select("profile_id", "minted_at"), born.cast({"minted_at": KNOWN_SCHEMA["minted_at"]})])
    new = changes.select("identifier_type", "identifier", "profile_id").join(
        births.unique("profile_id"), on="profile_id", how="left"
    )
    kept = known.join(new, on=["identifier_type", "identifier"], how="anti")
    return pl.concat([kept, new.match_to_schema(KNOWN_SCHEMA)])


def partition(known: pl.DataFrame) -> set[frozenset[tuple[str, str]]]:
    """The identifiers of each profile, without the profile's own name."""
    held: dict[str, set[tuple[str, str]]] = {}
    for identifier_type, identifier, profile_id, _ in known.iter_rows():
        if identifier_type != ALIAS:
            held.setdefault(profile_id, set()).add((identifier_type, identifier))
    return {frozenset(identifiers) for identifiers in held.values()}


def by_hand(seen: list[dict[str, object]]) -> set[frozenset[tuple[str, str]]]:
    """The same partition by merging sets, one row after another."""
    parts: list[set[tuple[str, str]]] = []
    for each in seen:
        here = {(name, f"{name}-{value}") for name, value in each.items() if value is not None}
        if here:
            touched = [part for part in parts if part & here]
            parts = [part for part in parts if not part & here] + [here.union(*touched)]
    return {frozenset(part) for part in parts}


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_any_order_gives_one_partition(seen: list[dict[str, object]], chance) -> None:
    """The partition is that of the graph, and neither it nor an id depends on the order of rows."""
    shuffled = (
        observed(seen).sample(fraction=1.0, shuffle=True, seed=chance.randrange(1000)) if seen else observed(seen)
    )
    changes = resolve(observed(seen), nobody(), mint())
    assert changes.equals(resolve(shuffled, nobody(), mint()))
    assert partition(after(nobody(), changes)) == by_hand(seen)


@settings(deadline=None)
@given(rows, st.lists(st.integers(0, 25), max_size=4))
def test_incremental_equals_full(seen: list[dict[str, object]], cuts: list[int]) -> None:
    """Reading only what is new, in any pieces, gives the partition of one run over everything."""
    ends = [0, *sorted(min(cut, len(seen)) for cut in cuts), len(seen)]
    everything, known, whole = observed(seen), nobody(), nobody()
    for number, (start, end) in enumerate(pairwise(ends)):
        at = START + timedelta(days=number)
        known = after(known, resolve(everything[start:end], known, mint(f"run {number}")), at)
        whole = after(whole, resolve(everything[:end], whole, mint(f"run {number}")), at)
        assert known.sort(known.columns).equals(whole.sort(whole.columns))
    assert partition(known) == by_hand(seen)


@settings(deadline=None, max_examples=sampled(40, 12))
@given(rows, rows, st.sampled_from([1, 2, 5, components.PLACES]), st.booleans())
def test_pieces_give_what_the_whole_gives(first, then, count, rebuild) -> None:
    """Nobody is torn apart, whatever is known of them before: every change is the same."""
    known = after(nobody(), resolve(observed(first), nobody(), mint()))
    seen = observed([*first, *then] if rebuild else then).unique(list(TYPES), keep="first", maintain_order=True)
    seen = seen.filter(pl.any_horizontal(pl.col(TYPES).is_not_null()))
    whole = resolve(seen, known, mint("second"), rebuild=rebuild)
    with DuckDB(Path(":memory:")) as warehouse:
        for name, frame in (("observed", seen), ("known_identifier", known)):
            with warehouse.lend("lent", frame.to_arrow()):
                warehouse.create_temporary(name, "select * from lent")
        components.tie(warehouse)
        pieces = [
            resolve(*(read(warehouse, sql) for sql in both), mint("second"), rebuild=rebuild)
            for both in components.placed(warehouse, count)
        ]
    assert len(pieces) == count
    assert pl.concat(pieces).sort(pl.all()).equals(whole.sort(pl.all()))


def read(warehouse: DuckDB, sql: str) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(warehouse.stream(sql).read_all()))
    moments = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(pl.col(moments).dt.convert_time_zone("UTC").dt.cast_time_unit("us"))


@settings(deadline=None)
@given(rows)
def test_a_second_run_changes_nothing(seen: list[dict[str, object]]) -> None:
    """Ids are minted once and then only looked up, also when everybody is worked out anew."""
    known = after(nobody(), resolve(observed(seen), nobody(), mint()))
    assert resolve(observed(seen), known, mint("second")).is_empty()
    assert resolve(observed(seen), known, mint("third"), rebuild=True).is_empty()


def test_on_a_merge_the_strongest_identifier_survives() -> None:
    """A profile with an account outlives an older one with only an address, whose name stays as an alias."""
    first = after(nobody(), resolve(observed([{"email": 1, "anonymous_id": 1}]), nobody(), mint("1")))
    second = after(first, resolve(observed([{"user_id": 1}]), first, mint("2")), START + timedelta(days=1))
    changes = resolve(observed([{"user_id": 1, "email": 1}]), second, mint("3"))
    loser = first["profile_id"][0]
    winner = second.filter(identifier="user_id-1")["profile_id"][0]
    assert set(changes["change"]) == {"merged"}
    assert set(changes["from_profile_id"]) == {loser}
    assert set(changes["profile_id"]) == {winner}
    assert (ALIAS, loser) in set(changes.select("identifier_type", "identifier").iter_rows())


def test_of_equals_the_older_survives() -> None:
    """Two profiles with an address each become the one that was minted first, whatever their ids."""
    older = after(nobody(), resolve(observed([{"email": 1}]), nobody(), mint("1")))
    both = after(older, resolve(observed([{"email": 2, "anonymous_id": 1}]), older, mint("2")), START + timedelta(1))
    changes = resolve(observed([{"email": 1, "phone": 1}, {"email": 2, "phone": 1}]), both, mint("3"))
    assert set(changes["profile_id"]) == {older["profile_id"][0]}


def test_what_a_profile_was_called_finds_its_person() -> None:
    """An outcome that names a merged profile belongs to the winner; a name nobody ever had belongs to nobody."""
    known = after(nobody(), resolve(observed([{"email": 1}]), nobody(), mint()))
    named = observed([{}]).with_columns(profile_id=pl.lit(known["profile_id"][0]), email=pl.lit("new address"))
    assert resolve(named, known, mint("2"))["profile_id"].to_list() == [known["profile_id"][0]]
    foreign = observed([{}]).with_columns(profile_id=pl.lit("nobody's"))
    assert resolve(foreign, known, mint("2")).is_empty()


def test_when_rules_change_a_profile_splits() -> None:
    """Without the shared device, the part with the strongest identifier keeps the id and its former names."""
    shared = [{"user_id": 1, "anonymous_id": 1}, {"email": 1, "anonymous_id": 1}]
    known = after(nobody(), resolve(observed(shared), nobody(), mint()))
    assert len(partition(known)) == 1
    changes = resolve(observed([{"user_id": 1}, {"email": 1}]), known, mint("2"), rebuild=True)
    moved = changes.filter(pl.col("identifier_type") != ALIAS)
    assert list(moved.select("identifier", "change").iter_rows()) == [("email-1", "split")]
    assert moved["from_profile_id"][0] == known["profile_id"][0]


def test_a_path_of_a_thousand_is_one_profile() -> None:
    """The number of steps between two identifiers does not matter."""
    seen = [{"anonymous_id": number, "email": number // 2 + 10_000} for number in range(1000)]
    seen += [{"anonymous_id": number + 1, "phone": number // 2} for number in range(998)]
    seen += [{"email": number + 10_000, "phone": number} for number in range(499)]
    assert len(partition(after(nobody(), resolve(observed(seen), nobody(), mint())))) == len(by_hand(seen))


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
