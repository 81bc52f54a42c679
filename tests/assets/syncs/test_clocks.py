"""In prod what sends has the clock of its launch: however long it waits for its turn, and no other."""

from datetime import UTC, datetime, timedelta

import pytest

from assets import deliveries
from assets.sync_run import SyncResult
from models.clock import Clock
from models.errors import Refused

DROP = "drop/seg_x"


@pytest.fixture
def file(prod):
    """A sync that needs no secret and no network: a file."""
    prod.declare("seg_x", {"sink": "drop"}, columns=["profile_id"])
    members(prod, 3)
    return prod


def members(world, count: int) -> None:
    world.sql(f"create or replace table seg_x as select 'p' || i as profile_id from range({count}) as numbers (i)")


def ago(**time: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time)


def sync(world, as_of: datetime, launched_at: datetime | None = None) -> SyncResult:
    (result,) = deliveries.sync(world.settings, Clock.at(as_of), launched_at=launched_at, manifest=world.manifest)
    return result


def test_a_sync_may_wait_for_its_turn(file) -> None:
    """A run that was launched as of then and stood in line for hours sends, with that clock."""
    launched = ago(hours=5)
    assert sync(file, launched, launched).counts == {"accepted": 3}
    (run,) = file.sql("select as_of from tailrace.sync_runs")
    assert run["as_of"] == launched


@pytest.mark.parametrize(
    ("as_of", "launched_at"),
    [({"hours": 5}, None), ({"hours": -5}, None), ({"days": 2}, {"days": 2}), ({"hours": 5}, {"hours": 1})],
    ids=["past", "future", "long ago", "another launch"],
)
def test_no_other_clock_sends(file, as_of, launched_at) -> None:
    """A clock that was not the launch's is refused, and so is a launch of days ago."""
    with pytest.raises(Refused, match="in prod"):
        sync(file, ago(**as_of), launched_at and ago(**launched_at))
    assert list(file.settings.out.rglob("*.csv")) == []


def test_what_a_guard_held_after_hours_in_line_may_be_applied(file) -> None:
    """The plan is one of its launch, so the command that the refusal names works."""
    members(file, 200)
    now = datetime.now(UTC)
    sync(file, now, now)
    members(file, 10)
    launched = ago(hours=5)
    result = sync(file, launched, launched)
    assert isinstance(result.error, Refused)
    assert result.plan
    assert file.apply(result.plan.plan_id).counts == {"accepted": 190}


@pytest.mark.parametrize(("as_of", "planned"), [({"days": 3}, {}), ({"days": 2}, {"days": 2})], ids=["past", "old"])
def test_a_plan_that_is_not_of_today_is_not_applied(file, as_of, planned) -> None:
    """Neither one made as of a day before, nor one that was made then."""
    file.clock = ago(**as_of)
    plan = file.plan(DROP)
    made = ago(**planned).isoformat()
    file.sql(f"update tailrace.plan__log set planned_at = timestamptz '{made}' where plan_id = '{plan.plan_id}'")
    with pytest.raises(Refused, match="not of today"):
        file.apply(plan.plan_id)
    assert list(file.settings.out.rglob("*.csv")) == []
