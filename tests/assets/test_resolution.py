"""Who is who, decided: a pure function of what was seen and what is known."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import components
from assets.resolution import ALIAS, KNOWN_SCHEMA, TYPES, Mint, resolve
from tests.sampling import sampled
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
