"""Seeded faults against the real command line, counted at the receiver.

`make faults` runs 300 seeds; TAILRACE_FAULTS=60 takes that many.
One case again: pytest -m faults tests/faults -k seed17-
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from tests.faults.cases import KINDS, STRUCK, SYNC_STEPS, Case, case
from tests.faults.world import HOLDERS, MESSAGE, MIRROR, World, build, email, entries, moment
from tests.ran import Ran

pytestmark = pytest.mark.faults
COUNT = int(os.environ.get("TAILRACE_FAULTS", "300"))
STRIDE = 5  # a sample takes every fifth seed from the start: coprime to the kinds, so it has them all
SEEDS = range(COUNT) if COUNT >= 300 else [seed * STRIDE for seed in range(COUNT)]
TODAY = 2
CONVERGED_AFTER = 4  # runs; removes are tried again daily, everything else at once


@dataclass(frozen=True)
class Template:
    """What every case begins from, and how often each step comes where nothing strikes."""

    landed: World  # day 1 delivered, day 2 landed
    refreshed: World  # … and refreshed
    counts: dict[str, dict[str, int]]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("template")
    landed = build(folder / "landed")
    landed.start_recorder()
    landed.land(1)
    done(landed.tailrace("refresh", "--as-of", moment(1)))
    done(landed.tailrace("sync", "--as-of", moment(1)))
    check(landed, 1)
    landed.stop_recorder()
    landed.land(2)
    refreshed = copy(landed, folder / "refreshed")
    done(refreshed.tailrace("refresh", "--as-of", moment(TODAY), fault=("never", 1, "count")))
    trial = copy(refreshed, folder / "trial")
    trial.start_recorder()
    done(trial.tailrace("sync", "--as-of", moment(TODAY), fault=("never", 1, "count")))
    check(trial, TODAY)
    trial.stop_recorder()
    return Template(landed, refreshed, {"refresh": refreshed.counted(), "sync": trial.counted()})


@contextmanager
def working_copy(template: Template, fault: Case, folder: Path) -> Iterator[World]:
    """A copy of the template that suits the case, with a recorder of its own."""
    world = copy(template.refreshed if fault.command == "sync" else template.landed, folder / "world")
    world.start_recorder()
    try:
        yield world
    finally:
        world.stop_recorder()
        if world.home.is_mount():
            subprocess.run(["umount", world.home], check=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("fault", [case(seed) for seed in SEEDS], ids=str)
def test_nothing_is_lost_and_nothing_is_doubled(
    fault: Case, template: Template, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Whatever strikes whenever: no row lost, none doubled, every doubt listed, and the next runs converge."""
    did = [rule["do"] for rule in fault.behaviour.get("rules", [])]
    record_property(STRUCK, [fault.kind, fault.step, did])
    with working_copy(template, fault, tmp_path) as world:
        strike(world, fault, template.counts)
        recover(world, fault.command)
        check(world, TODAY)


@pytest.mark.parametrize(
    ("bug", "fault"),
    [
        ("claim after send", Case(-1, "kill", "sync", "answered", 0.9, "kill")),
        (
            "receipt before answer",
            Case(-2, "vendor", "sync", "never", 0, "kill", {"rules": [{"do": "cut", "at": [2]}]}),
        ),
        ("unknown forgotten", Case(-3, "kill", "sync", "claimed", 0.9, "kill")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_planted_bug_is_caught(bug: str, fault: Case, template: Template, tmp_path: Path) -> None:
    """The checks above have teeth: with the bug planted, the same fault makes them fail."""
    with working_copy(template, fault, tmp_path) as world:
        strike(world, fault, template.counts, bug=bug)
        recover(world, fault.command, bug=bug)
        with pytest.raises(AssertionError, match=r"mirror|doubled|lost"):
            check(world, TODAY)


def test_any_sample_has_every_kind_and_step() -> None:
    """A sample of 60 seeds strikes with every kind of fault, and kills at every durable step of a sync."""
    sample = [case(seed * STRIDE) for seed in range(60)]
    assert {each.kind for each in sample} == set(KINDS)
    assert {each.step for each in sample if each.action == "kill"} >= set(SYNC_STEPS)


def strike(world: World, fault: Case, counts: dict[str, dict[str, int]], bug: str | None = None) -> None:
    """Let the fault strike."""
    before = world.folder / "yesterday.duckdb"
    if fault.afterwards == "yesterday":
        shutil.copy(world.root / "warehouse.duckdb", before)
    world.behave(fault.behaviour)
    if fault.action == "fill":
        confine(world)
    often = counts[fault.command].get(fault.step, 0)
    nth = 1 + int(fault.where * often)
    ran = world.tailrace(fault.command, "--as-of", moment(TODAY), fault=(fault.step, nth, fault.action), bug=bug)
    print(f"{fault}: struck at {fault.step} {nth} of {often}; exit {ran.code}")  # noqa: T201 - the suite's account
    assert bug or "Traceback" not in ran.err, ran.err
    if fault.step != "never" and fault.action == "kill" and not fault.behaviour and bug is None:
        assert ran.code == -9, f"the step did not come: {ran.code} {ran.err}"
    if fault.action == "fill":
        release(world)
    if fault.afterwards == "journal":
        for file in world.root.glob("journal.sqlite*"):
            file.unlink()
    elif fault.afterwards == "yesterday":
        shutil.copy(before, world.root / "warehouse.duckdb")
        (world.root / "warehouse.duckdb.wal").unlink(missing_ok=True)


def recover(world: World, command: str, bug: str | None = None, day: int = TODAY) -> None:
    """A good vendor again, and what an operator would do: run it again, until it has nothing more to say."""
    world.behave({})
    if command == "refresh":
        done(world.tailrace("refresh", "--as-of", moment(day), bug=bug))
    for _ in range(CONVERGED_AFTER):
        ran = world.tailrace("sync", "--as-of", moment(day), "--json", bug=bug)
        assert ran.code in (0, 1), f"{ran.code}\n{ran.out}\n{ran.err}"
        assert bug or "Traceback" not in ran.err, ran.err
        assert isinstance(ran.json, list), ran.out
        if not any(run["upsert"] + run["remove"] + run["send"] for run in ran.json):
            return
    pytest.fail(f"it does not converge: {ran.out}")


def check(world: World, day: int) -> None:
    """Count at the receiver and compare with what HOLDERS says must be there."""
    rejected = world.listed("rejects", MIRROR)
    held = {address: (row["orders"], Decimal(str(row["revenue"]))) for address, row in world.audience().items()}
    expected = {email(person): worth(person, day) for person in HOLDERS[day]}
    differing = {who for who in held.keys() | expected.keys() if held.get(who) != expected.get(who)}
    assert not differing - rejected.keys(), f"mirror: {sorted(differing)[:5]}"

    sends, due = world.sends(), entries(day)
    doubled = {who: count for who, count in sends.items() if count > due[who]}
    assert not doubled, f"doubled: {doubled}"
    listed = world.listed("unknowns", MESSAGE) + world.listed("rejects", MESSAGE)
    lost = {who: count for who, count in due.items() if sends[who] + listed[who] < count}
    assert not lost, f"lost: {lost}"


def worth(person: int, day: int) -> tuple[int, Decimal]:
    """Orders and revenue of a person at the end of `day`."""
    orders = sum(person in HOLDERS[each] for each in range(1, day + 1))
    return orders, orders * Decimal(f"{person}.50")


def copy(world: World, folder: Path) -> World:
    shutil.copytree(world.folder, folder, symlinks=True)
    return World(folder)


def done(ran: Ran) -> None:
    assert ran.code == 0, f"{ran.out}\n{ran.err}"


def confine(world: World) -> None:
    """Move the world's home onto a small file system of its own, with little more room than it takes."""
    if os.geteuid() != 0:
        pytest.skip("a small tmpfs needs root")
    aside = world.folder / "aside"
    world.home.rename(aside)
    world.home.mkdir()
    size = sum(file.stat().st_size for file in aside.rglob("*") if file.is_file()) + (40 << 20)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", world.home], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    shutil.copytree(aside, world.home, dirs_exist_ok=True, symlinks=True)


def release(world: World) -> None:
    """Room again: the home goes back to the large file system as the fault left it."""
    (world.home / "ballast").unlink(missing_ok=True)
    kept = world.folder / "kept"
    shutil.copytree(world.home, kept, symlinks=True)
    subprocess.run(["umount", world.home], check=True)
    world.home.rmdir()
    kept.rename(world.home)
