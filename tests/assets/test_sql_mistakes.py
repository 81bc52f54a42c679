"""What the engines and dbt say of a model, as a sentence: where, what to do, and nobody's personal data."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.dbt_errors import engine_words, readable, refusal
from assets.sql_mistakes import mistake
from models.errors import ConfigError

SQL = "select profile_id\nfrom {{ ref('profiles') }}\nwhere\n    email = 'a'\n"
DBT = "{} in model seg_mine (models/segments/seg_mine.sql)\n  {}\n  compiled code at target/run/seg_mine.sql"

VALUES = {
    "quoted": "Conversion Error: Could not convert string 'p122@shop.example' to INT32",
    "quoted twice": 'Conversion Error: invalid date field format: "p122@shop.example", expected format is (YYYY-MM-DD)',
    "with a quote in it": "Conversion Error: Could not convert string 'O' p122@shop.example' to INT32",
    "bare": "Out of Range Error: Type INT64 with value 33612345678 can't be cast",
    "a document": 'Invalid Input Error: Malformed JSON at byte 1.  Input: "{p122@shop.example"',
    "of PostgreSQL": 'invalid input syntax for type integer: "p122@shop.example"',
    "a row": 'null value in column "profile_id"\nDETAIL:  Failing row contains (null, shop.example).',
    "its context": "invalid input syntax for type json\nDETAIL:  No token.\nCONTEXT:  line 1: {p122@shop.example",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dbt_project" / "models" / "segments" / "seg_mine.sql"
    path.parent.mkdir(parents=True)
    path.write_text(SQL)
    return path


@pytest.mark.parametrize("what", VALUES)
@pytest.mark.parametrize("heading", ["Database Error", "Runtime Error"])
def test_no_value_is_told(file: Path, what: str, heading: str) -> None:
    """Whichever engine refuses a value, directly or through dbt, what it was is masked."""
    said = VALUES[what].replace("\n", "\n  ")
    if heading == "Runtime Error" and "Error: " not in said:
        pytest.skip("dbt calls what DuckDB says of values a runtime error, and nobody else's")
    for words in (VALUES[what], engine_words(DBT.format(heading, said))):
        assert words
        message = str(mistake(words, file, "seg_mine.sql", []))
        assert message.startswith("seg_mine.sql: ")
        assert "p122" not in message
        assert "shop.example" not in message
        assert "33612345678" not in message


def test_the_functions_there_are_are_not_listed(file: Path) -> None:
    """DuckDB offers every form of an operator; the sentence before says enough."""
    said = "Binder Error: No function matches '+(VARCHAR, INTEGER)'.\n\tCandidate functions:\n\t+(TINYINT) -> TINYINT\n"
    said += "\nLINE 5:     email = 'a'\n            ^"
    assert str(mistake(said, file, "s.sql", [])) == "s.sql:4:5: No function matches '+(VARCHAR, INTEGER)'."


@pytest.mark.parametrize("closing", [")", ");"])
def test_a_model_that_ends_too_early_is_told_at_its_end(file: Path, closing: str) -> None:
    """What stands around the model is not looked for within it."""
    said = f'Parser Error: syntax error at or near ")"\n\nLINE 6: {closing}\n        ^'
    assert str(mistake(said, file, "s.sql", [])) == 's.sql:4: syntax error at or near ")"'


def test_the_variables_there_are_are_not_listed() -> None:
    """Sixty lines of them come after the name of the one that is missing."""
    said = "Required var 'lapsd' not found in config:\nVars supplied to seg_mine = {\n"
    said += '    "sources": {\n        "crm": {\n            "in_place": false\n        }\n    }\n}\n\n> in macro x'
    assert readable(said) == "Required var 'lapsd' not found in config"


def test_a_source_that_is_not_there_is_no_model(file: Path) -> None:
    """It is called by its own name, at its line."""
    file.write_text("select profile_id\nfrom {{ source('shop', 'nothing') }}\n")
    said = RuntimeError(
        "Model 'model.tailrace.seg_mine' (models/segments/seg_mine.sql) depends on a source named 'shop.nothing' "
        "which was not found"
    )
    refused = refusal(said, file.parents[2])
    assert isinstance(refused, ConfigError)
    assert (refused.line, refused.message) == (2, "there is no source 'shop.nothing'")
