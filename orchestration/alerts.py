"""Tells a person when something breaks, and when it works again: one POST to TAILRACE_ALERT_URL a change of state.

Names and ids only: an error's text may hold personal data, and the Dagster UI has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import dagster as dg
import httpx

from models.settings import Settings

State = Mapping[str, str]  # what is watched → "ok" or "failed"
OK, FAILED = "ok", "failed"
TIMEOUT_SECONDS = 10


def sensor(settings: Settings, jobs: Iterable[str]) -> dg.SensorDefinition:
    """Watches the last finished run of each job and the last result of each check."""
    names = tuple(jobs)

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts to TAILRACE_ALERT_URL when a job or a check breaks, and when it works again.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if settings.alert_url is None:
            return dg.SkipReason("TAILRACE_ALERT_URL is not set")
        graph = context.repository_def.asset_graph if context.repository_def else None
        checks = graph.asset_check_keys if graph else ()
        before = json.loads(context.cursor or "{}")
        now = {**job_states(context.instance, names), **check_states(context.instance, checks)}
        told, not_told = tell(settings.alert_url, changes(before, now))
        kept = {name: before.get(name, OK) for name in not_told}
        context.update_cursor(json.dumps({**before, **now, **kept}))
        if not_told:
            return dg.SkipReason(f"nobody took, told again next time: {', '.join(not_told)}")
        return dg.SkipReason(f"told: {', '.join(told)}" if told else "nothing changed")

    return alerts


def job_states(instance: dg.DagsterInstance, jobs: Iterable[str]) -> dict[str, str]:
    """How the last finished run of each job ended."""
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    states: dict[str, str] = {}
    for job in jobs:
        for run in instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=finished), limit=1):
            states[f"job {job}"] = OK if run.status is dg.DagsterRunStatus.SUCCESS else FAILED
    return states


def check_states(instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]) -> dict[str, str]:
    """What each check said last; a warning is not an alarm."""
    states: dict[str, str] = {}
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    for key, record in latest.items():
        evaluation = record.evaluation
        if isinstance(evaluation, dg.AssetCheckEvaluation):  # else only planned: its step broke, or runs
            failed = not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
            states[f"check {key.asset_key.to_user_string()} {key.name}"] = FAILED if failed else OK
    return states


def changes(before: State, now: State) -> list[tuple[str, str]]:
    """What is in another state than before; what was never seen counts as ok."""
    return [(name, state) for name, state in now.items() if before.get(name, OK) != state]


def tell(url: str, changed: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """POST each change: the names that were taken, and those that were not and have to be told again."""
    told: list[str] = []
    not_told: list[str] = []
    with httpx.Client(timeout=TIMEOUT_SECONDS) as client:
        for name, state in changed:
            body = {"what": name, "state": state, "at": datetime.now(UTC).isoformat()}
            try:
                client.post(url, json=body).raise_for_status()
            except httpx.HTTPError:
                not_told.append(name)
            else:
                told.append(name)
    return told, not_told
