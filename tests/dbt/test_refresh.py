"""What a refresh does again, what it leaves alone, and what one broken model stops."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
import yaml

from assets import dbt_project, lineage, stages, store
from assets.refresh import refresh
from assets.syncs import load_syncs, named
from assets.upstream import upstream
from models.clock import Clock
from models.errors import BuildFailed, ConfigError, Refused
from models.settings import Settings
from orchestration.environment import child
from warehouse.duckdb import DuckDB

pytestmark = pytest.mark.sampled


def order(message_id: str, user: str, at: Clock, revenue: int = 10) -> dict[str, Any]:
    return {
        "id": message_id,
        "type": "track",
        "event": "Order Completed",
        "userId": user,
        "at": (at.as_of - timedelta(hours=3)).isoformat(),
        "properties": {"revenue": revenue},
    }


def live(settings: Settings, sql: str) -> list[dict[str, Any]]:
    with DuckDB(settings.warehouse) as warehouse:
        return warehouse.rows(sql)


def edit(settings: Settings, file: str, old: str, new: str) -> None:
    path = settings.dbt_project / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_refresh_with_nothing_new_builds_no_profile(settings, land, night, ask) -> None:
    """A minute later nothing is staged, nobody identified, no profile built; only the look at segments is published."""
    land("shop/1.ndjson", [order("1", "ann", night(1))])
    first = refresh(settings, night(1))
    assert first.profiles_built
    assert first.identity.minted == 1
    again = refresh(settings, Clock.at(night(1).as_of + timedelta(minutes=1)))
    assert not again.staged.built
    assert again.identity.skipped
    assert not again.profiles_built
    assert not any(each.entered or each.left for each in again.segments)
    # until when sources are loaded, people are known and segments evaluated is all that is new
    assert set(again.published) == {"segment_evaluation", "people_evaluation", "source_loaded"}
    assert ask("select count(*) as n from profiles") == [{"n": 1}]


def rebuilt(settings: Settings, clock: Clock) -> set[str]:
    """The segments and payloads that a look at this clock builds."""
    with store.locked(settings):
        return set(stages.build_segments(settings, clock).built)


def test_segments_are_built_when_something_can_have_changed(settings, land, night) -> None:
    """A minute later none is built; all are on another day, after an event, or when one was edited, also back again."""
    land("shop/1.ndjson", [order("1", "ann", night(1))])
    refresh(settings, night(1))
    later = Clock.at(night(1).as_of + timedelta(minutes=1))
    assert rebuilt(settings, later) == set()
    assert "seg_new" in rebuilt(settings, night(2))
    assert rebuilt(settings, night(2)) == set()
    for old, new in (("from", "-- of all\nfrom"), ("-- of all\nfrom", "from")):
        edit(settings, "models/segments/seg_new.sql", old, new)
        with store.locked(settings):
            assert stages.build_segments(settings, night(2), ["seg_new"]).built == {"seg_new"}
        assert "seg_new" in rebuilt(settings, night(2))
    land("shop/2.ndjson", [order("2", "bea", night(2))])
    refresh(settings, Clock.at(night(2).as_of + timedelta(minutes=1)))
    assert live(settings, "select count(*) as n from seg_new") == [{"n": 2}]


def test_a_model_that_reads_the_moment_is_built_at_every_look(settings, land, night) -> None:
    """A segment whose SQL asks for as_of itself is not left as it was a minute ago."""
    edit(
        settings,
        "models/segments/seg_new.sql",
        "first_seen_at >=",
        "first_seen_at <= {{ as_of() }} and first_seen_at >=",
    )
    land("shop/1.ndjson", [order("1", "ann", night(1))])
    refresh(settings, night(1))
    assert "seg_new" in rebuilt(settings, Clock.at(night(1).as_of + timedelta(minutes=1)))


def test_nothing_new_is_seen_without_dbt(settings, land, night) -> None:
    """A refresh that builds nothing does not wait for dbt's import."""
    land("shop/1.ndjson", [order("1", "ann", night(1))])
    refresh(settings, night(1))
    moment = (night(1).as_of + timedelta(minutes=1)).isoformat()
    code = (
        "import sys; from orchestration import cli; "
        f"code = cli.run(['refresh', '--as-of', '{moment}']); sys.exit(code or ('dbt.cli.main' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child(settings), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_only_new_batches_are_read_and_the_future_becomes_due(settings, land, night, ask) -> None:
    """A second file adds its events alone, and an event from the future counts once the clock reaches it."""
    land("shop/1.ndjson", [order("1", "ann", night(1)), order("2", "bea", night(3))])
    refresh(settings, night(1))
    assert ask("select sum(orders) as orders from profiles") == [{"orders": 1}]
    land("shop/2.ndjson", [order("1", "ann", night(2)), order("3", "ann", night(2))])
    second = refresh(settings, night(2))
    assert second.staged.built
    assert not second.staged.full_refresh
    assert ask("select sum(orders) as orders from profiles") == [{"orders": 2}]
    third = refresh(settings, night(3))
    assert third.staged.built
    assert third.identity.minted == 1
    assert ask("select sum(orders) as orders from profiles") == [{"orders": 3}]


def test_time_does_not_go_back(settings, land, night) -> None:
    """A refresh earlier than the last is refused before it reads anything; the same clock again is not."""
    land("shop/1.ndjson", [order("1", "ann", night(2))])
    refresh(settings, night(2))
    land("shop/2.ndjson", [order("2", "bea", night(2))])
    with pytest.raises(Refused, match="backfill"):
        refresh(settings, night(1))
    assert live(settings, "select count(*) as n from raw.shop") == [{"n": 1}]
    assert refresh(settings, night(2)).identity.minted == 1


def test_a_changed_staging_model_is_applied_to_everything(settings, land, night, ask) -> None:
    """When staging changes the event log is built anew, people keep their ids, and history says why it moved."""
    land("shop/1.ndjson", [order("1", "ann", night(1), revenue=600), order("2", "bea", night(1))])
    refresh(settings, night(1))
    before = ask("select profile_id from profiles order by 1")
    edit(
        settings,
        "models/staging/stg_shop.sql",
        "'shop' as source,\n        case",
        "'shop' as source,\n        case when event = 'Order Completed' then 'Cart Updated'",
    )
    result = refresh(settings, night(2))
    assert result.staged.full_refresh
    assert ask("select distinct name from events") == [{"name": "Cart Updated"}]
    assert ask("select profile_id from profiles order by 1") == before
    changes = ask("select change, cause from segment_history where segment = 'seg_high_value' order by as_of")
    assert changes == [{"change": "entered", "cause": "first"}, {"change": "left", "cause": "definition"}]


def test_a_broken_segment_stops_only_what_reads_it(settings, land, night, ask) -> None:
    """It is named with its file and line; it and what is below keep their tables and history, all others go on."""
    land("shop/1.ndjson", [order("1", "ann", night(1), revenue=600)])
    refresh(settings, night(1))
    edit(settings, "models/segments/seg_high_value.sql", "revenue >=", "revenu >=")
    land("shop/2.ndjson", [order("2", "bea", night(2), revenue=700)])
    result = refresh(settings, night(2))
    assert set(result.broken) == {"seg_high_value", "seg_high_value_lapsed"}
    assert result.broken["seg_high_value"].startswith(
        "dbt_project/models/segments/seg_high_value.sql:4:5: there is no column 'revenu'; did you mean 'revenue'?"
    )
    assert {"seg_new", "seg_lapsed"} <= {each.segment for each in result.segments}
    assert not {"seg_high_value", "seg_high_value_lapsed"} & {each.segment for each in result.segments}
    assert ask("select count(*) as n from seg_high_value") == [{"n": 1}]
    assert ask("select count(*) as n from seg_new") == [{"n": 2}]
    assert [row["model"] for row in live(settings, "select model from tailrace.broken_models order by model")] == [
        "seg_high_value",
        "seg_high_value_lapsed",
    ]
    edit(settings, "models/segments/seg_high_value.sql", "revenu >=", "revenue >=")
    assert refresh(settings, night(3)).ok
    assert live(settings, "select count(*) as n from tailrace.broken_models") == [{"n": 0}]


def test_a_segment_with_two_rows_a_person_is_broken(settings, land, night, ask) -> None:
    """A failed key test is a broken segment: its history stays where it was."""
    land("shop/1.ndjson", [order("1", "ann", night(1))])
    refresh(settings, night(1))
    edit(
        settings,
        "models/segments/seg_one_time_buyers.sql",
        "select profile_id",
        "select unnest([profile_id, profile_id]) as profile_id",
    )
    result = refresh(settings, night(2))
    assert set(result.broken) == {"seg_one_time_buyers"}
    history = ask("select count(*) as n from segment_history where segment = 'seg_one_time_buyers'")
    assert history == [{"n": 1}]


def test_a_segment_of_no_people_stops_only_itself(settings, land, night, ask) -> None:
    """One without profile ids, or with numbers for them, is broken; everybody else's history goes on."""
    land("shop/1.ndjson", [order("1", "ann", night(1))])
    folder = settings.dbt_project / "models" / "segments"
    (folder / "seg_numbers.sql").write_text("select 1 as profile_id\n")
    (folder / "seg_addresses.sql").write_text("select email\nfrom {{ ref('profiles') }}\n")
    result = refresh(settings, night(1))
    place, other = (f"dbt_project/models/segments/seg_{name}.sql: " for name in ("numbers", "addresses"))
    assert result.broken == {
        "seg_numbers": f"{place}profile_id is integer; a segment gives those of profiles, which are varchar",
        "seg_addresses": f"{other}a segment gives a column profile_id; this one gives email",
    }
    assert ask("select count(*) as n from segment_history where segment = 'seg_new'") == [{"n": 1}]


def test_a_broken_profile_model_stops_the_refresh(settings, land, night, ask) -> None:
    """What everybody reads must be whole: the error says where, the copy has it and is else as it was."""
    land("shop/1.ndjson", [order("1", "ann", night(1))])
    refresh(settings, night(1))
    edit(settings, "models/profiles/int_profile_activity.sql", "min(occurred_at)", "min(ocurred_at)")
    with pytest.raises(BuildFailed, match=r"int_profile_activity\.sql:15"):
        refresh(settings, night(2))
    assert ask("select count(*) as n from profiles") == [{"n": 1}]
    assert "int_profile_activity" in {row["model"] for row in ask("from broken_models")}


@pytest.mark.parametrize(
    ("model", "file", "right", "wrong"),
    [
        ("stg_events", "staging/stg_shop.sql", "case\n            when event", "case when true then null when event"),
        ("profiles", "profiles/profiles.sql", "    activity.profile_id,", "    'all of them' as profile_id,"),
    ],
)
def test_a_mistake_taken_back_leaves_nothing_behind(settings, land, night, model, file, right, wrong) -> None:
    """What a failed test let into a table goes when the SQL is again as it was; until then the model is broken."""
    land("shop/1.ndjson", [order("1", "ann", night(1)), order("2", "bea", night(1))])
    refresh(settings, night(1))
    before = live(settings, f"from {model} order by all")
    edit(settings, f"models/{file}", right, wrong)
    with pytest.raises(BuildFailed):
        refresh(settings, night(1))
    assert live(settings, f"from {model} order by all") != before
    assert model in {row["model"] for row in live(settings, "from tailrace.broken_models")}
    edit(settings, f"models/{file}", wrong, right)
    assert refresh(settings, night(1)).ok
    assert live(settings, f"from {model} order by all") == before
    assert live(settings, "from tailrace.broken_models") == []


def test_a_misspelt_ref_is_found_before_anything_runs(settings, night) -> None:
    """An unknown model is refused with file, line and what was probably meant."""
    edit(settings, "models/segments/seg_lapsed.sql", "ref('profiles')", "ref('profils')")
    with pytest.raises(ConfigError, match=r"seg_lapsed\.sql:2: there is no model 'profils'; did you mean 'profiles'"):
        refresh(settings, night(1))


def test_a_source_needs_a_staging_model(settings, night) -> None:
    """A source without one is refused with the line of its entry and the file to write."""
    path = settings.project / "sources.yml"
    path.write_text(path.read_text() + "\n  till:\n    files: till/*.ndjson\n    format: ndjson\n")
    with pytest.raises(ConfigError, match=r"sources\.yml:\d+: sources\.till: .*stg_till\.sql"):
        refresh(settings, night(1))


def test_a_staging_model_gives_the_shape(settings, land, night) -> None:
    """A column that is missing is named, with the model."""
    edit(settings, "models/staging/stg_outcomes.sql", "loaded_at as known_at", "loaded_at as knwn_at")
    with pytest.raises(BuildFailed, match="stg_outcomes lacks known_at"):
        refresh(settings, night(1))


IN_PLACE = """\
{{ config(materialized='table') }}

select
    cast(id as varchar) as event_id, null as batch_id, null as anonymous_id, null as user_id, null as crm_id,
    null as profile_id, 'till' as source, 'Order Completed' as name, email, null as phone,
    '{"revenue": ' || paid || '}' as properties,
    bought_at as occurred_at, null as received_at, written_at as known_at
from {{ raw('till') }}
"""


def test_a_table_in_place_is_read_where_it_is_and_may_be_away(settings, land, night, ask) -> None:
    """Its rows become events; when its file is away the source is stale, what was staged of it stays, others go on."""
    path = settings.project / "till.duckdb"
    with duckdb.connect(str(path)) as till:
        till.execute("create table sales (id int, email text, paid int, bought_at timestamptz, written_at timestamptz)")
        till.execute(
            "insert into sales values (1, 'ann@shop.example', 5, '2026-01-01 10:00:00+00', '2026-01-01 11:00:00+00')"
        )
        till.execute(
            "insert into sales values (2, 'ann@shop.example', 7, '2026-01-01 10:00:00+00', '2026-01-02 11:00:00+00')"
        )
    sources = settings.project / "sources.yml"
    declared = yaml.safe_load(sources.read_text())
    declared["sources"]["till"] = {"database": "till.duckdb", "table": "main.sales", "known_at": "written_at"}
    declared["sources"]["till"]["max_age"] = "40 hours"
    sources.write_text(yaml.safe_dump(declared))
    (settings.dbt_project / "models/staging/stg_till.sql").write_text(IN_PLACE)

    refresh(settings, night(1))
    assert ask("select count(*) as n from events where source = 'till'") == [{"n": 1}]

    def till_opens(stage: str) -> None:
        """Once it is read, whoever writes to it may: for the rest of the refresh it is as if it were closed."""
        if stage == "identity":
            code = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
            subprocess.run([sys.executable, "-c", code, str(path)], check=True)

    refresh(settings, night(2), till_opens)
    assert [str(row["revenue"]) for row in ask("select revenue from profiles")] == ["12.00"]

    path.rename(path.with_suffix(".away"))
    land("shop/1.ndjson", [order("1", "bea", night(3))])
    result = refresh(settings, night(3))
    assert set(result.staged.stale) == {"till"}
    assert ask("select count(*) as n from profiles") == [{"n": 2}]

    sync = named(load_syncs(settings, dbt_project.read_manifest(settings)), "crm/seg_lapsed")
    with DuckDB(settings.warehouse) as warehouse:
        assert upstream(warehouse, settings, sync, night(3), night(3).as_of).stale == {}
        stale = upstream(warehouse, settings, sync, night(4), night(4).as_of + timedelta(days=1)).stale
    assert stale == {"till": datetime(2026, 1, 2, 11, tzinfo=UTC)}


def test_what_a_segment_means_is_its_sql_and_what_it_reads(settings) -> None:
    """Its definition moves with its SQL, a threshold it uses and a model above it, not with another's or with prose."""

    def definitions() -> dict[str, str]:
        parsed, known = dbt_project.project(settings), dbt_project.variables(settings)
        names = ("seg_lapsed", "seg_high_value", "seg_high_value_lapsed")
        return {name: lineage.definition(parsed, [name], known) for name in names}

    before = definitions()
    edit(settings, "models/segments/_segments.yml", "description: Bought before", "description: Bought once before")
    assert definitions() == before
    edit(settings, "dbt_project.yml", "lapsed_days: 21", "lapsed_days: 22")
    after = definitions()
    assert after["seg_high_value"] == before["seg_high_value"]
    assert after["seg_lapsed"] != before["seg_lapsed"]
    assert after["seg_high_value_lapsed"] != before["seg_high_value_lapsed"]
    path = settings.dbt_project / "seeds/blocked_identifiers.csv"
    path.write_text(path.read_text() + "kiosk@shop.example,shared address\n")
    assert definitions()["seg_high_value"] != before["seg_high_value"]


def test_a_newly_blocked_value_splits_whom_it_joined(settings, land, night, ask) -> None:
    """After a value is blocked, people it joined are two again, and the one with the account keeps the id."""
    kiosk = {"email": "kiosk@shop.example"}
    ann, bea = order("1", "ann", night(1)), {**order("2", "", night(1)), "anonymousId": "d1"}
    land("shop/1.ndjson", [{**ann, "traits": kiosk}, {**bea, "traits": kiosk}])
    refresh(settings, night(1))
    (joined,) = ask("select profile_id from profiles")
    path = settings.dbt_project / "seeds/blocked_identifiers.csv"
    path.write_text(path.read_text() + "kiosk@shop.example,shared address\n")
    refresh(settings, night(2))
    holders = {row["identifier"]: row["profile_id"] for row in ask("select * from profile_map")}
    assert holders["ann"] == joined["profile_id"]
    assert holders["d1"] != joined["profile_id"]
    assert ask("select count(*) as n from profiles") == [{"n": 2}]


def test_nothing_is_printed_or_left_in_the_project(settings, night, capfd) -> None:
    """What dbt says goes to its log file, and all it writes is below the target's own folder."""
    refresh(settings, night(1))
    assert capfd.readouterr() == ("", "")
    assert not {path.name for path in settings.dbt_project.iterdir()} & {"target", "logs", ".user.yml"}
    assert (settings.dbt_target / "logs" / "dbt.log").exists()
    assert json.loads((settings.dbt_target / "main" / "manifest.json").read_text())["metadata"]["project_name"]
