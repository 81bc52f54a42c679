"""The command line as a person or a program meets it: exit codes, one clear error, JSON that keeps its shape."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import typer

from assets import store
from models.settings import Settings
from orchestration import cli, environment
from orchestration.environment import child
from tests.orchestration.conftest import Tailrace
from warehouse.duckdb import DuckDB


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sql", "select 1"], "nothing is published yet"),
        (["plan", "crm/seg_nobody"], "no sync 'crm/seg_nobody'"),
        (["ingest", "shopp"], "no source 'shopp'"),
        (["refresh", "--as-of", "yesterday"], "'yesterday' is not a date"),
        (["resume", "all"], "'all' is not paused"),
        (["release", "crm/seg_high_value"], "crm/seg_high_value holds nothing"),
        (["apply", "0123456789ab"], "no plan '0123456789ab'"),
        (["apply", "channel:sms"], "what can: PLAN_ID, as `tailrace plan` says it, or journey:NAME"),
        (["apply", "journey:nope"], "no journey 'nope' is published; published: none"),
        (["pause", "channel:"], "no channel ''; there are: email, push, sms"),
        (["pause", "journey:"], "no journey ''; written or published: cart_recovery, post_purchase, welcome, win_back"),
        (["backfill", "segment_days", "--from", "soon"], "'soon' is not a day"),
        (["backtest", "a", "--from", "0001-01-01", "--to", "2026-01-01"], "allowed: 1970-01-01 to 2999-12-31"),
        (["tick", "--as-of", "0001-01-01T00:00:00+14:00"], "is not a date (2026-11-24) or a moment"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tailrace: Tailrace, arguments: list[str], said: str) -> None:
    """What a person got wrong is told on stderr without a traceback, as JSON on stdout where that was asked for."""
    ran = tailrace(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    error = tailrace(*arguments, "--json")
    assert error.code == 2
    assert said in error.json["error"]["message"]
    assert set(error.json["error"]) == {"kind", "message", "file", "line", "key"}


def test_a_wrong_target_is_refused(tailrace: Tailrace, monkeypatch: pytest.MonkeyPatch) -> None:
    """TAILRACE_TARGET is dev or prod; anything else is said before anything is opened."""
    monkeypatch.setenv("TAILRACE_TARGET", "production")
    ran = tailrace("status")
    assert ran.code == 2
    assert "it may be dev or prod" in ran.err


def test_a_memory_limit_is_a_size(tailrace: Tailrace, monkeypatch: pytest.MonkeyPatch) -> None:
    """TAILRACE_MEMORY_LIMIT reaches the engine; what is no size is refused with what is allowed."""
    monkeypatch.setenv("TAILRACE_MEMORY_LIMIT", "300MB")
    assert environment.settings().memory_limit == "300MB"
    with store.writing(environment.settings()) as warehouse:
        assert warehouse.rows("select current_setting('memory_limit') as held") == [{"held": "286.1 MiB"}]
    monkeypatch.setenv("TAILRACE_MEMORY_LIMIT", "plenty")
    ran = tailrace("status")
    assert (ran.code, "like 4GB" in ran.err) == (2, True)


def test_a_warehouse_is_a_url(tailrace: Tailrace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TAILRACE_WAREHOUSE names the file, and reaches child processes; others are refused, a password unsaid."""
    url = f"duckdb://{tmp_path / 'other' / 'warehouse.duckdb'}"
    monkeypatch.setenv("TAILRACE_WAREHOUSE", url)
    now = environment.settings()
    assert (now.warehouse, now.published.parent) == (tmp_path / "other" / "warehouse.duckdb", tmp_path / "other")
    assert environment.child(now)["TAILRACE_WAREHOUSE"] == url
    for wrong in ("mysql://ann:s3cret@db/shop", "s3cret"):
        monkeypatch.setenv("TAILRACE_WAREHOUSE", wrong)
        ran = tailrace("status")
        assert (ran.code, "duckdb:/// or postgresql://" in ran.err, "s3cret" in ran.err) == (2, True, False)


def test_a_journal_is_the_url_of_a_database(tailrace: Tailrace, monkeypatch: pytest.MonkeyPatch) -> None:
    """TAILRACE_JOURNAL reaches child processes, has a schema a target, and is shown without its password."""
    url = "postgresql://ann:s3cret@db.example:5433/shop?sslmode=require"
    monkeypatch.setenv("TAILRACE_JOURNAL", url)
    now = environment.settings()
    assert environment.child(now)["TAILRACE_JOURNAL"] == url
    assert str(now.journal) == "tailrace_dev_journal at postgresql://db.example:5433/shop"
    assert str(replace(now, target="prod").journal) == "tailrace_journal at postgresql://db.example:5433/shop"
    assert "s3cret" not in f"{now!r}{now.journal!r}"
    for wrong in ("mysql://ann:s3cret@db/shop", "s3cret", "postgresql://ann:s3cret@db", "postgresql://[s3cret/shop"):
        monkeypatch.setenv("TAILRACE_JOURNAL", wrong)
        ran = tailrace("status")
        assert (ran.code, "postgresql://user:password@host" in ran.err, "s3cret" in ran.err) == (2, True, False)


def test_two_warehouses_are_compared(shop: Settings, tailrace: Tailrace, tmp_path: Path) -> None:
    """`compare` ends with 0 where both publish the same, with 1 and the tables where not, with 2 without a copy."""
    urls = []
    for name, people in (("one", "select 'p1' as profile_id"), ("other", "select 'p2' as profile_id")):
        urls.append(f"duckdb://{tmp_path / name / 'warehouse.duckdb'}")
        (tmp_path / name).mkdir()
        with DuckDB(tmp_path / name / "published.duckdb") as copy:
            copy.create_table("published", "select 'profiles' as name, 'd' as digest")
            copy.create_table("profiles", people)
    assert tailrace("compare", urls[0], urls[0]).out == "the same: 1 tables, 1 rows\n"
    ran = tailrace("compare", *urls, "--json")
    table = {"name": "profiles", "rows_a": 1, "rows_b": 1, "differing": 2, "columns": []}
    assert (ran.code, ran.json) == (1, {"tables": [table]})
    assert "tables that differ" in tailrace("compare", *urls).out
    ran = tailrace("compare", urls[0], f"duckdb://{tmp_path / 'nothing.duckdb' / 'warehouse.duckdb'}")
    assert (ran.code, "nothing is published in the second warehouse" in ran.err) == (2, True)


def test_numbers_are_numbers_and_moments_are_text(tailrace: Tailrace) -> None:
    """`sql --json` is a list of objects: decimals and counts as numbers, moments in ISO and UTC, nulls as null."""
    assert tailrace("refresh", "--as-of", "2026-01-04").code == 0
    ran = tailrace("sql", "select revenue, orders, last_order_at, phone from profiles order by revenue", "--json")
    assert ran.code == 0
    assert ran.json == [
        {"revenue": 0, "orders": 0, "last_order_at": None, "phone": None},
        {"revenue": 600.0, "orders": 1, "last_order_at": "2026-01-04T10:00:00+00:00", "phone": None},
    ]
    assert tailrace("sql", "delete from profiles").code == 2


def test_the_whole_way_by_hand(tailrace: Tailrace) -> None:
    """refresh, plan, sync, status and pause agree with each other, and the fixed shapes of their JSON hold."""
    assert tailrace("refresh", "--as-of", "2026-01-04").code == 0
    plan = tailrace("plan", "crm/seg_high_value", "--as-of", "2026-01-04", "--json").json
    assert {"plan_id", "sync", "as_of", "upsert", "remove", "send", "held", "guards"} <= set(plan)
    assert (plan["upsert"], set(plan["held"])) == (1, {"rejected", "unknown", "suppressed"})
    assert "ann@x.com" not in json.dumps(plan)
    shown = tailrace("plan", "crm/seg_high_value", "--as-of", "2026-01-04", "--json", "--show-pii")
    assert "ann@x.com" in shown.out
    assert tailrace("pause", "crm/seg_high_value", "--json").json == {"paused": ["crm/seg_high_value"]}
    status = tailrace("status", "--json").json
    assert {"sources", "segments", "syncs", "runs", "needs_a_person"} <= set(status)
    (sync,) = [one for one in status["syncs"] if one["name"] == "crm/seg_high_value"]
    assert sync == {
        "name": "crm/seg_high_value",
        "in_audience": 1,
        "accepted": 0,
        "rejected": 0,
        "unknown": 0,
        "pending": 0,
        "paused": True,
    }
    assert any("tailrace resume" in line for line in status["needs_a_person"])


def test_any_home_writes_to_a_file_of_duckdb(tailrace: Tailrace) -> None:
    """There `take-over` says that nothing is to be taken over; on Spark see engines/test_spark_writers.py."""
    assert tailrace("take-over", "--json").json == {"before": None}
    assert "nothing to take over" in tailrace("take-over").out


def test_a_half_written_journey_stops_only_itself(shop: Settings, tailrace: Tailrace) -> None:
    """With a journey file that cannot be read all else goes on, and whoever looks or ticks is told which file it is."""
    assert tailrace("refresh", "--as-of", "2026-01-04").code == 0
    assert tailrace("publish", "post_purchase", "--as-of", "2026-01-05T01:00:00+00:00").code == 0
    half = shop.dbt_project / "journeys" / "half.yml"
    half.write_text("journey: half\nentry: {event: Signed Up\n")
    (needed,) = [one for one in tailrace("status", "--json").json["needs_a_person"] if "half.yml" in one]
    assert needed.startswith("journey half: ")
    drawn = {row["journey"]: row for row in tailrace("journeys", "--json").json}
    assert "half.yml" in drawn["half"]["waiting"]
    assert drawn["post_purchase"]["waiting"] is None
    assert tailrace("publish", "welcome", "--as-of", "2026-01-05T02:00:00+00:00").code == 0
    assert tailrace("sync", "files/seg_one_time_buyers", "--as-of", "2026-01-05").code == 0
    ticked = tailrace("tick", "--as-of", "2026-01-06", "--json")
    assert (ticked.code, ticked.json["tick"]) == (1, 1)
    assert ticked.json["unread"] == [needed]
    assert tailrace("pause", "journey:half").code == 0
    for command in ("publish", "journeys"):
        refused = tailrace(command, "half")
        assert refused.code == 2
        assert "half.yml" in refused.err
    assert tailrace("check").code == 2


def test_a_half_written_template_stops_only_its_messages(shop: Settings, tailrace: Tailrace) -> None:
    """With a template that cannot be read other syncs go on, and whoever looks or ticks is told which file it is."""
    assert tailrace("refresh", "--as-of", "2026-01-04").code == 0
    assert tailrace("publish", "post_purchase", "--as-of", "2026-01-05T01:00:00+00:00").code == 0
    (shop.dbt_project / "templates" / "half.txt").write_text("---\nsubject: Hello\n")
    (needed,) = [one for one in tailrace("status", "--json").json["needs_a_person"] if "half.txt" in one]
    assert needed.startswith("template half: ")
    assert tailrace("sync", "files/seg_one_time_buyers", "--as-of", "2026-01-05").code == 0
    ticked = tailrace("tick", "--as-of", "2026-01-06", "--json")
    assert (ticked.code, ticked.json["tick"], ticked.json["unread"]) == (1, 1, [needed])
    assert tailrace("check").code == 2


def test_a_published_journey_is_held_without_its_file(shop: Settings, tailrace: Tailrace) -> None:
    """A journey whose file is gone is paused as others are; what is not published is not applied; no tick goes back."""
    assert tailrace("refresh", "--as-of", "2026-01-04").code == 0
    assert tailrace("publish", "post_purchase", "--as-of", "2026-01-05T01:00:00+00:00").code == 0
    (shop.dbt_project / "journeys" / "post_purchase.yml").unlink()
    assert tailrace("pause", "journey:post_purchase", "--json").json == {"paused": ["journey:post_purchase"]}
    assert "no journey 'post_purchas'; did you mean" in tailrace("pause", "journey:post_purchas").err
    assert "published: post_purchase" in tailrace("apply", "journey:welcome").err
    assert tailrace("tick", "--as-of", "2026-01-06").code == 0
    back = tailrace("tick", "--as-of", "2020-01-01", "--json")
    assert (back.code, back.json["error"]["kind"]) == (3, "refused")


def test_without_a_recorder_nothing_is_claimed(tailrace: Tailrace) -> None:
    """In dev a sync says that no recorder answers, needs a person, and has opened no delivery."""
    tailrace("refresh", "--as-of", "2026-01-04")
    ran = tailrace("sync", "crm/seg_high_value", "--as-of", "2026-01-04")
    assert ran.code == 1
    assert "recorder" in ran.out + ran.err
    assert tailrace("sql", "from sync_runs", "--json").json == []


def test_a_clock_that_goes_back_is_refused(tailrace: Tailrace) -> None:
    """A refresh as of a time before the last one's is refused with exit code 3, and nothing is done."""
    tailrace("refresh", "--as-of", "2026-01-05")
    ran = tailrace("refresh", "--as-of", "2026-01-04", "--json")
    assert ran.code == 3
    assert ran.json["error"]["kind"] == "refused"


def test_help_and_sql_do_not_wait_for_dbt_or_dagster(shop: Settings) -> None:
    """`tailrace --help` and `tailrace sql` import neither dbt nor Dagster nor polars."""
    for arguments in (["--help"], ["sql", "select 1"]):
        code = f"import sys; from orchestration import cli; cli.run({arguments})\n"
        code += "sys.exit(len({'dbt', 'dagster', 'polars'} & set(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **child(shop)}, capture_output=True, check=False
        )
        assert done.returncode == 0


def test_every_command_takes_json() -> None:
    """Whatever a person is told, a program can be told."""
    commands = typer.main.get_command(cli.app).commands
    assert [name for name, command in commands.items() if not any("--json" in one.opts for one in command.params)] == []


def test_a_recorder_says_where_it_listens(shop: Settings) -> None:
    """With --json the first line is the address, and somebody answers there; Ctrl-C ends it with 0."""
    command = [sys.executable, "-m", "orchestration", "recorder", "--port", "0", "--json"]
    with subprocess.Popen(command, env={**os.environ, **child(shop)}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = json.loads(process.stdout.readline())
        assert httpx.get(f"{said['url']}/_received").status_code == 200
        assert said["db"] == str(shop.recorder_db)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


def test_every_command_has_help_with_an_example() -> None:
    """Whatever `tailrace --help` lists explains itself, with an example that can be typed."""
    for command in cli.app.registered_commands:
        assert command.callback
        assert "`tailrace " in (command.callback.__doc__ or ""), command.callback.__name__
