"""Writers take turns, and a publication that does not come to its end is none, whatever the engine."""

import threading

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


def test_who_is_alone_waits_for_those_beside_and_they_for_it(home):
    """Whatever the engine, nobody writes beside a writer that is alone."""
    with home.locked(0, beside=True), pytest.raises(WarehouseHeld), home.locked(0.1):
        pass
    with home.locked(0), pytest.raises(WarehouseHeld), home.locked(0.1, beside=True):
        pass


def test_several_write_beside_each_other(database, tmp_path):
    """On PostgreSQL; what only one of them may do at a time, the next does when that is done."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    done: list[str] = []

    def fold() -> None:
        with home.locked(0, beside=True), home.turn("receipts"):
            done.append("second")

    second = threading.Thread(target=fold)
    with home.locked(0, beside=True), home.locked(0, beside=True):
        with home.turn("receipts"), home.turn("publish"):
            second.start()
            second.join(1.5)
            assert second.is_alive()
            done.append("first")
        second.join()
    assert done == ["first", "second"]


def test_who_would_be_alone_is_not_passed_for_ever(database, tmp_path):
    """While one waits to be alone, others that come wait behind it."""
    home = engine(Settings(project=tmp_path, home=tmp_path, warehouse_url=database))
    order: list[str] = []

    def alone() -> None:
        with home.locked(20):
            order.append("alone")

    waiting = threading.Thread(target=alone)
    with home.locked(0, beside=True), Postgres(database) as watching:
        waiting.start()
        while not watching.rows("select 1 as n from pg_locks where locktype = 'advisory' and not granted"):
            pass
        with pytest.raises(WarehouseHeld), home.locked(0.3, beside=True):
            order.append("passed")
    waiting.join()
    assert order == ["alone"]


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
