"""The jobs, executed in process by a real instance on a small project of its own."""

import dagster as dg
import pytest

from assets import store
from models.settings import Settings
from orchestration import clocks, keys, run_clock
from orchestration.code_location import build
from orchestration.jobs import ACTIVATE, REFRESH

SEGMENTS = ("seg_new", "seg_high_value", "seg_lapsed")


@pytest.fixture
def dagster() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


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


def test_the_clock_of_a_run_is_its_tag(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """Everything a run does is as of the tag fixed at its launch, and the next night's changes are caused by `data`."""
    run(shop, dagster)
    result = run(shop, dagster, day="2026-03-01")
    assert metadata(result, keys.history("seg_new")) == {"entered": 0, "left": 2, "cause": "data", "advanced": True}
    with store.reading(shop) as copy:
        assert (
            copy.rows("select max(as_of) as at from segment_history")[0]["at"] == clocks.clock(shop, "2026-03-01").as_of
        )


def test_a_broken_segment_stops_its_own_syncs_and_nothing_else(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """What hangs on a broken segment is not built; all other segments, the marts and the published copy are."""
    path = shop.dbt_project / "models" / "segments" / "seg_lapsed.sql"
    path.write_text(path.read_text().replace("profile_id", "profile_idd", 1))
    result = run(shop, dagster)
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


def test_a_sync_that_cannot_send_fails_by_itself(shop: Settings, dagster: dg.DagsterInstance) -> None:
    """Without a vendor that answers, what is sent over HTTP fails; files are written all the same."""
    run(shop, dagster)
    result = run(shop, dagster, job=ACTIVATE)
    assert not result.success
    assert "sync/files/seg_one_time_buyers" in built(result)
    failed = {event.step_key for event in result.get_step_failure_events()}
    assert "sync__crm__seg_high_value" in failed
