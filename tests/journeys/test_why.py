"""`tailrace why` beside the oracle: what it tells of a person is what the oracle knows of them, person by person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets import delivery_tables
from assets.diff import mask_contacts
from assets.journeys import why
from models.journey import Account, Gate, Journey
from models.policy import Policy
from tests.journeys import harness, worlds
from tests.journeys.oracle import Consent, Event, Facts, Loaded, Oracle, Pause, Run, Tick, Version, World
from tests.sampling import sampled
from warehouse.batches import Batch

SEEDS = range(3_000, sampled(3_006, 3_002))
PEOPLE = 200
Told = tuple[object, ...]
NO = (None, None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_why_is_the_oracles_own_account(seed: int, tmp_path: Path) -> None:
    """Of every person, under all their profiles: each run, non-entry, move, decision and withdrawal, no other."""
    case = worlds.make(seed, PEOPLE)
    oracle = Oracle(case.world)
    with harness.open_world(tmp_path / "warehouse.duckdb", case.world) as warehouse:
        for tick in case.ticks:
            oracle.tick(tick)
            harness.tick(warehouse, case.world, tick)
        roots = {each: oracle_root(case.world, each) for each in everybody(case.world)}
        for root in sorted(set(roots.values())):
            people = {each for each, now in roots.items() if now == root}
            assert set(why.kin(warehouse, root, "tailrace")) == people
            lines = why.account(warehouse, people, cap_window=case.world.policy.cap_window, kept="tailrace")
            assert lines == sorted(lines, key=lambda line: (line.at, list(Account).index(line.kind)))
            assert Counter(told(lines)) == Counter(known(oracle, people)), root


def everybody(world: World) -> set[str]:
    return {fact.profile_id for fact in world.facts}


def oracle_root(world: World, profile: str) -> str:
    became = {merge.loser: merge.winner for merge in world.merges}
    while profile in became:
        profile = became[profile]
    return profile


def told(lines: list[why.Line]) -> Iterator[Told]:
    for line in lines:
        match line.kind:
            case Account.ENTERED:
                yield (line.kind.value, line.at, line.journey, line.run_id, line.node, line.decision)
            case Account.STEP | Account.DECIDED | Account.WITHDRAWN | Account.NOT_ENTERED:
                more = (line.not_before, line.expires_at)
                yield (
                    line.kind.value,
                    line.at,
                    line.journey,
                    line.run_id,
                    line.node,
                    line.decision,
                    line.reason,
                    line.ref,
                    *more,
                )
            case Account.WAITING if line.reason is None:
                yield (line.kind.value, line.at, line.run_id, line.node, line.decision)
            case _:
                pass


def known(oracle: Oracle, people: set[str]) -> Iterator[Told]:
    for run in oracle.runs:
        if run.unit in people:
            yield from of_run(run)
    for refused in oracle.non_entries:
        if refused.unit in people:
            cause = refused.cause.removeprefix("event/").removeprefix("entry/")
            yield (
                "not_entered",
                refused.logical_at,
                refused.journey,
                None,
                None,
                "refused",
                refused.reason,
                cause,
                *NO,
            )
    yield from not_data(oracle, people)
    decided = {each.send_key: each for each in oracle.decisions if each.unit in people}
    for each in oracle.decisions:
        if each.unit in people:
            row = ("decided", each.window_at, each.journey, each.run_id, each.node, each.decision, each.reason)
            yield (*row, each.send_key, each.not_before, each.expires_at)
    for gone in oracle.withdrawals:
        if last := decided.get(gone.send_key):
            row = ("withdrawn", gone.occurred_at, last.journey, last.run_id, last.node, "withdrawn", gone.reason)
            yield (*row, gone.send_key, *NO)


def of_run(run: Run) -> Iterator[Told]:
    yield ("entered", run.entered_at, run.journey, run.run_id, run.transitions[0].next_node, run.arm)
    for each in run.transitions:
        if each.hop:
            row = ("step", each.logical_at, run.journey, run.run_id, each.node, each.kind, each.ended)
            yield (*row, f"{run.run_id}/{each.hop}", *NO)
        if each.due_at:
            yield ("waiting", each.logical_at, run.run_id, each.next_node, each.due_at.isoformat())


def not_data(oracle: Oracle, people: set[str]) -> Iterator[Told]:
    """Who came into the segment of an entry while that version took people in, and not because of data."""
    for version in oracle.world.versions:
        entry, name = version.journey.entry, version.journey.journey
        if not entry.segment or entry.at or entry.every:
            continue
        later = [
            each.published_at
            for each in oracle.world.versions
            if each.journey.journey == name and each.version > version.version
        ]
        for row in oracle.world.memberships:
            counts = row.profile_id in people and row.segment == entry.segment and row.change == "entered"
            if counts and row.cause != "data" and version.published_at <= row.as_of < min(later, default=why.FOREVER):
                yield ("not_entered", row.as_of, name, None, None, "refused", "not_data", row.entry_id, None, None)


AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def small(steps: list[dict[str, Any]], **more: Any) -> Version:
    given = {"journey": "hello", "entry": {"event": "One", "reentry": "once"}, "steps": steps, **more}
    return Version(Journey.model_validate(given), 1, AT - HOUR, "salt", {"Two": ["shop", "app"]}, {"mail": "email"})


def told_of(
    path: Path, world: World, *ticks: datetime, journey: str | None = None, show_pii: bool = False
) -> list[why.Line]:
    """Everything that is told of ann after these ticks."""
    with harness.open_world(path / "warehouse.duckdb", world) as warehouse:
        for at in ticks:
            harness.tick(warehouse, world, Tick(at, at))
        people = why.kin(warehouse, "ann", "tailrace")
        window = world.policy.cap_window
        return why.account(warehouse, people, cap_window=window, journey=journey, kept="tailrace", show_pii=show_pii)


def ann(version: Version, **more: Any) -> World:
    facts = Facts("ann", "ann@example.com", None, None, {}, AT - 24 * HOUR, AT - 24 * HOUR)
    yes = Consent(
        "ann",
        "email",
        "ann@example.com",
        "marketing",
        granted=True,
        suppressed=False,
        as_of=AT - 24 * HOUR,
        known_by=AT,
    )
    event = Event("shop", "1", "ann", "One", AT, AT)
    return World(Policy(salt="s"), events=[event], facts=[facts], consents=[yes], versions=[version], **more)


def test_a_closed_gate_says_which_source_and_until_when(tmp_path: Path) -> None:
    """A wait past its time names the sources that are not loaded so far, and when it is given up."""
    version = small([{"wait_for": {"event": "Two", "timeout": "1 hour"}}])
    loaded = [Loaded("shop", AT + 2 * HOUR, AT + 2 * HOUR), Loaded("app", AT, AT)]
    (past,) = [
        line for line in told_of(tmp_path, ann(version, loaded=loaded), AT + 3 * HOUR) if line.reason == Gate.NOT_LOADED
    ]
    assert (past.at, past.kind, past.node) == (AT + HOUR, Account.WAITING, "1")
    assert past.decision == (AT + 73 * HOUR).isoformat()
    assert past.detail == f"app, loaded through {AT:%Y-%m-%d %H:%M} UTC"


def test_a_pause_that_held_a_message_is_told(tmp_path: Path) -> None:
    """A message that a pause held says which and until when; a pause of another channel is not told."""
    version = small([{"send": {"sink": "mail", "template": "hello"}}])
    pauses = [Pause("channel:email", AT - HOUR, AT + 2 * HOUR), Pause("channel:sms", AT - HOUR, None)]
    lines = told_of(tmp_path, ann(version, pauses=pauses), AT + 3 * HOUR)
    (held,) = [line for line in lines if line.kind == Account.PAUSED]
    assert (held.reason, held.decision, held.node) == ("channel:email", (AT + 2 * HOUR).isoformat(), "1")


def test_personal_data_is_masked_unless_asked_for(tmp_path: Path) -> None:
    """Consent names the contact point only with --show-pii; a journey's account has no other journey's lines."""
    version = small([{"send": {"sink": "mail", "template": "hello"}}])
    other = replace(version, journey=version.journey.model_copy(update={"journey": "other"}))
    world = replace(ann(version), versions=[version, other])
    said = []
    for number, show_pii in enumerate((False, True)):
        (folder := tmp_path / str(number)).mkdir()
        lines = told_of(folder, world, AT + HOUR, journey="hello", show_pii=show_pii)
        said.append(next(line.detail for line in lines if line.kind == Account.CONSENT))
        assert {line.journey for line in lines} == {None, "hello"}
    assert said == ["marketing by email to a***@e***", "marketing by email to ann@example.com"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 no such mailbox: jane.doe@private.example", "550 no such mailbox: j***@p***"),
        ("<mailto:jane@private.example> said no", "<mailto:j***@p***> said no"),
        ("+49 170 1234567 is no mobile", "+*** is no mobile"),
        ("0170/1234567 or 491701234567", "0*** or 4***"),
        ("555-123-4567, (555) 123-4567 or 1 555 123 4567", "5***, (*** or 1***"),
        ('"Ann Smith"@shop.example, ann%40shop.example', '"***@s***, a***'),
        (
            "app, loaded through 2026-03-02T09:00:00.123456+00:00",
            "app, loaded through 2026-03-02T09:00:00.123456+00:00",
        ),
        (
            "cart-10000000001 of 2026-03-02 09:00, 429 after 1000000",
            "cart-10000000001 of 2026-03-02 09:00, 429 after 1000000",
        ),
    ],
)
def test_addresses_and_numbers_in_a_text_are_masked(text: str, shown: str) -> None:
    """Who reads a text cannot use what is in it of a person; moments and short ids stay."""
    assert mask_contacts(text) == shown


def test_a_key_and_an_answer_that_name_the_person_are_masked(tmp_path: Path) -> None:
    """A run known by an address, and a vendor's words about it, show it only with --show-pii."""
    version = small(
        [{"send": {"sink": "mail", "template": "hello"}}], entry={"event": "One", "key": "email", "reentry": "per_key"}
    )
    world = ann(version)
    world = replace(
        world, events=[replace(world.events[0], event_id="to-ann@example.com", properties={"email": "ann@example.com"})]
    )
    said = {}
    for show_pii in (False, True):
        (folder := tmp_path / str(show_pii)).mkdir()
        with harness.open_world(folder / "warehouse.duckdb", world) as warehouse:
            delivery_tables.prepare(warehouse)
            harness.tick(warehouse, world, Tick(AT + HOUR, AT + HOUR))
            key = warehouse.rows("select send_key from tailrace.message_outbox")[0]["send_key"]
            row = {"sync": "mail/message_outbox/hello", "run_id": "r1", "key": key, "outcome": "rejected",
                   "reason": "550 ann@example.com", "attempt": 1, "as_of": AT + HOUR}  # fmt: skip
            batch = Batch(warehouse, "fold/test/1")
            batch.append("tailrace.deliveries", pa.Table.from_pylist([row]))
            batch.commit(AT + HOUR)
            lines = why.account(warehouse, ["ann"], cap_window=HOUR, kept="tailrace", show_pii=show_pii)
        said[show_pii] = [text for line in lines if line.kind == Account.ENTERED for text in (line.detail, line.ref)]
        said[show_pii] += [line.reason for line in lines if line.kind in (Account.DELIVERED, Account.CONSENT)]
    assert said == {
        False: ["a***@e***", "shop/t***@e***", None, "550 a***@e***"],
        True: ["ann@example.com", "shop/to-ann@example.com", None, "550 ann@example.com"],
    }


def test_what_vendors_said_is_told(tmp_path: Path) -> None:
    """Every attempt at a message has its outcome and the vendor's words, and names the run that made it."""
    version, answers = small([{"send": {"sink": "mail", "template": "hello"}}]), ("retry", "rejected")
    with harness.open_world(tmp_path / "warehouse.duckdb", ann(version)) as warehouse:
        delivery_tables.prepare(warehouse)
        harness.tick(warehouse, ann(version), Tick(AT + HOUR, AT + HOUR))
        key = warehouse.rows("select send_key from tailrace.message_outbox")[0]["send_key"]
        rows = [
            {"sync": "mail/message_outbox/hello", "run_id": f"r{number}", "key": key, "outcome": outcome,
             "reason": "no such address", "attempt": number, "as_of": AT + HOUR}
            for number, outcome in enumerate(answers, 1)
        ]  # fmt: skip
        batch = Batch(warehouse, "fold/test/1")
        batch.append("tailrace.deliveries", pa.Table.from_pylist(rows))
        batch.commit(AT + HOUR)
        lines = why.account(warehouse, ["ann"], cap_window=HOUR, kept="tailrace")
    delivered = [line for line in lines if line.kind == Account.DELIVERED]
    assert [(line.decision, line.reason, line.ref) for line in delivered] == [
        ("retry", "no such address", "r1"),
        ("rejected", "no such address", "r2"),
    ]
    assert {(line.journey, line.node) for line in delivered} == {("hello", "1")}
