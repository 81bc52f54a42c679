"""Writers take turns, and a publication that does not come to its end is none, whatever the engine."""

import pytest

from models.errors import UserError, WarehouseHeld
from models.settings import Settings
from tests.engines.serving import URLS
from warehouse import batches
from warehouse.engine import Engine, engine
from warehouse.postgres import Postgres


@pytest.fixture(params=["duckdb", "postgres", "spark"])
def home(request, tmp_path) -> Engine:
    url = request.getfixturevalue(URLS[request.param]) if request.param in URLS else None
    (tmp_path / "dev").mkdir()
    return engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=url))


def test_one_writes_and_the_other_is_told_who(home):
    """Who waits too long is told which process holds the warehouse; once that is done, the next may."""
    with home.locked(0), pytest.raises(WarehouseHeld, match=r"process \d+"), home.locked(0.1):
        pass
    with home.locked(0):
        pass


def test_the_turn_of_a_connection_that_ends_is_over(database, tmp_path):
    """On PostgreSQL nobody has to clean up after a machine that is gone."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    holders = "select pid from pg_locks where locktype = 'advisory' and granted"
    with home.locked(0), Postgres(database) as other:
        other.rows(f"select pg_terminate_backend(pid) from ({holders}) as holding")
        with home.locked(5):
            pass


def test_a_publication_that_fails_leaves_what_was_published(home):
    """Readers see the old one; the next that comes to its end leaves nothing of the failed one."""
    with home.open() as warehouse:
        batches.prepare(warehouse)
        first = {"one": "(select 1 as n) as one", "two": "(select 2 as n) as two"}
        home.publish(warehouse, first, {"one": "1", "two": "2"})
        with pytest.raises(UserError):
            home.publish(warehouse, {**first, "two": "nowhere"}, {"one": "10", "two": "20"})
    assert home.published_digests() == {"one": "1", "two": "2"}
    with home.published() as copy:
        assert copy.rows("select n from one") == [{"n": 1}]
    with home.open() as warehouse:
        home.publish(warehouse, {}, {"one": "1"})
        kept = 2 if home.name == "spark" else 1  # readers on other machines have until the next
        assert len(warehouse.relations("published")) <= kept
    with home.published() as copy:
        assert (copy.rows("select n from one"), copy.columns("two")) == ([{"n": 1}], {})
