"""Literals, texts, lists and hashes of the dialect are the same on every engine."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UserError
from tests.engines.agreement import SETTINGS, TEXTS, agreed, several
from tests.engines.test_clocks import MOMENTS


@pytest.mark.parametrize(
    "value",
    [
        *TEXTS, True, False, 0, -5, 2**62, -(2**63), 10**37, Decimal("12345678901234567.89"), Decimal("-0.001"),
        *MOMENTS, date(2024, 2, 29),
    ],
    ids=repr,
)  # fmt: skip
def test_a_literal_is_the_value(both, value):
    """What the dialect writes, either engine reads back equal."""
    assert agreed(both, lambda dialect: [dialect.literal(value)]) == [value]


@SETTINGS
@given(several(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)))
def test_any_text_is_a_literal(both, texts):
    """Whatever signs it is made of, and in the place of a parameter."""
    assert agreed(both, lambda dialect: [dialect.literal(text) for text in texts]) == texts
    for warehouse in both:
        assert warehouse.rows("select ? as a, '?' as b, ? as c", [texts[0], 1]) == [{"a": texts[0], "b": "?", "c": 1}]


def test_a_text_with_nul_is_refused_in_words(beside_postgres):
    """PostgreSQL would read the statement to there only."""
    with pytest.raises(UserError, match=r"U\+0000"):
        beside_postgres[1].dialect.literal("a\0b")


def test_functions_of_text_are_the_same(both):
    """Of any text and of null: how it begins, what stands before a sign, its digest."""

    def written(dialect):
        literals = [f"cast({dialect.literal(text)} as {dialect.text})" for text in TEXTS]
        return [
            *(dialect.starts_with(literal, begin) for literal in literals for begin in ("a", "it's")),
            *(dialect.before(literal, "-") for literal in literals),
            *(dialect.sha256(literal) for literal in literals),
        ]

    agreed(both, written)


def test_lists_are_the_same(both):
    """Whatever their texts hold, and empty: as a value, and as rows in order."""
    for given_texts in ([], ["a"], ["it's", 'q"', "{}", "a,b", "NULL", ""]):
        assert agreed(both, lambda dialect, texts=given_texts: [dialect.text_list(texts)]) == [given_texts]
        for each in both:
            found = each.rows(f"select {each.dialect.unnest(each.dialect.text_list(given_texts))} as one")
            assert [row["one"] for row in found] == given_texts


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("varchar", ["null", "''", "'a'", "'A'", "'null'"]),
        ("bigint", ["null", "0", "1", "-1"]),
        ("double", ["null", "0", "1.5", "'nan'"]),
        ("timestamptz", ["null", "'1970-01-01 00:00:00+00'", "'1970-01-01 00:00:01+00'"]),
        (
            "varchar[]",
            ["null", "array[]", "array[null]", "array[null, null]", "array['']", "array['a, b']", "array['a', 'b']"],
        ),
        ("json", ["null", "'{}'", "'[]'"]),
    ],
)
def test_different_values_hash_differently(both, kind, texts):
    """On each engine: nulls and empty lists too. No number is compared between engines."""
    for each in both:
        spelled = each.dialect.kind(kind)
        called = [text.replace("array[", "array(").replace("]", ")") for text in texts]  # as Spark writes a list
        written = called if each.dialect.name == "spark" else texts
        rows = " union all ".join(f"select cast(cast({text} as {spelled}) as {spelled}) as given" for text in written)
        described = each.columns(f"({rows})")["given"]
        words = {"timestamptz": "timestamp with time zone"}
        if each.dialect.name == "spark":
            words["json"] = "varchar"
        assert described == words.get(kind, kind)
        hashed = each.dialect.row_hash([each.dialect.hashable("given", described), "1"])
        assert len(each.rows(f"select distinct {hashed} as hashed from ({rows}) as listed")) == len(texts)


def test_a_digest_is_of_the_rows_and_not_of_their_order(both):
    """Text; null of nothing; a row more is another."""
    for each in both:
        hashed = each.dialect.digest(each.dialect.row_hash(["n", f"cast(null as {each.dialect.text})"]))

        def said(numbers, each=each, hashed=hashed):
            listed = " union all ".join(f"select {n} as n" for n in numbers)
            return each.rows(f"select {hashed} as digest from ({listed}) as listed where n >= 0")[0]["digest"]

        assert said([1, 2, 3]) == said([3, 1, 2]) != said([1, 2])
        assert isinstance(said([1]), str)
        assert said([-1]) is None
