"""Real purchases, loaded as a user would: an entry in sources.yml and a staging model."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from assets import store
from assets.refresh import RefreshResult, refresh
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import cli
from tests import recorders
from tests.sampling import sampled

ROOT = Path(__file__).parents[2]
PURCHASES = ROOT.parent / "shared" / "data" / "cdnow" / "CDNOW_master.txt"
LAST_DAY = datetime(1998, 6, 30, tzinfo=UTC).date()

pytestmark = pytest.mark.skipif(not PURCHASES.exists(), reason=f"the purchases are not here ({PURCHASES.name})")

STAGING = """\
with

raw_cdnow as (
    select * from {{ raw('cdnow') }} as landed
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


SILENT = """\
select profile_id
from {{ ref('profiles') }}
where last_order_at < {{ days_ago(365) }}
"""
SILENT_ENTRY = """\
version: 2
models:
  - name: seg_silent
    description: Silent for more than a year. One row a profile.
    config:
      meta:
        syncs:
          - {sink: crm, audience: Silent, fields: [orders, items, revenue, last_order_at]}
"""
DAYS = sampled(60, 3)
SYNC = "crm/seg_silent"


@dataclass(frozen=True)
class Purchase:
    customer: str
    day: date
    line: str


def purchases() -> list[Purchase]:
    """The file, line by line, in the order of days."""
    lines = PURCHASES.read_text().splitlines(keepends=True)
    read = [Purchase(line[1:6], date.fromisoformat(line[7:15]), line) for line in lines]
    return sorted(read, key=lambda purchase: purchase.day)


@pytest.mark.slow
@pytest.mark.sampled
def test_sixty_days_end_with_the_vendor_holding_the_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file a day: after each `ingest`, `refresh` and `sync` the recorder holds the segment, as the file has it."""
    project = project_with_purchases(tmp_path)
    segments = project / "dbt_project" / "models" / "segments"
    (segments / "seg_silent.sql").write_text(SILENT)
    (segments / "seg_silent.yml").write_text(SILENT_ENTRY)
    settings = Settings(project=project, home=tmp_path / "home")
    landing = settings.landing / "cdnow"
    landing.mkdir(parents=True)
    everything = purchases()
    with recorders.running(settings.recorder_db) as running:
        for name, text in {"PROJECT": str(project), "HOME": str(settings.home), "RECORDER": running.url}.items():
            monkeypatch.setenv(f"TAILRACE_{name}", text)
        monkeypatch.delenv("TAILRACE_TARGET", raising=False)
        for back in range(DAYS, -1, -1):
            day = LAST_DAY - timedelta(days=back)
            landed = [one.line for one in everything if (one.day <= day if back == DAYS else one.day == day)]
            (landing / f"{day}.txt").write_text("".join(landed))
            for command in (["ingest"], ["refresh"], ["sync", SYNC]):
                assert cli.run([*command, "--as-of", str(day)]) == 0, (day, command)
            held = {row["payload"]["profile_id"] for row in vendor(running.url).values()}
            with store.reading(settings) as copy:
                segment = copy.rows(
                    "select seg_silent.profile_id, identifier from seg_silent inner join profile_map "
                    "on seg_silent.profile_id = profile_map.profile_id and identifier_type = 'user_id'"
                )
            assert held == {row["profile_id"] for row in segment}, day
            assert {row["identifier"] for row in segment} == {f"customer {who}" for who in silent(everything, day)}


def silent(everything: list[Purchase], day: date) -> set[str]:
    """Who bought by `day`, but not within the 365 days before it; counted in plain Python."""
    last: dict[str, date] = {}
    for one in everything:
        if one.day <= day:
            last[one.customer] = one.day
    return {customer for customer, bought in last.items() if (day - bought).days > 365}


def vendor(url: str) -> dict[str, dict[str, Any]]:
    """Identity → row of everyone the recorder holds, its operations applied in the order they came."""
    with urlopen(f"{url}/_received?sync={SYNC}") as answer:
        rows = [json.loads(line) for line in answer.read().splitlines()]
    held: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["op"] == "remove":
            held.pop(row["identity"], None)
        else:
            held[row["identity"]] = row
    return held
