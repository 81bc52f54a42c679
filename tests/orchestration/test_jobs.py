"""The jobs, executed in process by a real instance on a small project of its own."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

import dagster as dg
import pytest

from assets import store
from assets.dbt_project import read_manifest
from assets.status import status
from assets.syncs import load_syncs
from models.clock import Clock
from models.settings import Settings
from orchestration import clocks, journeys, keys, local_recorder, run_clock
from orchestration.code_location import build
from orchestration.jobs import ACTIVATE, COMPACT, REFRESH, TICK
from tests.orchestration.conftest import Told, event, land, opened

pytestmark = pytest.mark.sampled

SEGMENTS = ("seg_new", "seg_high_value", "seg_lapsed")


@pytest.fixture
def dagster() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shop after the run of its first night."""
    made = opened(tmp_path_factory.mktemp("night"))
    assert run(made, dg.DagsterInstance.ephemeral()).success
    return made


@pytest.fixture
def refreshed(night: Settings, tmp_path: Path) -> Settings:
    """A shop of one's own after its first night."""
    made = replace(night, project=tmp_path / "shop", home=tmp_path / "shop-home")
    shutil.copytree(night.project, made.project)
    shutil.copytree(night.home, made.home)
    return made


def run(
    settings: Settings, dagster: dg.DagsterInstance, job: str = REFRESH, day: str = "2026-01-04"
) -> dg.ExecuteInProcessResult:
    """A run of the job as of a day's end."""
    tags = run_clock.tags(clocks.clock(settings, day).as_of)
    definition = build(settings).resolve_job_def(job)
    return definition.execute_in_process(instance=dagster, raise_on_error=False, tags=tags)


def built(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}


def metadata(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, object]:
    found = next(event for event in result.get_asset_materialization_events() if event.asset_key == key)
    return {name: value.value for name, value in found.materialization.metadata.items()}


def test_a_refresh_builds_everything_and_says_what_it_did(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """One run loads, resolves, builds, records and publishes, with counts on every asset and every dbt test a check."""
    result = run(shop, dagster)
    assert result.success
    assert metadata(result, keys.raw("shop"))["rows"] == 3
    assert metadata(result, dg.AssetKey(["staging", "stg_events"])) == {"late/shop": 0, "rebuilt": True}
    assert metadata(result, keys.PROFILE_MAP)["minted"] == 2
    assert metadata(result, keys.history("seg_new")) == {"entered": 2, "left": 0, "cause": "first", "advanced": True}
    assert metadata(result, dg.AssetKey(["profiles", "profiles"]))["dagster/row_count"] == 2
    checks = {
        (check.asset_key.path[-1], check.check_name): check.passed for check in result.get_asset_check_evaluations()
    }
    assert [key for key, passed in checks.items() if not passed] == [("crm", "fresh")]  # it never brought anything
    assert {"shop", "stg_events", "profiles", "seg_new"} <= {name for name, _ in checks}
    with store.reading(shop) as copy:
        assert copy.rows("select count(*) as n from seg_high_value") == [{"n": 1}]


def test_the_clock_of_a_run_is_its_tag(refreshed: Settings, dagster: dg.DagsterInstance) -> None:
    """Everything a run does is as of the tag fixed at its launch, and the next night's changes are caused by `data`."""
    shop = refreshed
    result = run(shop, dagster, day="2026-03-01")
    assert metadata(result, keys.history("seg_new")) == {"entered": 0, "left": 2, "cause": "data", "advanced": True}
    with store.reading(shop) as copy:
        assert (
            copy.rows("select max(as_of) as at from segment_history")[0]["at"] == clocks.clock(shop, "2026-03-01").as_of
        )


def test_a_run_was_launched_when_it_was_created(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """What a sync of prod compares its clock with is when the run was created, however late its step begins."""
    told = []

    @dg.asset
    def probe(context: dg.AssetExecutionContext) -> None:
        begun = datetime.now(UTC)
        sleep(0.2)
        told.append((run_clock.launched_at(context), run_clock.of(context, shop).as_of, begun))

    result = dg.materialize([probe], instance=dagster)
    record = dagster.get_run_record_by_id(result.run_id)
    assert record
    ((launched_at, as_of, begun),) = told
    assert launched_at == as_of == record.create_timestamp.replace(tzinfo=UTC)
    assert launched_at < begun


def test_a_broken_segment_stops_its_own_syncs_and_nothing_else(
    refreshed: Settings, dagster: dg.DagsterInstance
) -> None:
    """What hangs on a broken segment is neither built nor sent, yesterday's table included; everything else is."""
    path = refreshed.dbt_project / "models" / "segments" / "seg_lapsed.sql"
    with local_recorder.running(refreshed) as here:
        path.write_text(path.read_text().replace("profile_id", "profile_idd", 1))
        result = run(here, dagster, day="2026-01-05")
        sent = run(here, dagster, job=ACTIVATE, day="2026-01-05")
    assert not result.success
    done = built(result)
    assert {"segments/seg_new", "segment_history/seg_new", "marts/segment_sizes", "published"} <= done
    below = {
        "segments/seg_lapsed",
        "segment_history/seg_lapsed",
        "segments/seg_churn_risk",
        "segments/seg_high_value_lapsed",
    }
    assert not done & below
    failed = [event.step_key for event in result.get_step_failure_events()]
    assert failed == ["seg_lapsed"]
    checks = {check.asset_key.to_user_string(): check for check in sent.get_asset_check_evaluations()}
    held = {name for name, check in checks.items() if not check.passed}
    assert held == {"sync/crm/seg_lapsed", "sync/hook/seg_churn_risk", "sync/crm/seg_high_value_lapsed"}
    assert built(sent) == checks.keys() - held
    for name in held:
        said = checks[name].metadata["verdict"].value
        assert "seg_lapsed is broken: dbt_project/models/segments/seg_lapsed.sql:" in said["upstream"]


def test_a_broken_person_model_holds_every_sync(refreshed: Settings, dagster: dg.DagsterInstance) -> None:
    """When what all segments read cannot be built, nothing that stands on it is sent, and `status` says why."""
    shop = refreshed
    path = shop.dbt_project / "models" / "profiles" / "profiles.sql"
    path.write_text(f"select *, no_such_column from ({path.read_text()}) as people")
    assert not run(shop, dagster, day="2026-01-05").success
    sent = run(shop, dagster, job=ACTIVATE, day="2026-01-05")
    checks = sent.get_asset_check_evaluations()
    assert len(checks) == len(load_syncs(shop, read_manifest(shop)))
    assert not any(check.passed for check in checks)
    assert not built(sent)
    needs = status(shop, None, read_manifest(shop)).needs_a_person
    assert any(line.startswith("model profiles is broken") for line in needs)
    assert any(line.startswith("crm/seg_high_value was refused: upstream: profiles is broken") for line in needs)


def test_a_test_that_fails_is_a_failed_check(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """A segment with a person twice fails its check, is not recorded, and stops nobody else."""
    path = shop.dbt_project / "models" / "segments" / "seg_new.sql"
    path.write_text(f"select * from ({path.read_text()}) as once union all select * from ({path.read_text()}) as twice")
    result = run(shop, dagster)
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed and check.blocking]
    assert [check.asset_key.to_user_string() for check in failed] == ["segments/seg_new"]
    done = built(result)
    assert "segment_history/seg_new" not in done
    assert "segment_history/seg_high_value" in done


def test_a_sync_that_cannot_send_fails_by_itself(refreshed: Settings, dagster: dg.DagsterInstance) -> None:
    """Without a vendor that answers, what is sent over HTTP fails; files are written all the same."""
    result = run(refreshed, dagster, job=ACTIVATE)
    assert not result.success
    assert "sync/files/seg_one_time_buyers" in built(result)
    failed = {event.step_key for event in result.get_step_failure_events()}
    assert "sync__crm__seg_high_value" in failed


def test_a_file_of_bad_lines_stops_its_source(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """More bad lines than max_bad fail the source's blocking check, with the reason; nothing is built from it."""
    path = shop.landing / "shop" / "2.ndjson"
    path.write_text("no record\n" * 50)
    result = run(shop, dagster)
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed and check.blocking]
    assert [(check.asset_key, check.check_name) for check in failed] == [(keys.raw("shop"), "quarantine_share")]
    assert "50 of 50 lines are bad" in str(failed[0].metadata["stopped"].value)
    assert not built(result) & {"staging/stg_events", "profiles/profiles", "segments/seg_new"}


def test_a_guard_is_a_check_that_blocks(refreshed: Settings, dagster: dg.DagsterInstance) -> None:
    """A plan past a guard sends nothing and fails the check `guards` of its own sync."""
    shop = refreshed
    name = "files/seg_one_time_buyers"
    declared = shop.dbt_project / "models/segments/_segments.yml"
    declared.write_text(declared.read_text().replace("country], purpose: marketing}", "country]}"))
    run(shop, dagster, job=ACTIVATE)
    bought = {"revenue": 5, "quantity": 1}
    many = [
        event(number, f"p{number}", "Order Completed", 5, properties={"order_id": str(number), **bought})
        for number in range(10, 70)
    ]
    land(shop, "shop/2.ndjson", many)
    run(shop, dagster, day="2026-01-05")
    result = run(shop, dagster, job=ACTIVATE, day="2026-01-05")
    verdict = next(check for check in result.get_asset_check_evaluations() if check.asset_key == keys.sync(name))
    assert (verdict.check_name, verdict.passed, verdict.blocking) == ("guards", False, True)
    plan = verdict.metadata["plan"].value
    assert f"tailrace apply {plan['plan_id']}" in verdict.metadata["refused"].value
    assert keys.sync(name).to_user_string() not in built(result)


def test_days_are_filled_in_one_run(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """A range of daily partitions is one run, whose days the published segment_days has."""
    run(shop, dagster, day="2026-01-06")
    job = build(shop).resolve_implicit_global_asset_job_def()
    ends = {"dagster/asset_partition_range_start": "2026-01-04", "dagster/asset_partition_range_end": "2026-01-05"}
    tags = {**run_clock.tags(clocks.clock(shop, "2026-01-06").as_of), **ends}
    result = job.execute_in_process(instance=dagster, tags=tags, asset_selection=[keys.SEGMENT_DAYS])
    assert metadata(result, keys.SEGMENT_DAYS)["days"] == 2
    with store.reading(shop) as copy:
        rows = copy.rows(
            "select day, count(*) as n from segment_days where segment = 'seg_new' group by day order by day"
        )
    assert [(str(row["day"]), row["n"]) for row in rows] == [("2026-01-04", 2), ("2026-01-05", 2)]


def test_a_schedule_gives_its_run_the_time_of_its_tick(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """A late tick runs as of the time it was due, and is off until somebody turns it on."""
    due = datetime(2026, 1, 5, 2, tzinfo=UTC)
    schedule = build(shop).resolve_schedule_def("nightly_refresh")
    request = schedule.evaluate_tick(dg.build_schedule_context(dagster, due)).run_requests[0]
    assert request.tags[run_clock.TAG] == due.isoformat()
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_a_field_that_changes_launches_its_syncs(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """An order changes what a sync sends of a member who stays one: it is launched, and no other."""
    repository = build(shop).get_repository_def()
    sensor = repository.get_sensor_def("segment_changed")

    def launched(cursor: str | None) -> tuple[set[str], str | None]:
        context = dg.build_sensor_context(dagster, cursor=cursor, repository_def=repository)
        asked = sensor.evaluate_tick(context).run_requests or []
        return {key.to_user_string() for request in asked for key in request.asset_selection or ()}, context.cursor

    run(shop, dagster)
    first, cursor = launched(None)
    assert first == {key.to_user_string() for key in build(shop).resolve_all_asset_keys() if key.path[0] == "sync"}
    assert launched(cursor)[0] == set()
    bought = {"order_id": "2", "revenue": 40, "quantity": 1}
    land(shop, "shop/2.ndjson", [event(9, "ann", "Order Completed", 5, properties=bought)])
    run(shop, dagster, day="2026-01-05")
    moved, cursor = launched(cursor)
    assert moved == {"sync/crm/seg_high_value"}  # where people need consent, nobody has given it
    run(shop, dagster, day="2026-01-05")
    assert launched(cursor)[0] == set()


def test_what_an_event_lets_go_leaves_without_the_schedule(refreshed: Settings, dagster: dg.DagsterInstance) -> None:
    """A file lands, `refresh` ticks, `segment_changed` launches the syncs whose messages may go now: they are sent."""
    shop = refreshed
    order_taken = keys.sync("mail/message_outbox/post_purchase_transactional")
    repository = build(shop).get_repository_def()
    sensor = repository.get_sensor_def("segment_changed")

    def launched(cursor: str | None) -> tuple[list[dg.AssetKey], str | None]:
        context = dg.build_sensor_context(dagster, cursor=cursor, repository_def=repository)
        asked = sensor.evaluate_tick(context).run_requests or []
        return [key for request in asked for key in request.asset_selection or ()], context.cursor

    with local_recorder.running(shop) as here:
        journeys.publish(here, "post_purchase", Clock.at(datetime(2026, 1, 5, 1, tzinfo=UTC)))
        _, cursor = launched(None)
        bought = {"order_id": "2", "revenue": 40, "quantity": 1}
        land(shop, "shop/2.ndjson", [event(9, "ann", "Order Completed", 5, properties=bought)])
        assert run(here, dagster, day="2026-01-05").success
        wanted, _ = launched(cursor)
        assert order_taken in wanted
        tags = run_clock.tags(clocks.clock(here, "2026-01-05").as_of)
        activate = build(here).resolve_job_def(ACTIVATE).get_subset(asset_selection=set(wanted))
        sent = activate.execute_in_process(instance=dagster, tags=tags)
    assert metadata(sent, order_taken)["rows_accepted"] == 1


def test_a_tick_sends_only_what_may_go(refreshed: Settings, dagster: dg.DagsterInstance) -> None:
    """The job `tick` moves every journey, plans no sync that has nothing to send, and sends what has, once."""
    shop = refreshed
    order_taken = "sync/mail/message_outbox/post_purchase_transactional"
    moved = {f"journeys/{name}" for name in ("cart_recovery", "post_purchase", "welcome", "win_back")}
    with local_recorder.running(shop) as here:
        journeys.publish(here, "post_purchase", Clock.at(datetime(2026, 1, 5, 1, tzinfo=UTC)))
        bought = {"order_id": "2", "revenue": 40, "quantity": 1}
        land(shop, "shop/2.ndjson", [event(9, "ann", "Order Completed", 5, properties=bought)])
        run(here, dagster, day="2026-01-05")
        first = run(here, dagster, job=TICK, day="2026-01-05")
        again = run(here, dagster, job=TICK, day="2026-01-06")
    assert (first.success, built(first)) == (True, {*moved, order_taken})
    assert [check.passed for check in first.get_asset_check_evaluations()] == [True]
    assert (again.success, built(again)) == (True, moved)
    told = metadata(again, keys.journey("post_purchase"))
    assert (told["entered"], told["sent"]) == (1, 1)
    assert order_taken.removeprefix("sync/") not in plans_of(shop, "2026-01-06")


def plans_of(settings: Settings, day: str) -> set[str]:
    """The syncs that were planned as of a day's end."""
    as_of = clocks.clock(settings, day).as_of
    with store.writing(settings) as warehouse:
        return {row["sync"] for row in warehouse.rows("select sync from tailrace.plan where as_of = ?", [as_of])}


def test_every_night_that_fails_is_told(shop: Settings, dagster: dg.DagsterInstance, told: Told) -> None:
    """Whatever a schedule runs, the alerts watch: also the night that adds a day to segment_days."""
    due = datetime(2026, 1, 5, 5, tzinfo=UTC)
    definitions = build(replace(shop, alert_url=told.url))
    repository = definitions.get_repository_def()
    for schedule in repository.schedule_defs:
        context = dg.build_schedule_context(dagster, due, repository_def=repository)
        request = schedule.evaluate_tick(context).run_requests[0]
        broken = definitions.resolve_job_def(schedule.job_name)
        tags = {**request.tags, run_clock.TAG: "no time"}
        broken.execute_in_process(
            instance=dagster, raise_on_error=False, tags=tags, partition_key=request.partition_key
        )
    watching = repository.get_sensor_def("alerts")
    watching(dg.build_sensor_context(dagster, repository_def=repository, sensor_name="alerts"))
    jobs = [f"job {schedule.job_name}" for schedule in repository.schedule_defs if schedule.job_name != COMPACT]
    assert {(job, "failed") for job in jobs} <= set(told.words)
    assert "job record_days" in jobs
    assert (f"job {COMPACT}", "failed") not in told.words  # its time is the real one
