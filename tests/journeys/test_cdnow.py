"""Real purchases of 1997 and 1998 through two journeys, in the real loop, beside the oracle."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, date, timedelta

import pytest
import yaml

from assets import configuration, stages, store
from assets.refresh import refresh
from models.clock import Clock, end_of_day
from models.settings import Settings
from orchestration import journeys
from tests.e2e.test_cdnow import LAST_DAY, PURCHASES, STAGING, Purchase, project_with_purchases, purchases
from tests.journeys import harness, observed
from tests.sampling import sampled

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sampled("module"),
    pytest.mark.skipif(not PURCHASES.exists(), reason=f"the purchases are not here ({PURCHASES.name})"),
]
FIRST_NIGHT = date(1997, 1, 31)
EVERY = timedelta(days=sampled(21, 91))
DIGITS = sampled("0123456789", "05")  # buyers whose numbers end in one of these
JOURNEYS = {
    "second_purchase": """\
journey: second_purchase
entry: {event: Order Completed}
goal: {event: Order Completed, within: 26 weeks}
holdout: 20%
steps:
  - wait_for: {event: Order Completed, timeout: 8 weeks, then: exit}
  - send: {sink: mail, template: again, purpose: transactional, expires: 4 weeks}
""",
    "win_back": """\
journey: win_back
entry: {segment: seg_lapsed, reentry: after_exit}
exit: [{event: Order Completed}]
goal: {event: Order Completed, within: 26 weeks}
steps:
  - send: {sink: mail, template: again}
  - wait: {until: monday 10:00}
  - split: {a: 50, b: 50, steps: {a: [{send: {sink: mail, template: again, purpose: transactional}}], b: next}}
  - wait: 4 weeks
""",
}
TEMPLATE = "---\nsubject: Again?\n---\nAgain? {{ unsubscribe_url }} {{ preferences_url }}\n"


def bought() -> list[Purchase]:
    """Their purchases."""
    return [one for one in purchases() if one.customer[-1] in DIGITS]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The purchases landed and refreshed every few weeks; the journeys are published after the first time."""
    project = project_with_purchases(tmp_path_factory.mktemp("cdnow"))
    staging = project / "dbt_project" / "models" / "staging" / "stg_cdnow.sql"
    address = "'customer' || substring(record, 2, 5) || '@cdnow.example'"
    staging.write_text(STAGING.replace("cast(null as {{ text_type() }}) as email", f"{address} as email"))
    sources = yaml.safe_load((project / "sources.yml").read_text())
    sources["sources"]["cdnow"]["loaded_through"] = {"lag": "1 hour"}
    (project / "sources.yml").write_text(yaml.safe_dump(sources))
    settings_file = project / "dbt_project" / "dbt_project.yml"
    settings_file.write_text(settings_file.read_text().replace("lapsed_days: 365", "lapsed_days: 120"))
    shutil.rmtree(project / "dbt_project" / "journeys")
    shutil.rmtree(project / "dbt_project" / "templates")
    for name, text in JOURNEYS.items():
        file = project / "dbt_project" / "journeys" / f"{name}.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    (project / "dbt_project" / "templates").mkdir()
    (project / "dbt_project" / "templates" / "again.txt").write_text(TEMPLATE)
    policy = project / "policy.yml"
    policy.write_text(policy.read_text() + "max_send: 100%\n")
    settings = Settings(project=project, home=project / "home")
    (settings.landing / "cdnow").mkdir(parents=True)
    night, before, everything = FIRST_NIGHT, date(1996, 12, 31), bought()
    while before < LAST_DAY:
        lines = [one.line for one in everything if before < one.day <= night]
        (settings.landing / "cdnow" / f"{night}.txt").write_text("".join(lines))
        clock = Clock.at(end_of_day(night, UTC))
        assert refresh(settings, clock).ok
        if night == FIRST_NIGHT:
            for name in JOURNEYS:
                journeys.publish(settings, name, Clock.at(clock.as_of + timedelta(microseconds=1)))
        before, night = night, min(night + EVERY, LAST_DAY)
    return settings


def test_every_person_is_where_the_oracle_says(ran: Settings) -> None:
    """Runs, non-entries, transitions, holdouts and refusals of every buyer are the oracle's."""
    with store.locked(ran), stages.opened(ran) as warehouse:
        assert not observed.differences(warehouse, configuration.policy(ran))
        found = harness.of_engine(warehouse)
    assert {row[1] for row in found["runs"]} == set(JOURNEYS)
    assert {row[2] for row in found["transitions"]} >= {"timed_out", "exited", "goal", "sent", "split"}


def test_the_second_purchase_journey_is_what_the_file_says(ran: Settings) -> None:
    """Whoever bought since the publication entered once; those who bought again in time, that day too, converted."""
    everything = [one for one in bought() if one.day > FIRST_NIGHT]
    days_of: dict[str, list[date]] = {}
    for one in everything:
        days_of.setdefault(one.customer, []).append(one.day)
    again = [who for who, days in days_of.items() if any(day <= days[0] + timedelta(weeks=26) for day in days[1:])]
    with store.reading(ran) as copy:
        runs = copy.rows("select run_id from journey_run where journey = 'second_purchase'")
        goals = copy.rows("select run_id from journey_transition where journey = 'second_purchase' and kind = 'goal'")
    assert Counter(row["run_id"] for row in runs).most_common(1)[0][1] == 1
    assert len(runs) == len(days_of)
    assert len(goals) == len(again)
