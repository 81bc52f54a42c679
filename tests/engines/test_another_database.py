"""A target's warehouse may be called anything, and may be another one than it was."""

from dataclasses import replace

import pytest

from assets.dbt_project import read_manifest
from assets.preview import preview
from assets.refresh import refresh
from models.errors import UserError
from models.settings import Settings
from tests import nights
from warehouse.engine import engine

pytestmark = [pytest.mark.slow, pytest.mark.sampled]


def database_of(settings: Settings) -> str:
    return str(read_manifest(settings)["nodes"]["model.tailrace.profiles"]["database"])


def test_a_home_whose_warehouse_is_another_one_is_parsed_again(tmp_path):
    """Every relation is called by its database, too: a manifest of the one would name what is not in the other."""
    settings = nights.project(tmp_path)
    urls = {name: f"postgresql://postgres@127.0.0.1/{name}" for name in ("one", "another")}
    found = [database_of(replace(settings, warehouse_url=url)) for url in urls.values()]
    assert found == [*urls]
    assert database_of(settings) == "warehouse"


def test_a_file_that_dbt_cannot_call_by_its_name_is_refused(tmp_path):
    """Before anything is made of it, with names that can be."""
    settings = Settings(tmp_path, tmp_path, warehouse_url=f"duckdb://{tmp_path}/my shop-1.duckdb")
    with pytest.raises(UserError, match=r"my shop-1\.duckdb.*letters, digits and _"):
        engine(settings)


def test_a_file_may_have_another_name(tmp_path):
    """It is refreshed, published and previewed."""
    file = tmp_path / "Shop_1.duckdb"
    settings = replace(nights.project(tmp_path), warehouse_url=f"duckdb://{file}")
    nights.land(settings, "shop/1.ndjson", nights.lines(1, seed=3)[1])
    assert refresh(settings, nights.night(1)).ok
    segment = settings.dbt_project / "models" / "segments" / "seg_active.sql"
    segment.write_text(segment.read_text().replace("select profile_id", "select\n    profile_id"))
    assert preview(settings, None, "seg_active")
    assert file.exists()
