"""Compact receipts expand to exactly what was said of every row."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.delivery import Outcome, Outcomes, RowOutcome
from sinks.claims import ranges_of
from sinks.receipts import SCHEMA, Written, encode, expand
from tests.sinks.desk import AT

words = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
outcome = st.builds(RowOutcome, st.sampled_from(Outcome), st.text(words, max_size=20), st.text(words, max_size=5))


@st.composite
def receipts(draw: st.DrawFn) -> list[tuple[list[int], Outcomes]]:
    claims = draw(st.lists(st.sets(st.integers(0, 60), min_size=1), max_size=6))
    made = []
    for rows in claims:
        exceptions = draw(st.dictionaries(st.integers(0, len(rows) - 1), outcome, max_size=len(rows)))
        made.append((sorted(rows), Outcomes(draw(outcome), exceptions)))
    return made


@given(receipts())
def test_expansion_says_of_every_row_what_the_vendor_said(made: list[tuple[list[int], Outcomes]]) -> None:
    """For any rows, defaults and exceptions, expanding the written text gives the outcome of each row, in order."""
    written = [
        Written(seq, "upsert", ranges_of(rows), 1, encode(outcomes), AT) for seq, (rows, outcomes) in enumerate(made)
    ]
    table = expand(written)
    assert table.schema == SCHEMA
    expected = [
        (row, str(outcomes[offset].outcome), outcomes[offset].reason, outcomes[offset].provider_id, seq)
        for seq, (rows, outcomes) in enumerate(made)
        for offset, row in enumerate(rows)
    ]
    columns = [table[name].to_pylist() for name in ("row", "outcome", "reason", "provider_id", "seq")]
    assert list(zip(*columns, strict=True)) == expected


@given(st.sets(st.integers(0, 1000)))
def test_ranges_hold_the_same_rows_and_are_fewest(rows: set[int]) -> None:
    """Any ascending rows come back from their ranges, and no two ranges touch."""
    ranges = ranges_of(sorted(rows))
    assert [row for first, count in ranges for row in range(first, first + count)] == sorted(rows)
    assert all(first + count < after for (first, count), (after, _) in pairwise(ranges))


def test_a_vendors_page_is_not_a_reason() -> None:
    """Reasons are cut where they stop being reasons."""
    assert len(encode(Outcomes.all(Outcome.REJECTED, "x" * 100_000))) < 1_000


def test_what_an_engine_cannot_keep_is_no_word_of_a_vendor() -> None:
    """Binary garbage with U+0000 would keep a fold from PostgreSQL for ever."""
    said = Outcomes(RowOutcome(Outcome.REJECTED, "a\0b"), {0: RowOutcome(Outcome.ACCEPTED, "", "\0")})
    table = expand([Written(0, "upsert", ranges_of([0, 1]), 1, encode(said), AT)])
    assert table["reason"].to_pylist() == ["", "a\N{REPLACEMENT CHARACTER}b"]
    assert table["provider_id"].to_pylist() == ["\N{REPLACEMENT CHARACTER}", ""]
