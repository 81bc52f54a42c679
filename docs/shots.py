"""Takes the pictures of the Dagster UI in docs/images from a real `tailrace ui` on a small shop. Run by `make shots`.

python docs/shots.py [FOLDER]     needs Debian's chromium; without it says so and does nothing
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import httpx
from playwright.sync_api import Page, sync_playwright

from assets.demo_shop import generate
from models.settings import Settings
from orchestration.environment import child
from orchestration.local_recorder import free_port
from orchestration.user_interface import stop

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")
PEOPLE, DAYS, FIRST = 300, 30, date(2026, 9, 1)
FILLED = ("2026-09-24", "2026-09-30")
SIZE = {"width": 1400, "height": 800}
TALL = {"width": 1120, "height": 1060}  # the graph, from above to below
MOST_BYTES = 250_000
SEEN = """localStorage.setItem("large-screen-nav-open", "false");
    localStorage.setItem("dagster-nav-collapsed", "true");
    localStorage.setItem("asset-graph-direction", '"vertical"');"""
START_SECONDS, RUN_SECONDS, TEXT_SECONDS = 180, 400, 60
Found = TypeVar("Found")
OVER = {"SUCCESS", "FAILURE", "CANCELED"}
LOCATION = {"repositoryLocationName": "orchestration.definitions", "repositoryName": "__repository__"}

RUNS = """query Runs($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 20) { ... on Runs { results {
    runId status jobName tags { key value } } } } }"""
FILLING = """query State($id: String!) { partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status } } }"""
BACKFILL = """mutation Fill($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
SCHEDULE = """mutation On($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) { __typename } }"""


@dataclass
class Ui:
    """A running Dagster: its pages and its questions."""

    url: str
    page: Page
    folder: Path

    def ask(self, query: str, **variables: Any) -> Any:
        """What its own pages ask it, asked by us."""
        answer = httpx.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        found = answer.raise_for_status().json()
        assert "errors" not in found, found
        return next(iter(found["data"].values()))

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        """Runs, newest first."""
        found: list[dict[str, Any]] = self.ask(RUNS, filter=wanted)["results"]
        return found

    def over(self, count: int, **wanted: Any) -> dict[str, Any]:
        """The newest of `count` such runs, once it and all others are over."""

        def newest() -> dict[str, Any] | None:
            found = self.runs(**wanted)
            return found[0] if len(found) >= count and found[0]["status"] in OVER else None

        return until(newest, RUN_SECONDS, f"{count} runs of {wanted}")

    def shoot(self, name: str, path: str, *texts: str, before: Callable[[Page], object] | None = None) -> None:
        """The page at `path` as a picture, once it says all of `texts`."""
        self.page.goto(self.url + path)
        for text in texts:
            self.page.get_by_text(text).locator("visible=true").first.wait_for(timeout=TEXT_SECONDS * 1000)
        if before:
            before(self.page)
        self.page.wait_for_timeout(1500)  # what moves comes to rest
        said = self.page.inner_text("body")
        for text in texts:
            assert text.lower() in said.lower(), f"{path} does not say {text!r}"
        path_of_picture = self.folder / f"{name}.png"
        self.page.screenshot(path=path_of_picture)
        size = path_of_picture.stat().st_size
        assert size < MOST_BYTES, f"{name}.png has {size:,} bytes"
        print(f"{name}.png: {size:,} bytes")


def main(folder: Path) -> int:
    """Every picture into `folder`; 0 also where it cannot be done."""
    if not CHROMIUM.exists():
        print(f"skipped: there is no {CHROMIUM} (Debian: apt-get install chromium)")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shots-", ignore_cleanup_errors=True) as temporary:
        settings = _shop(Path(temporary))
        with _dagster(settings) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
            )
            context = browser.new_context(viewport=SIZE, device_scale_factor=1)  # type: ignore[arg-type]
            context.add_init_script(SEEN)
            take(Ui(url, context.new_page(), folder), settings)
            browser.close()
    return 0


def take(ui: Ui, settings: Settings) -> None:
    """A file lands and is refreshed and sent; the past is filled; a bad file lands and is stopped."""
    run = ui.over(1, pipelineName="refresh")
    assert run["status"] == "SUCCESS", run
    assert {"key": "dagster/sensor_name", "value": "file_landed"} in run["tags"], run
    ui.shoot("sensor-run", f"/runs/{run['runId']}", "file_landed", "staging", "profiles", before=_widen)
    ui.over(1, pipelineName="activate")
    ui.shoot("segment", "/assets/segments/seg_lapsed?view=lineage&lineageDepth=1", "seg_lapsed", "seg_churn_risk")
    ui.ask(SCHEDULE, selector={**LOCATION, "scheduleName": "nightly_refresh"})
    ui.shoot("schedule", "/automation", "nightly_refresh", "file_landed", "At 02:00 AM")
    _backfill(ui)
    ui.page.set_viewport_size(TALL)  # type: ignore[arg-type]
    ui.shoot("graph", "/asset-groups/", "segments", "deliveries", before=_spread)
    ui.page.set_viewport_size(SIZE)  # type: ignore[arg-type]
    _bad_file(settings)
    run = ui.over(2, pipelineName="refresh")
    assert run["status"] == "FAILURE", run
    ui.shoot("failing-check", "/assets/raw/crm?view=checks", "quarantine_share", "Failed", before=_check)


def _spread(page: Page) -> None:
    """The whole graph in the picture, near enough to say how each group stands, without the list beside it."""
    page.get_by_label("panel_show_right").click()
    page.wait_for_timeout(800)
    for _ in range(2):
        page.get_by_label("zoom_in").click()
        page.wait_for_timeout(400)
    page.mouse.move(900, 700)
    page.mouse.down()
    page.mouse.move(1000, 700, steps=5)
    page.mouse.up()
    page.get_by_text("fetching statuses").first.wait_for(state="detached", timeout=TEXT_SECONDS * 1000)


def _widen(page: Page) -> None:
    """The steps in the picture, without the log below them."""
    page.get_by_label("expand_arrows").first.click()


def _check(page: Page) -> None:
    """What the check said."""
    page.get_by_text("quarantine_share").first.click()


def _backfill(ui: Ui) -> None:
    days = [date.fromordinal(day).isoformat() for day in range(*_ordinals())]
    asked = ui.ask(BACKFILL, params={"partitionNames": days, "assetSelection": [{"path": ["segment_days"]}]})
    assert asked["__typename"] == "LaunchBackfillSuccess", asked
    number = asked["backfillId"]
    run = ui.over(1, tags=[{"key": "dagster/backfill", "value": number}])
    assert run["status"] == "SUCCESS", run
    until(lambda: ui.ask(FILLING, id=number)["status"].startswith("COMPLETED"), RUN_SECONDS, "the backfill")
    ui.shoot("backfill", f"/runs/b/{number}", number, "segment_days", "100% completed")


def _ordinals() -> tuple[int, int]:
    first, last = (date.fromisoformat(day).toordinal() for day in FILLED)
    return first, last + 1


def _bad_file(settings: Settings) -> None:
    """Contacts exported with the wrong columns."""
    path = settings.landing / "crm" / "2026-10-01.csv"
    good = max(path.parent.glob("*.csv")).read_text().splitlines()
    path.write_text("\n".join([good[0], *(line.replace(",", ";") for line in good[1:])]) + "\n")


def _shop(folder: Path) -> Settings:
    """A project and home of its own, with a month of files that have landed."""
    project = folder / "project"
    shutil.copytree(ROOT / "dbt_project", project / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    for name in ("sources.yml", "sinks.yml", "policy.yml"):
        shutil.copy(ROOT / name, project / name)
    recorder = f"http://127.0.0.1:{free_port()}"
    settings = Settings(project=project, home=folder / "home", recorder=recorder, environ=dict(os.environ))
    generate(settings.landing, people=PEOPLE, days=DAYS, start=FIRST)
    return settings


@contextmanager
def _dagster(settings: Settings) -> Iterator[str]:
    """`tailrace ui`, ended with all it started."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = settings.home / "ui.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration", "ui", "--port", str(port)],
            cwd=ROOT,
            env=child(settings),
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until(lambda: _answers(url) or process.poll() is not None, START_SECONDS, "Dagster")
            yield url
        except BaseException:
            sys.stderr.write(log.read_text()[-6000:])
            raise
        finally:
            stop(process)


def _answers(url: str) -> bool:
    try:
        question = {"query": "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"}
        answer = httpx.post(f"{url}/graphql", json=question, timeout=10).json()
        return bool(answer["data"]["repositoriesOrError"].get("nodes"))
    except (httpx.HTTPError, json.JSONDecodeError):
        return False


def until(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(1)
    message = f"waited {seconds} s for {what}"
    raise TimeoutError(message)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
