"""For any tables, one after another, the vendor ends with what the model holds."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.assets.syncs.loop import Loop, loop
from tests.assets.syncs.tables import KEYS, disagreements, holding, operations, retyped, steady, successions
from tests.sampling import sampled
from warehouse.dialect import DuckDBDialect

MANY = settings(
    max_examples=sampled(30, 10), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
STEADY = 48  # beside these all that moves is a small part of a ledger: then its tail is read apart


class Coarse(DuckDBDialect):
    """Hashes of the pool's identities fall into few buckets; all other hashes are as good as ever."""

    def __init__(self, identity: Sequence[str], buckets: int) -> None:
        self.identity = [self.quote(name) for name in identity]
        exact = super().row_hash(self.identity)
        pool = ", ".join({self.literal(key[0]) for key in KEYS[tuple(identity)]})
        self.coarse = f"case when {self.identity[0]} in ({pool}) then {exact} % {buckets} else {exact} end"

    def row_hash(self, columns: Iterable[str]) -> str:
        given = list(columns)
        return self.coarse if given == self.identity else super().row_hash(given)


@pytest.mark.parametrize("path", ["uncompacted", "compacted", "tail"])
@given(tables=successions(4))
@MANY
def test_a_mirror_ends_equal_to_its_model(path, tables) -> None:
    """Every plan is exactly the difference, the audience is the model after it, and nothing is left to do."""
    with loop(tables[0].key) as here:
        follow(here, path, tables)


@pytest.mark.parametrize("path", ["uncompacted", "compacted", "tail"])
@given(tables=successions(3), buckets=st.integers(1, 4))
@example(tables=[holding(p1=1), holding(p1=1, p2=2), holding(p2=2)], buckets=1)
@example(tables=[holding(), holding(p1=1, p2=2), holding(p2=2)], buckets=1)
@settings(MANY, max_examples=sampled(20, 8))
def test_people_whose_hashes_are_equal_are_told_apart(path, tables, buckets) -> None:
    """The same where many identities share a hash: none is missed, none is taken for another."""
    with loop(tables[0].key, dialect=Coarse(tables[0].key, buckets), options={"rows": 1}) as here:
        follow(here, path, tables)


def follow(here: Loop, path: str, tables) -> None:
    """One sync a table, with everything that must hold after each."""
    state = {}
    for number, table in enumerate(tables):
        model = steady(table, 0 if path == "uncompacted" else STEADY)
        here.model(model.kinds, model.listed)
        here.run()
        assert (here.planned.plan.upsert, here.planned.plan.remove) == operations(state, model)
        assert disagreements(here.vendor.audience, model) == []
        if path == "compacted" or (path == "tail" and number == 0):
            here.compact()
        elif path == "tail" and here.planned.plan.operations:
            assert here.ledger_rows.tail
    assert here.plan().operations == 0


@pytest.mark.parametrize("path", ["uncompacted", "compacted"])
def test_columns_may_change_their_type(path) -> None:
    """Every value of every type beside every value of every other: what only looks like the new one is sent again."""
    with loop() as here:
        for table in retyped():
            here.model(table.kinds, table.listed)
            here.run()
            assert disagreements(here.vendor.audience, table, loosely=True) == []
            if path == "compacted":
                here.compact()
            assert here.plan().operations == 0


@pytest.mark.parametrize("path", ["uncompacted", "compacted"])
def test_a_key_may_change_its_type(path) -> None:
    """Keys that the new type would make one, or does not have, are taken out as the vendor knows them."""
    with loop(["code"]) as here:
        for kind, codes in [("varchar", ["1", "01", "x", "2"]), ("integer", [1, 3]), ("varchar", ["01", "3", "x"])]:
            here.model({"code": kind, "n": "integer"}, [{"code": code, "n": 1} for code in codes])
            here.run()
            assert sorted(here.vendor.audience) == sorted(str(code) for code in codes)
            if path == "compacted":
                here.compact()
            assert here.plan().operations == 0
