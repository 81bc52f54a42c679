"""Finds Dagster's runs whose process is gone and pool slots that nobody uses, and frees them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dagster as dg

from models.settings import Settings
from orchestration import dagster_home
from orchestration.upkeep import Found

STARTED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
OVER = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
PID = "pid"  # metadata of the event with which a run's process introduces itself


def examine(settings: Settings) -> Iterator[Found]:
    """Report dead runs as failed, then free slots of runs that are over."""
    with dg.DagsterInstance.from_config(str(dagster_home.prepare(settings))) as instance:
        for run in instance.get_runs(filters=dg.RunsFilter(statuses=STARTED)):
            pid = process_of(instance, run.run_id)
            if pid is not None and not is_alive(pid):
                instance.report_run_failed(run, f"its process {pid} is gone")
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
                yield Found(f"run {run.run_id[:8]} of {run.job_name}: its process {pid} is gone", "marked as failed")
        yield from _slots(instance)


def process_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """The process that carries the run out, as it said itself; the last one, after a retry."""
    found = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        data = event.engine_event_data if event else None
        value = data.metadata.get(PID) if data else None
        found = int(str(value.value)) if value is not None else found
    return found


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _slots(instance: dg.DagsterInstance) -> Iterator[Found]:
    storage = instance.event_log_storage
    for pool in sorted(storage.get_concurrency_keys()):
        for run_id in storage.get_concurrency_info(pool).active_run_ids:
            run = instance.get_run_by_id(run_id)
            if run is None or run.status in OVER:
                storage.free_concurrency_slots_for_run(run_id)
                yield Found(f"pool {pool}: its slot was held by run {run_id[:8]}, which is over", "freed")
