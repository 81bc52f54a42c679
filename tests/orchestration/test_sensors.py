"""The sensors, evaluated against a real instance and real files."""

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from models.settings import Settings
from orchestration import changes, keys, landing, run_clock


@pytest.fixture
def shop(home: Settings) -> Path:
    """The landing folder of a source `shop`."""
    (home.project / "sources.yml").write_text("sources:\n  shop: {files: 'shop/*.ndjson', format: ndjson}\n")
    folder = home.landing / "shop"
    folder.mkdir(parents=True)
    return folder


def land(folder: Path, name: str, *, seconds_ago: float = 60) -> None:
    path = folder / name
    path.write_text("{}\n")
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


def look(instance: dg.DagsterInstance, home: Settings, cursor: str | None) -> tuple[object, str | None]:
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    return landing.sensor(home, "refresh")(context), context.cursor


def test_a_file_lands_and_one_run_is_launched(instance: dg.DagsterInstance, home: Settings, shop: Path) -> None:
    """Each new state of the landing folders launches one run, with its clock fixed at that moment; no change, none."""
    assert isinstance(look(instance, home, None)[0], dg.SkipReason)
    land(shop, "2026-11-23.ndjson")
    request, cursor = look(instance, home, None)
    assert isinstance(request, dg.RunRequest)
    assert run_clock.TAG in request.tags
    assert isinstance(look(instance, home, cursor)[0], dg.SkipReason)
    land(shop, "2026-11-24.ndjson")
    again, _ = look(instance, home, cursor)
    assert isinstance(again, dg.RunRequest)
    assert again.run_key != request.run_key


def test_a_file_being_written_is_waited_for(instance: dg.DagsterInstance, home: Settings, shop: Path) -> None:
    """A file written to a moment ago launches nothing yet, and is not forgotten."""
    land(shop, "2026-11-24.ndjson", seconds_ago=0)
    reason, cursor = look(instance, home, None)
    assert isinstance(reason, dg.SkipReason)
    assert not cursor


def publish(instance: dg.DagsterInstance, **fingerprints: str) -> None:
    """A publication that says what the syncs of these segments would send."""
    told = {f"crm/{name}": fingerprint for name, fingerprint in fingerprints.items()}
    instance.report_runless_asset_event(dg.AssetMaterialization(keys.PUBLISHED, metadata={changes.FINGERPRINTS: told}))


def test_what_a_sync_sends_changes_and_only_that_sync_runs(instance: dg.DagsterInstance) -> None:
    """The syncs that would send something else are launched, no other; published again with the same, none is."""
    sensor = changes.sensor(["crm/seg_new", "crm/seg_lapsed", "crm/seg_unbuilt"], "activate")

    def tick(cursor: str | None) -> tuple[object, str | None]:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        return sensor(context), context.cursor

    assert isinstance(tick(None)[0], dg.SkipReason)
    publish(instance, seg_new="1", seg_lapsed="1", seg_retired="1")
    first, cursor = tick(None)
    assert isinstance(first, dg.RunRequest)
    assert first.asset_selection == [keys.sync("crm/seg_new"), keys.sync("crm/seg_lapsed")]
    publish(instance, seg_new="2", seg_lapsed="1")
    second, cursor = tick(cursor)
    assert isinstance(second, dg.RunRequest)
    assert second.asset_selection == [keys.sync("crm/seg_new")]
    publish(instance, seg_new="2", seg_lapsed="1")
    assert isinstance(tick(cursor)[0], dg.SkipReason)
