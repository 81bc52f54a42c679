"""Looking at journeys: counts a step that equal the mart's and the oracle's, and the commands on a small shop."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from jinja2 import Template

from assets import delivery_tables, store
from assets.journeys import funnel
from models.clock import Clock
from models.settings import Settings
from orchestration import cli, environment, journeys
from tests.journeys import harness, worlds
from tests.journeys.oracle import Decision, Oracle, Run
from tests.nights import ROOT, day, land, lines, night, project, run
from tests.sampling import sampled
from warehouse.base import Warehouse
from warehouse.batches import Batch

MART = ROOT / "dbt_project" / "models" / "marts" / "journey_funnel.sql"
HELLO = """
journey: hello
entry: {event: Page Viewed, reentry: once}
goal: {event: Order Completed, within: 14 days}
steps:
  - send: {sink: mail, template: welcome}
  - wait: 1 day
  - branch:
      segment: seg_high_value
      then: exit
      else:
        - wait: 2 days
        - exit: late
"""
pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]


@pytest.mark.parametrize("seed", range(5_000, sampled(5_004, 5_002)))
def test_a_funnel_is_the_marts_and_the_oracles(seed: int, tmp_path: Path) -> None:
    """At every step of every version: who came, is there, was sent to and converted, counted in three ways."""
    case = worlds.make(seed, 100)
    oracle = Oracle(case.world)
    mart = Template(MART.read_text()).render(source=lambda _, name: f"tailrace.{name}")
    with harness.open_world(tmp_path / "warehouse.duckdb", case.world) as warehouse:
        delivery_tables.prepare(warehouse)
        for tick in case.ticks:
            oracle.tick(tick)
            harness.tick(warehouse, case.world, tick)
        answered = answers(oracle)
        deliver(warehouse, answered)
        rows = warehouse.rows(mart)
        kept = ("entered", "waiting", "left", "sent", "converted")
        built = {(row["journey"], row["version"], row["node"]): tuple(row[name] for name in kept) for row in rows}
        every = funnel.counts(warehouse, "tailrace")
        counted = {place: tuple(counts[key] for key in kept) for place, counts in every.items()}
        one_by_one = {
            place: counts
            for version in case.world.versions
            for place, counts in funnel.counts(warehouse, "tailrace", version.journey.journey).items()
        }
        refused = Counter({place: counts["refused"] for place, counts in every.items()})
    assert len(built) == len(rows)
    assert one_by_one == every
    assert counted == built == by_oracle(oracle, {key for key, outcome in answered.items() if outcome == "accepted"})
    assert sum(refused.values()) == sum(last.decision == "refused" for last in decided(oracle)) + len(
        {each.send_key for each in oracle.withdrawals} - answered.keys()
    )


def decided(oracle: Oracle) -> list[Decision]:
    """Every message by its last decision."""
    return list({each.send_key: each for each in oracle.decisions}.values())


def answers(oracle: Oracle) -> dict[str, str]:
    """What a vendor said of the messages that were admitted: half of them it took, some it refused, some never went."""
    said = itertools.cycle(("accepted", "rejected", "accepted", None))
    gone = {each.send_key for each in oracle.withdrawals}
    admitted = [each.send_key for each in decided(oracle) if each.decision == "admitted" and each.send_key not in gone]
    return {key: outcome for key, outcome in zip(sorted(admitted), said, strict=False) if outcome}


def deliver(warehouse: Warehouse, answered: Mapping[str, str]) -> None:
    """Deliveries that say so, each accepted one after an attempt that was to be repeated; and one of another sync."""
    rows = [
        {"sync": "mail/message_outbox/any", "key": key, "outcome": outcome}
        for key, last in answered.items()
        for outcome in (("retry", last) if last == "accepted" else (last,))
    ]
    rows += [{"sync": "crm/seg_new", "key": key, "outcome": "accepted"} for key in answered]
    batch = Batch(warehouse, "answers")
    batch.append("tailrace.deliveries", pa.Table.from_pylist(rows))
    batch.commit(datetime.now(UTC))


def by_oracle(oracle: Oracle, accepted: Collection[str]) -> dict[tuple[str, int, str], tuple[int, ...]]:
    came: dict[tuple[str, int, str], list[Run]] = {}
    for each in oracle.runs:
        for version, node in {(move.version, move.next_node) for move in each.transitions if move.next_node}:
            came.setdefault((each.journey, version, str(node)), []).append(each)
    versions = {(each.run_id, move.hop): move.version for each in oracle.runs for move in each.transitions}
    sent = Counter(
        (each.journey, versions[each.run_id, each.hop], each.node)
        for each in decided(oracle)
        if each.send_key in accepted
    )
    return {place: (*_people(place, runs), sent[place], sum(map(_converted, runs))) for place, runs in came.items()}


def _people(place: tuple[str, int, str], runs: list[Run]) -> tuple[int, int, int]:
    here = sum((each.last.version, each.last.next_node) == place[1:] and not each.is_over for each in runs)
    return len(runs), here, len(runs) - here


def _converted(each: Run) -> bool:
    return any(move.ended == "goal" for move in each.transitions)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A shop of a few nights whose journey was published before the second, and one that nobody published."""
    settings = project(tmp_path_factory.mktemp("shop"))
    folder = settings.dbt_project / "journeys"
    for file in folder.glob("*.yml"):
        file.unlink()
    (folder / "hello.yml").write_text(HELLO)
    (folder / "idle.yml").write_text(HELLO.replace("journey: hello", "journey: idle"))
    for number, landed in lines(4, seed=5, people=30).items():
        land(settings, f"shop/{number}.ndjson", landed)
        run(settings, number)
        if number == 1:
            journeys.publish(
                settings, "hello", Clock.at(night(1).as_of.replace(microsecond=0).astimezone(UTC) + worlds.HOUR)
            )
    journeys.tick(settings, Clock.at(night(4).as_of + worlds.HOUR), lambda *_: None)
    run(settings, 6)
    return settings


@pytest.fixture
def tailrace(shop: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command line on the shop, and read what it printed: JSON where it asked for that."""
    for name, value in environment.child(shop).items():
        monkeypatch.setenv(name, value)

    def ran(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert cli.run(list(arguments)) == code
        said = capsys.readouterr()
        return json.loads(said.out) if "--json" in arguments and code == 0 else said.out + said.err

    return ran


def test_the_mart_is_what_the_command_says(shop: Settings, tailrace: Callable[..., Any]) -> None:
    """Every row of journey_funnel equals the step of `tailrace journeys NAME`, and steps without a row have zeros."""
    drawn = tailrace("journeys", "hello", "--json")
    with store.reading(shop) as copy:
        rows = {row["node"]: row for row in copy.rows("select * from journey_funnel where journey = 'hello'")}
    steps = list(_flat(drawn["steps"]))
    assert {step["node"] for step in steps} >= rows.keys()
    assert len(rows) > 2
    for step in steps:
        for key in ("entered", "waiting", "left", "sent", "converted"):
            assert step[key] == (rows[step["node"]][key] if step["node"] in rows else 0)
    (summary,) = [each for each in tailrace("journeys", "--json") if each["journey"] == "hello"]
    assert summary["entered"] == steps[0]["entered"] > 0
    assert summary["now"] == sum(step["waiting"] for step in steps)
    assert "here" in tailrace("journeys", "hello")


def _flat(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    inner = [way for step in steps for way in step["ways"].values() if isinstance(way, list)]
    return [*steps, *(step for way in inner for step in _flat(way))]


def test_what_is_not_published_is_drawn_without_numbers(shop: Settings, tailrace: Callable[..., Any]) -> None:
    """A journey that nobody published is drawn and says so; one whose file was changed since says that."""
    drawn = tailrace("journeys", "idle", "--json")
    assert (drawn["published"], drawn["version"], drawn["entered"]) == (False, None, None)
    assert "entered" not in drawn["steps"][0]
    assert "idle is not published" in tailrace("journeys", "idle")
    assert "no journey 'nobody'" in tailrace("journeys", "nobody", code=2)
    file = shop.dbt_project / "journeys" / "hello.yml"
    written = file.read_text()
    file.write_text(written.replace("2 days", "3 days"))
    try:
        assert tailrace("journeys", "hello", "--json")["differs"]
        assert "the working copy says something else" in tailrace("journeys", "hello")
    finally:
        file.write_text(written)


def test_a_person_is_found_however_they_are_written(shop: Settings, tailrace: Callable[..., Any]) -> None:
    """By e-mail, phone and profile id the account is the same, the heading is masked, and nobody is an error."""
    with store.reading(shop) as copy:
        found = copy.rows(
            "select email.identifier as email, phone.identifier as phone, written.written, email.profile_id, "
            "'00' || substr(phone.identifier, 2) as dialled, upper(person.identifier) as shouted "
            "from profile_map as email inner join profile_map as person "
            "on email.profile_id = person.profile_id and person.identifier_type = 'user_id' "
            "inner join profile_map as phone on email.profile_id = phone.profile_id "
            "inner join phone as written on written.identifier = phone.identifier "
            "inner join journey_run as run on run.unit_id = email.profile_id "
            "where email.identifier_type = 'email' and phone.identifier_type = 'phone' limit 1"
        )[0]
    accounts = [tailrace("why", each, "hello", "--json") for each in (*found.values(), f" {found['email'].upper()} ")]
    assert accounts[0]
    assert all(each == accounts[0] for each in accounts)
    assert {line["kind"] for line in accounts[0]} >= {"entered", "step", "decided"}
    wanted = ["at", "kind", "journey", "run_id", "node", "decision", "reason", "ref"]
    assert all(list(line) == wanted for line in accounts[0])
    said = tailrace("why", found["email"])
    assert found["email"] not in said
    assert found["email"] in tailrace("why", found["email"], "--show-pii")
    assert "nobody is known as 'x***@y***'; looked for it as" in tailrace("why", "x@y.example", code=2)
    assert "x@y.example" not in tailrace("why", "x@y.example", "--json", code=2)
    assert "nobody is known as 'x@y.example'" in tailrace("why", "x@y.example", "--show-pii", code=2)
    assert "no journey 'hallo' is published" in tailrace("why", found["email"], "hallo", code=2)


def test_a_backtest_writes_nothing(shop: Settings, tailrace: Callable[..., Any]) -> None:
    """A backtest runs the working copy beside the published version, and leaves every file of the target as it was."""

    def files() -> dict[str, str]:
        found = [each for each in shop.root.rglob("*") if each.is_file() and shop.dbt_target not in each.parents]
        kept = [each for each in found if each.name != "profiles.yml"]
        return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in kept}

    before = files()
    done = tailrace("backtest", "hello", "--from", str(day(2)), "--to", str(day(4)), "--json")
    assert files() == before
    published = done.pop("published")
    assert list(published) == ["entered", "exited", "sent", "refused", "goals"]
    assert published == done
    assert done["entered"] > 0
    assert "is not published" in tailrace("backtest", "idle", "--from", str(day(2)), "--to", str(day(4)))
    assert tailrace("backtest", "idle", "--from", str(day(2)), "--to", str(day(4)), "--json")["published"] is None
    assert "nothing is known of" in tailrace("backtest", "hello", "--from", "2025-01-01", "--to", "2025-01-02", code=2)
