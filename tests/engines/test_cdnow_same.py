"""Real purchases on every engine: loaded, made people and segments of, and delivered, row by row the same."""

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from assets import store
from models.settings import Settings
from orchestration import cli, comparing
from tests import recorders
from tests.e2e.test_cdnow import LAST_DAY, PURCHASES, SILENT, SILENT_ENTRY, SYNC, project_with_purchases, vendor
from tests.engines.serving import URLS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sampled,
    pytest.mark.skipif(not PURCHASES.exists(), reason=f"the purchases are not here ({PURCHASES.name})"),
]


@pytest.mark.parametrize("other", ["postgres", pytest.param("spark", marks=pytest.mark.sampled(one_of=0))])
def test_purchases_are_the_same(other, request, tmp_path, monkeypatch):
    """23,570 customers, their segments and histories, and what a vendor was told of them on two days."""
    project = project_with_purchases(tmp_path)
    segments = project / "dbt_project" / "models" / "segments"
    (segments / "seg_silent.sql").write_text(SILENT)
    (segments / "seg_silent.yml").write_text(SILENT_ENTRY)
    on_duckdb = Settings(project=project, home=tmp_path / "home")
    there = replace(on_duckdb, home=tmp_path / "other home", warehouse_url=request.getfixturevalue(URLS[other]))
    held = [delivered(settings, monkeypatch) for settings in (on_duckdb, there)]
    assert len(held[0]) > 10_000
    assert held[0] == held[1]
    found = comparing.compare(on_duckdb, f"duckdb://{on_duckdb.warehouse}", there.warehouse_url)
    assert {each.name: each.differing for each in found if not each.is_same} == {}
    with store.reading(there) as copy:
        assert copy.rows("select count(*) as n from main.profiles") == [{"n": 23_570}]


def delivered(settings, monkeypatch) -> dict[str, object]:
    """Two days, and what the vendor holds after them."""
    landing = settings.landing / "cdnow"
    landing.mkdir(parents=True)
    shutil.copy(PURCHASES, landing)
    with recorders.running(settings.recorder_db) as running:
        given = {"PROJECT": settings.project, "HOME": settings.home, "RECORDER": running.url}
        for name, value in {**given, "WAREHOUSE": settings.warehouse_url or ""}.items():
            monkeypatch.setenv(f"TAILRACE_{name}", str(value))
        for day in (LAST_DAY - timedelta(days=1), LAST_DAY):
            for command in (["refresh"], ["sync", SYNC]):
                assert cli.run([*command, "--as-of", str(day)]) == 0, (day, command)
        return {identity: row["payload"] for identity, row in vendor(running.url).items()}
