"""What an accident leaves behind is found and put right."""

import os
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from models.delivery import Delivery, Outcome, Outcomes
from models.settings import Settings
from models.sync import Op
from orchestration import dagster_doctor, doctor, upkeep
from sinks.claims import Request
from sinks.journal import Journal
from sinks.writer import Writer
from warehouse.lock import hold

MONTHS_AGO = time.time() - 90 * 86_400


def delivery(run_id: str) -> Delivery:
    now = datetime.now(UTC)
    return Delivery(run_id, "plan", "crm/seg_new", 1, 1, f"{run_id}.parquet", now, now)


def spool(settings: Settings, name: str, *, old: bool = True) -> Path:
    settings.spool.mkdir(parents=True, exist_ok=True)
    path = settings.spool / f"{name}.parquet"
    path.write_bytes(b"rows")
    if old:
        os.utime(path, (MONTHS_AGO, MONTHS_AGO))
    return path


def gone() -> int:
    """The id of a process that has ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_spools_go_with_the_receipts_they_are_about(home: Settings) -> None:
    """A spool stays while its run is open or the journal keeps its receipts, and no less than these are kept."""
    open_run, kept, unknown, recent = (spool(home, f"plan-{number}", old=number < 4) for number in range(1, 5))
    with Journal(home.journal) as journal, closing(Writer(journal)) as writer:
        for number in (1, 2):
            journal.open_delivery(delivery(f"plan-{number}"))
        now = datetime.now(UTC)
        claim = writer.claim(Request(delivery("plan-2"), Op.UPSERT, ((0, 1),), 1, now)).claim
        assert claim
        writer.receive(claim, Outcomes.all(Outcome.ACCEPTED), now)
        journal.close_delivery("plan-2", now)
    found = upkeep.tidy(home, now)
    assert [one.what.split(":")[0] for one in found] == ["plan-3.parquet"]
    assert [path.exists() for path in (open_run, kept, unknown, recent)] == [True, True, False, True]


def test_a_spool_cut_short_goes(home: Settings) -> None:
    """What a killed run left half written under the name of a spool to be is removed once nobody writes it any more."""
    part, fresh = spool(home, ".plan-1"), spool(home, ".plan-2", old=False)
    left, writing = (path.rename(f"{path}.part") for path in (part, fresh))
    upkeep.tidy(home, datetime.now(UTC))
    assert (left.exists(), writing.exists()) == (False, True)


def test_a_held_lock_is_named_with_its_holder_and_left_alone(home: Settings) -> None:
    """A lock that is held has a living holder: doctor says who, and takes nothing away from it."""
    lock = home.root / "warehouse.lock"
    with hold(lock):
        (found,) = doctor.examine(home)
        assert str(os.getpid()) in found.what
    assert doctor.examine(home) == []


def launched(instance: dg.DagsterInstance, pid: int) -> dg.DagsterRun:
    """A run that a process of this id said it carries out, holding the slot of a pool."""

    @dg.op(pool="warehouse")
    def build() -> None: ...

    @dg.job
    def refresh() -> None:
        build()

    run = instance.create_run_for_job(refresh, status=dg.DagsterRunStatus.STARTED)
    instance.report_engine_event("executing", run, dg._core.events.EngineEventData(metadata={"pid": str(pid)}))
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("warehouse")
    assert storage.claim_concurrency_slot("warehouse", run.run_id, "build").is_claimed
    return run


@pytest.mark.parametrize("is_dead", [True, False])
def test_a_dead_run_is_failed_and_its_slot_freed(
    instance: dg.DagsterInstance, home: Settings, *, is_dead: bool
) -> None:
    """A run whose process is gone is marked as failed and gives its pool slot back; a living one keeps both."""
    run = launched(instance, gone() if is_dead else os.getpid())
    found = list(dagster_doctor.examine(home))
    record = instance.get_run_by_id(run.run_id)
    assert record is not None
    assert (record.status is dg.DagsterRunStatus.FAILURE) is is_dead
    assert bool(found) is is_dead
    claimed = instance.event_log_storage.get_concurrency_info("warehouse").active_run_ids
    assert (run.run_id in claimed) is not is_dead


def test_a_slot_of_a_run_that_is_over_is_freed(instance: dg.DagsterInstance, home: Settings) -> None:
    """A killed run leaks its slot: nobody would build anything until it is freed."""
    run = launched(instance, os.getpid())
    instance.report_run_failed(run)
    instance.event_log_storage.claim_concurrency_slot("warehouse", run.run_id, "build")
    list(dagster_doctor.examine(home))
    assert not instance.event_log_storage.get_concurrency_info("warehouse").active_run_ids


def test_two_first_starts_at_once_make_one_good_home(tmp_path: Path) -> None:
    """Several processes that meet in a new home leave one that works."""
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    code = (
        "import sys; from pathlib import Path; from models.settings import Settings; "
        "from orchestration.dagster_home import prepare; "
        f"print(prepare(Settings(project=Path({str(tmp_path)!r}), home=Path({str(settings.home)!r}))))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    with dg.DagsterInstance.from_config(str(settings.home / "dagster")) as instance:
        assert instance.get_runs() == []
