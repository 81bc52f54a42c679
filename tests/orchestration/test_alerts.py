"""Alerts: one POST a change of state, by a real instance and a real server."""

from dataclasses import replace
from typing import Any

import dagster as dg
import httpx

from models.settings import Settings
from orchestration import alerts

KEY = dg.AssetKey(["segments", "seg_new"])


def tick(instance: dg.DagsterInstance, settings: Settings, cursor: str | None) -> str | None:
    """One evaluation of the sensor; its cursor."""

    @dg.asset(key=KEY, check_specs=[dg.AssetCheckSpec("unique_profile_id", asset=KEY)])
    def seg_new() -> dg.MaterializeResult: ...

    watching = alerts.sensor(settings, ["refresh"])
    definitions = dg.Definitions(assets=[seg_new], sensors=[watching])
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=definitions.get_repository_def(), sensor_name="alerts"
    )
    watching(context)
    return context.cursor


def run(instance: dg.DagsterInstance, *, passed: bool, broken: bool = False) -> None:
    """A run of the job `refresh`, with a check that says `passed`."""

    @dg.asset(key=KEY, check_specs=[dg.AssetCheckSpec("unique_profile_id", asset=KEY)])
    def seg_new() -> dg.MaterializeResult:
        if broken:
            raise dg.Failure("a model is broken")
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=passed)])

    job = dg.define_asset_job("refresh", selection=[KEY])
    definitions = dg.Definitions(assets=[seg_new], jobs=[job])
    definitions.resolve_job_def("refresh").execute_in_process(instance=instance, raise_on_error=False)


def test_each_change_of_state_is_told_once(instance: dg.DagsterInstance, home: Settings, told: Any) -> None:
    """A job or check that breaks is told once, stays silent while broken, and is told once more when it works again."""
    settings = replace(home, alert_url=told.url)
    run(instance, passed=True)
    cursor = tick(instance, settings, None)
    assert told.words == []
    run(instance, passed=False)
    for _ in range(3):
        cursor = tick(instance, settings, cursor)
    assert told.words == [("check segments/seg_new unique_profile_id", "failed")]
    run(instance, passed=True, broken=True)
    run(instance, passed=True, broken=True)
    cursor = tick(instance, settings, cursor)
    assert told.words[1:] == [("job refresh", "failed")]
    run(instance, passed=True)
    cursor = tick(instance, settings, tick(instance, settings, cursor))
    assert sorted(told.words[2:]) == [("check segments/seg_new unique_profile_id", "ok"), ("job refresh", "ok")]


def test_an_alert_that_nobody_took_is_told_again(instance: dg.DagsterInstance, home: Settings, told: Any) -> None:
    """A change counts as told only when the receiver answered that it took it."""
    settings = replace(home, alert_url=told.url)
    run(instance, passed=True, broken=True)
    told.status = 503
    cursor = tick(instance, settings, None)
    told.status = 204
    cursor = tick(instance, settings, cursor)
    tick(instance, settings, cursor)
    assert told.words == [("job refresh", "failed")]


def test_an_alert_carries_names_only(instance: dg.DagsterInstance, home: Settings, told: Any) -> None:
    """What is posted names the job or check and its state; no error text, which may hold personal data."""
    run(instance, passed=True, broken=True)
    tick(instance, replace(home, alert_url=told.url), None)
    assert set(told.bodies[0]) == {"what", "state", "at"}
    assert httpx.URL(told.url).host == "127.0.0.1"
