"""A contact point is written the same on every engine, and as the gateway writes it: who says no is found by it."""

import unicodedata

import pyarrow as pa

from models.contacts import SPACES, normalized
from tests.engines.test_macros import macro

# but those that Python does not know yet, of which Spark's server knows some
LETTERS = [char for char in map(chr, range(1, 0x110000)) if unicodedata.category(char) not in {"Cs", "Cn"}]


def test_every_letter_and_space(both) -> None:
    """At both ends and beside others."""
    said = [f"{letter} A{letter}ΑΣ@Shop.Example{letter}" for letter in LETTERS]
    table = pa.table({"contact": said, "expected": [normalized(contact) for contact in said]})
    for warehouse in both:
        written = warehouse.dialect.normalized("contact")
        with warehouse.lend("letters", table):
            other = warehouse.rows(f"select contact from letters where {written} <> expected")
        assert [row["contact"] for row in other] == []


def test_what_stands_around_it(both) -> None:
    """A space that does not break a line is one, an end of a line is none."""
    said = [f"{space}a b{space * 2}" for space in SPACES] + ["\ta b", "a b\n", "", "  "]
    for warehouse in both:
        with warehouse.lend("said", pa.table({"place": range(len(said)), "contact": said})):
            trimmed = warehouse.rows(f"select {warehouse.dialect.trimmed('contact')} as t from said order by place")
        assert [row["t"] for row in trimmed] == ["a b"] * len(SPACES) + ["\ta b", "a b\n", "", ""]


def test_models_write_it_so_too(both) -> None:
    """What the macros make of it is what the dialect does."""
    for dialect in (warehouse.dialect for warehouse in both):
        for name in ("trimmed", "normalized"):
            assert macro(name, "contact", engine=dialect.name) == getattr(dialect, name)("contact")
