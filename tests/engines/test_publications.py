"""A publication is whole or none, and what is read of one stays, whatever the engine."""

import pytest

from models.errors import UserError
from warehouse import batches


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
