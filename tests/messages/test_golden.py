"""Liquid here is the Liquid that people know from shops: golden-liquid's cases pass, but for what is meant otherwise.

golden/golden_liquid.json is https://github.com/jg-rp/golden-liquid at 389a298, under the licence beside it.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from liquid.exceptions import LiquidError, UndefinedError

from assets.messages.liquid import environment

CASES = json.loads((Path(__file__).parent / "golden/golden_liquid.json").read_text())["tests"]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
PASSES = 905
DIFFERS = {
    "what is not there cannot be written": 105,
    "templates are one file: there is no include or render": 34,
    "a line of a message ends with \\n": 6,
    "only what is empty, or nil, is blank": 2,
    "python-liquid takes it, other Liquids do not": 2,
}
BLANK = {"blank and empty, false is equal to blank", "blank and empty, undefined is equal to blank"}
TAKEN = {"tags, case, unexpected when token, strict2", "tags, comment, incomplete tags are not parsed"}


def outcome(case: dict[str, Any]) -> str | LiquidError:
    try:
        return environment(html=False).from_string(case["template"]).render({"now": NOW, **case.get("data", {})})
    except LiquidError as error:
        return error


def passes(case: dict[str, Any], made: str | LiquidError) -> bool:
    if case.get("invalid"):
        return isinstance(made, LiquidError)
    return made in case.get("results", [case.get("result")])


def why_not(case: dict[str, Any], made: str | LiquidError) -> str:
    """The reason why the case differs; a name of its own where nobody has given one."""
    if {"include tag", "render tag"} & set(case.get("tags", ())):
        return "templates are one file: there is no include or render"
    if isinstance(made, UndefinedError):
        return "what is not there cannot be written"
    if (
        isinstance(made, str)
        and "\r" in case["template"]
        and made == case["result"].replace("\r\n", "\n").replace("\r", "\n")
    ):
        return "a line of a message ends with \\n"
    if case["name"] in BLANK:
        return "only what is empty, or nil, is blank"
    return "python-liquid takes it, other Liquids do not" if case["name"] in TAKEN else case["name"]


def test_every_case_passes_or_differs_for_a_reason_that_is_known() -> None:
    """As many cases as the documentation says pass, and every other one differs for one of a few reasons."""
    made = [(case, outcome(case)) for case in CASES]
    differs = Counter(why_not(case, each) for case, each in made if not passes(case, each))
    assert differs == DIFFERS
    assert len(CASES) - differs.total() == PASSES


@pytest.mark.parametrize("html", [False, True])
def test_no_case_ends_in_another_way_than_in_liquid(html: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Whatever a case does, it has a result or an error of Liquid, in text and in HTML."""
    for case in CASES:
        try:
            made = environment(html=html).from_string(case["template"]).render({"now": NOW, **case.get("data", {})})
        except LiquidError:
            continue
        assert isinstance(made, str)
