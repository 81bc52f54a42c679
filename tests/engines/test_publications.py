"""A publication is whole or none, and what is read of one stays, whatever the engine."""

import contextlib
import importlib

import pytest

from models.errors import UserError
from models.settings import Settings
from warehouse import batches
from warehouse.engine import engine


def test_a_reader_keeps_what_it_reads_when_the_same_is_published_again(home):
    """Content that was, was not and is again takes nothing away from who still reads it."""
    with home.open() as warehouse:
        batches.prepare(warehouse)
        home.publish(warehouse, {"one": "(select 1 as n) as one"}, {"one": "1"})
        with home.published() as reader:
            for number in (2, 1):
                home.publish(warehouse, {"one": f"(select {number} as n) as one"}, {"one": str(number)})
                home.tidy(warehouse)
            assert reader.rows("select n from one") == [{"n": 1}]
        with home.published() as copy:
            assert copy.rows("select n from one") == [{"n": 1}]


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
        home.tidy(warehouse)
        kept = 2 if home.name == "spark" else 1  # readers on other machines have until the next
        assert len(warehouse.relations("published")) <= kept
    with home.published() as copy:
        assert (copy.rows("select n from one"), copy.columns("two")) == ([{"n": 1}], {})


def test_what_was_published_long_ago_is_forgotten(catalogue, tmp_path, monkeypatch):
    """Whoever looks for the newest reads all that are listed, on Spark a file each; not what somebody reads yet."""
    spark_engine = importlib.import_module("warehouse.spark_engine")  # where the client is
    monkeypatch.setattr(spark_engine, "RECENT", 1)
    home = engine(Settings(tmp_path, tmp_path, warehouse_url=f"{catalogue}_long"))
    with home.open() as warehouse, contextlib.ExitStack() as reading:
        batches.prepare(warehouse)
        for number in range(1, 7):
            home.publish(warehouse, {"one": f"(select {number} as n) as one"}, {"one": str(number)})
            if number == 2:
                reader = reading.enter_context(home.published())
            home.tidy(warehouse)
        listed = warehouse.rows("select generation from tailrace.publication order by generation")
        assert [row["generation"] for row in listed] == [2, 5, 6]
        assert reader.rows("select n from one") == [{"n": 2}]
    with home.published() as copy:
        assert copy.rows("select n from one") == [{"n": 6}]
