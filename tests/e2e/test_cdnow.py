"""Real purchases, loaded as a user would: an entry in sources.yml and a staging model."""

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from assets import store
from assets.refresh import RefreshResult, refresh
from models.clock import Clock, end_of_day
from models.settings import Settings

ROOT = Path(__file__).parents[2]
PURCHASES = ROOT.parent / "shared" / "data" / "cdnow" / "CDNOW_master.txt"
LAST_DAY = datetime(1998, 6, 30, tzinfo=UTC).date()

pytestmark = pytest.mark.skipif(not PURCHASES.exists(), reason=f"the purchases are not here ({PURCHASES.name})")

STAGING = """\
with

raw_cdnow as (
    select * from {{ raw('cdnow') }}
),

renamed as (
    select
        -- ids: the file has no order number, and each line is a purchase of its own
        {{ line_id() }} as event_id,
        batch_id,
        cast(null as {{ text_type() }}) as anonymous_id,
        -- 00000 would be nobody
        'customer ' || substring(record, 2, 5) as user_id,
        cast(null as {{ text_type() }}) as crm_id,
        cast(null as {{ text_type() }}) as profile_id,

        -- text
        'cdnow' as source,
        'Order Completed' as name,
        cast(null as {{ text_type() }}) as email,
        cast(null as {{ text_type() }}) as phone,
        {{ json_object({
            'quantity': 'trim(substring(record, 17, 2))', 'revenue': 'trim(substring(record, 20))',
        }) }} as properties,

        -- times
        {{ try_cast(
            "substring(record, 8, 4) || '-' || substring(record, 12, 2) || '-' || substring(record, 14, 2)",
            timestamp_type()
        ) }} as occurred_at,
        cast(null as {{ timestamp_type() }}) as received_at,
        loaded_at as known_at
    from raw_cdnow
)

select * from renamed
"""


def project_with_purchases(folder: Path) -> Path:
    """A copy of the project with the purchases as its only source and a year as what lapses."""
    shutil.copytree(ROOT / "dbt_project", folder / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    for name in ("policy.yml", "sinks.yml"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    entry = {"cdnow": {"files": "cdnow/*.txt", "format": "lines"}}
    (folder / "sources.yml").write_text(yaml.safe_dump({"sources": entry}))
    (folder / "dbt_project" / "models" / "staging" / "stg_cdnow.sql").write_text(STAGING)
    settings = folder / "dbt_project" / "dbt_project.yml"
    text = settings.read_text()
    assert "lapsed_days: 21" in text
    settings.write_text(text.replace("lapsed_days: 21", "lapsed_days: 365"))
    return folder


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, RefreshResult]:
    folder = tmp_path_factory.mktemp("cdnow")
    settings = Settings(project=project_with_purchases(folder), home=folder / "home")
    landing = settings.landing / "cdnow"
    landing.mkdir(parents=True)
    shutil.copy(PURCHASES, landing)
    return settings, refresh(settings, Clock.at(end_of_day(LAST_DAY, UTC)))


def value(settings: Settings, sql: str) -> object:
    with store.reading(settings) as warehouse:
        return next(iter(warehouse.rows(sql)[0].values()))


def test_every_line_is_a_purchase(loaded) -> None:
    """The 69,659 lines are as many events, the 255 that repeat another exactly included, and none is in quarantine."""
    settings, result = loaded
    assert result.ok
    assert value(settings, "select count(*) from events") == 69_659
    assert value(settings, "select count(*) from quarantine") == 0


def test_people_cds_and_revenue_are_those_of_the_paper(loaded) -> None:
    """23,570 people bought 167,881 CDs for 2,500,315.63 dollars."""
    settings, _ = loaded
    assert value(settings, "select count(*) from profiles") == 23_570
    assert value(settings, "select sum(items) from profiles") == 167_881
    assert value(settings, "select sum(revenue) from profiles") == Decimal("2500315.63")


def test_segments_are_those_of_the_paper(loaded) -> None:
    """11,908 bought exactly once, and 15,220 had been silent for more than 365 days."""
    settings, _ = loaded
    assert value(settings, "select count(*) from seg_one_time_buyers") == 11_908
    assert value(settings, "select count(*) from seg_lapsed") == 15_220
