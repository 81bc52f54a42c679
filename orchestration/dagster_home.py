"""Dagster's own folder, `TAILRACE_HOME/dagster`: written by us, so that every instance behaves the same."""

from __future__ import annotations

from pathlib import Path

from models.settings import Settings
from warehouse.lock import hold

DAGSTER_YAML = """\
# Written by Tailrace at every start; a change here is lost.
telemetry: {enabled: false}
nux: {enabled: false}
# a pool without a limit limits nothing; a few runs at once, the rest waits in the queue
concurrency: {pools: {default_limit: 1, granularity: op}, runs: {max_concurrent_runs: 4}}
# a killed run is found dead and its pool slots come back
run_monitoring: {enabled: true, free_slots_after_run_end_seconds: 60}
"""


def prepare(settings: Settings) -> Path:
    """Make DAGSTER_HOME ready and say where it is.

    Two first-ever processes in a new home break it for good, so one creates the instance's tables under a lock.
    """
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    with hold(home / "prepare.lock", wait_seconds=120, what="Dagster's home"):
        path = home / "dagster.yaml"
        if not path.exists() or path.read_text() != DAGSTER_YAML:
            fresh = path.with_suffix(".new")
            fresh.write_text(DAGSTER_YAML)
            fresh.replace(path)
        if not (home / "schedules" / "schedules.db").exists():
            _initialise(home)
    return home


def _initialise(home: Path) -> None:
    from dagster import DagsterInstance  # noqa: PLC0415 - a second start must not wait for Dagster

    with DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs(limit=1)
