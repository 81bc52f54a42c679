"""Somebody follows docs/adding-a-journey.md: its files and commands are taken out of the page and do what it says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.test_newcomer import Person, listening
from tests.nights import ROOT, project

pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]

PAGE = (ROOT / "docs" / "adding-a-journey.md").read_text()
FILE = re.compile(r"```(?:yaml|markdown)\n(?:# |<!-- )(dbt_project/\S+)[^\n]*\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
ELSEWHERE = ("export ", "tailrace recorder")  # what the fixtures do
ASKING = {"journeys", "why", "backtest"}


class Follower(Person):
    """Who types what the page says, and remembers what was answered."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.said: dict[str, tuple[int, str]] = {}

    def follows(self, line: str) -> None:
        self.said[line] = self.types(*shlex.split(line)[1:])

    def rows(self, query: str) -> list[dict[str, Any]]:
        code, said = self.types("sql", query, "--json")
        assert code == 0, said
        return json.loads(said.strip().splitlines()[-1])


def commands(*, asking: bool) -> list[str]:
    lines = [line for block in BLOCK.findall(PAGE) for line in block.splitlines() if not line.startswith(ELSEWHERE)]
    return [line for line in lines if (line.split()[1] in ASKING) == asking]


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The shipped vendor, in the other terminal."""
    with listening(tmp_path_factory.mktemp("vendor")) as url:
        yield url


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory, recorder: str) -> Follower:
    """The page, done from its first line to where it asks about the journey."""
    settings = project(tmp_path_factory.mktemp("tutorial"))
    follower = Follower(settings, recorder)
    made, *rest = commands(asking=False)
    follower.follows(made)
    for path, text in FILE.findall(PAGE):
        (settings.project / path).write_text(text)
    for line in rest:
        follower.follows(line)
    return follower


def test_every_command_of_the_page_does_what_it_should(follower: Follower) -> None:
    """Both files are taken out of the page, and no command of it is refused."""
    assert [path for path, _ in FILE.findall(PAGE)] == [
        "dbt_project/journeys/first_order.yml",
        "dbt_project/templates/first_order.txt",
    ]
    assert {line: said for line, (code, said) in follower.said.items() if code} == {}
    assert "published as version 1" in follower.said[next(line for line in follower.said if " publish " in line)][1]


def test_people_enter_and_wait_an_hour(follower: Follower) -> None:
    """Members enter when it is published, those who unsubscribed are out at once, the others' hour ends at nine."""
    moved = follower.rows(
        "select kind, strftime(logical_at at time zone 'UTC', '%H:%M') as at, count(*) as times "
        "from journey_transition where journey = 'first_order' group by all"
    )
    found = {(row["kind"], row["at"]): row["times"] for row in moved}
    assert found["entered", "08:00"] > found["waited", "09:00"] > 0
    assert found["sent", "09:00"] == found["waited", "09:00"]
    assert {kind for kind, _ in found} == {"entered", "exited", "waited", "sent"}


def test_messages_are_admitted_refused_and_received(follower: Follower, recorder: str) -> None:
    """Some are refused for the reasons the page names; the recorder received most of those admitted, each once."""
    decided = follower.rows(
        "select coalesce(reason, decision) as what, count(*) as messages from message_outbox "
        "where journey = 'first_order' group by 1"
    )
    counts = {row["what"]: row["messages"] for row in decided}
    assert counts.keys() == {"admitted", "no_consent", "capped", "holdout", "global_holdout"}
    received = [json.loads(line) for line in httpx.get(f"{recorder}/_received").text.splitlines()]
    mine = [row["identity"] for row in received if row["sync"] == "mail/message_outbox/first_order"]
    assert counts["admitted"] / 2 < len(set(mine)) == len(mine) < counts["admitted"]


@pytest.mark.parametrize("line", commands(asking=True))
def test_what_the_page_asks_is_answered(follower: Follower, line: str) -> None:
    """Each command that asks about the journey answers, and names it."""
    follower.follows(line)
    code, said = follower.said[line]
    assert code == 0, said
    assert "first_order" in said
