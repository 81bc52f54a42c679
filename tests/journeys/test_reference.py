"""The examples of docs/journeys.md are of the language."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from assets.journeys import shape
from assets.journeys.flat import flatten
from models.journey import Ended, Journey, Moved, NotEntered, Refusal
from models.policy import Policy
from models.source import Sources
from tests.nights import ROOT

PAGE = (ROOT / "docs" / "journeys.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
NEVER_WRITTEN = {NotEntered.NOT_DATA}
JOURNEY: dict[str, Any] = {
    "journey": "example",
    "entry": {"event": "Cart Updated", "key": "cart_id"},
    "steps": [{"exit": "done"}],
}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_of_the_language(block: str) -> None:
    """What the page shows, `tailrace check` takes: shapes, names of steps, and loops that rest."""
    example = yaml.safe_load(block)
    if block.startswith("# policy.yml"):
        Policy.model_validate(example)
    elif block.startswith("# sources.yml"):
        Sources.model_validate(example)
    else:
        part = {"steps": example} if isinstance(example, list) else example
        journey = Journey.model_validate({**JOURNEY, **part})
        assert list(shape.problems(journey, flatten(journey))) == []


def test_every_word_the_engine_answers_with_is_explained() -> None:
    """Kinds, ends, refusals and reasons not to enter are all on the page."""
    words = {str(word) for words in (Moved, Ended, Refusal, NotEntered) for word in words} - NEVER_WRITTEN
    assert {word for word in words if f"`{word}`" not in PAGE} == set()
