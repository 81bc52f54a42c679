"""A preview says what a refresh would make of the working copy, and writes nothing."""

from __future__ import annotations

import hashlib
import multiprocessing
from pathlib import Path

import pytest
import yaml

from assets import store
from assets.preview import preview
from models.errors import ConfigError, UserError
from models.settings import Settings
from tests.nights import copied, land, lines, night, project, run
from warehouse.duckdb import DuckDB

NIGHTS = 3
pytestmark = [pytest.mark.slow, pytest.mark.sampled("module")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project after a few nights."""
    settings = project(tmp_path_factory.mktemp("ran"))
    landed = lines(NIGHTS, seed=2, people=40, each=120)
    for number in range(1, NIGHTS + 1):
        land(settings, f"shop/{number}.ndjson", landed[number])
        run(settings, number)
    return settings


@pytest.fixture
def settings(ran: Settings, tmp_path: Path) -> Settings:
    return copied(ran, tmp_path)


def write(settings: Settings, segment: str, where: str, *, table: str = "profiles") -> Path:
    path = settings.dbt_project / "models" / "segments" / f"{segment}.sql"
    path.write_text(f"select profile_id\nfrom {{{{ ref('{table}') }}}}\nwhere\n    {where}\n")
    return path


def edit(settings: Settings, file: str, old: str, new: str) -> None:
    path = settings.dbt_project / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def members(settings: Settings, segment: str) -> set[str]:
    with DuckDB(settings.published, read_only=True) as copy:
        return {row["profile_id"] for row in copy.rows(f"select profile_id from {segment}")}


def kept(settings: Settings) -> dict[str, str]:
    """Every file of the target but what dbt is told and writes of a project → its digest."""
    files = [path for path in settings.root.rglob("*") if path.is_file() and settings.dbt_target not in path.parents]
    files = [path for path in files if path.name != "profiles.yml"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_what_is_as_published_changes_nothing(settings) -> None:
    """An unchanged segment is read as it is published: nobody enters or leaves, here and below."""
    found = preview(settings, None, "seg_high_value")
    assert found.size == found.before == len(members(settings, "seg_high_value")) > 0
    assert (found.enters, found.leaves, found.remade) == (0, 0, ())
    assert [(one.segment, one.enters, one.leaves) for one in found.downstream] == [("seg_high_value_lapsed", 0, 0)]
    assert found.clock == night(NIGHTS)


EDITS = {
    "the segment": ("models/segments/seg_high_value.sql", "revenue >=", "2 * revenue >="),
    "a threshold": ("dbt_project.yml", "high_value_revenue: 500", "high_value_revenue: 1500"),
    "a view above it": ("models/profiles/int_profile_orders.sql", "and told = 1", "and told = 1 and revenue > 400"),
    "consent": (
        "models/identity/int_consent_decisions.sql",
        "name in ('Consent Granted', 'Message Resubscribed') as granted",
        "false as granted",
    ),
    "identifiers": ("models/identity/int_event_identifiers.sql", "events.*,", "events.*, 1 as one,"),
    "a seed": ("seeds/blocked_identifiers.csv", "value,reason", "value,reason\nd1-1,a shared device"),
    "a macro": ("macros/clocks.sql", "interval '{{ days }}' day", "interval '{{ days * 2 }}' day"),
}


@pytest.mark.parametrize("what", EDITS)
def test_a_preview_is_what_the_refresh_then_makes(settings, what: str) -> None:
    """Whatever was edited at or above a segment, its preview has the size and changes of the next refresh."""
    name = "seg_unsubscribed" if what == "consent" else "seg_high_value"
    before = members(settings, name)
    edit(settings, *EDITS[what])
    untouched = kept(settings)
    found = preview(settings, None, name)
    assert kept(settings) == untouched
    run(settings, NIGHTS)
    after = members(settings, name)
    assert (found.size, found.before) == (len(after), len(before))
    assert (found.enters, found.leaves) == (len(after - before), len(before - after))
    if what in ("the segment", "a threshold", "a view above it", "consent"):
        assert after != before


def test_a_segment_below_an_edited_one_reads_the_edit(settings) -> None:
    """A plain compile would read the old table of an edited ancestor; a preview does not."""
    write(settings, "seg_mine", "true", table="seg_high_value")
    edit(settings, "models/segments/seg_high_value.sql", "revenue >=", "revenue * 0 >=")
    found = preview(settings, None, "seg_mine")
    assert (found.size, found.before, found.enters, found.remade) == (0, None, 0, ("seg_high_value",))


def test_what_is_below_is_shown_with_what_it_would_do(settings) -> None:
    """Segments below and syncs of all of them, with counts; a broken one below says so and stops nothing."""
    edit(settings, "models/segments/seg_lapsed.sql", "orders > 0", "orders > 0 or true")
    edit(settings, "models/segments/seg_lapsed.sql", "and last_order_at < {{ days_ago(var('lapsed_days')) }}", "")
    edit(settings, "models/segments/seg_churn_risk.sql", "profiles.orders", "profiles.ordrs")
    found = preview(settings, None, "seg_lapsed")
    below = {one.segment: one for one in found.downstream}
    assert set(below) == {"seg_churn_risk", "seg_high_value_lapsed"}
    assert below["seg_high_value_lapsed"].enters == below["seg_high_value_lapsed"].size > 0
    assert "there is no column 'ordrs'; did you mean 'orders'" in (below["seg_churn_risk"].error or "")
    syncs = {one.sync: one for one in found.syncs}
    assert set(syncs) == {"crm/seg_lapsed", "crm/seg_high_value_lapsed"}
    consenting = syncs["crm/seg_lapsed"]
    assert consenting.upsert + consenting.suppressed == found.size
    assert consenting.upsert > 0


def test_a_new_sync_would_send_all_and_a_message_nobody_yet(settings) -> None:
    """A mirror that never ran gets everyone; who is in a segment at its first evaluation is not written to."""
    write(settings, "seg_mine", "orders > 0")
    syncs = [{"sink": "crm", "audience": "Mine"}, {"sink": "hook", "mode": "send_on_entry"}]
    entry = {"name": "seg_mine", "description": "Bought. One row a profile.", "config": {"meta": {"syncs": syncs}}}
    path = settings.dbt_project / "models" / "segments" / "_mine.yml"
    path.write_text(yaml.safe_dump({"version": 2, "models": [{**entry, "columns": [{"name": "profile_id"}]}]}))
    found = preview(settings, None, "seg_mine")
    said = {one.sync: (one.upsert, one.remove, one.send) for one in found.syncs}
    assert said == {"crm/seg_mine": (found.size, 0, 0), "hook/seg_mine": (0, 0, 0)}
    assert found.size > 0


def test_the_clock_may_be_another(settings) -> None:
    """At an earlier clock people and segments are worked out from the events of then."""
    found = preview(settings, night(1), "seg_active")
    with DuckDB(settings.warehouse) as warehouse:
        then = warehouse.rows(
            "select count(*) as n from tailrace.segment_history "
            "where segment = 'seg_active' and change = 'entered' and as_of = ?",
            [night(1).as_of],
        )[0]["n"]
    assert found.size <= then
    assert found.clock == night(1)
    assert "profiles" in found.remade


def test_personal_data_is_masked(settings) -> None:
    """Examples show enough to find a person, not to write to them, unless asked."""
    write(settings, "seg_mine", "email is not null")
    masked = preview(settings, None, "seg_mine").entering
    shown = preview(settings, None, "seg_mine", show_pii=True).entering
    assert len(masked) == len(shown) == 5
    assert all(row["email"].endswith("***") and "@s***" in row["email"] for row in masked)
    assert all(row["email"].endswith("@shop.example") for row in shown)


MISTAKES = {
    "a column": ("ordrs > 0", r"seg_mine\.sql:4:5: there is no column 'ordrs'; did you mean 'orders'\? columns: "),
    "a column of": ("profiles.ordrs > 0", r"seg_mine\.sql:4:14: there is no column 'ordrs'; did you mean 'orders'"),
    "syntax": ("orders > > 0", r"seg_mine\.sql:4:14: syntax error at or near \">\""),
    "a function": ("uper(email) = 'A'", r"seg_mine\.sql:4:5: .*uper does not exist"),
    "a clock": ("last_order_at > now()", r"seg_mine\.sql:4:21: `now` is refused: the clock is an argument"),
    "a statement": ("orders > 0;", r"seg_mine\.sql:4:15: syntax error at or near \";\""),
    "a value": ("cast(email as int) = 1", r"seg_mine\.sql:4:5: Could not convert string '.\*\*\*@s\*\*\*' to INT32"),
    "jinja": ("orders > {{ var('high' }}", r"seg_mine\.sql:4: "),
    "a model": (
        "profile_id in (select profile_id from {{ ref('profils') }})",
        r"seg_mine\.sql:4: .*did you mean 'profiles'",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_named_with_its_place(settings, what: str) -> None:
    """Wrong SQL is a sentence with file, line and column, and never a person's address."""
    where, message = MISTAKES[what]
    write(settings, "seg_mine", where)
    with pytest.raises(ConfigError, match=message) as refused:
        preview(settings, None, "seg_mine")
    assert "shop.example" not in str(refused.value)
    assert refused.value.line == 4


def test_a_segment_gives_profile_ids(settings) -> None:
    """A model without the column says which columns it has."""
    path = write(settings, "seg_mine", "true")
    path.write_text(path.read_text().replace("select profile_id", "select email, orders"))
    with pytest.raises(ConfigError, match=r"seg_mine\.sql: .*profile_id; this one gives email, orders"):
        preview(settings, None, "seg_mine")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "select cast(email as date) as profile_id\nfrom {{ ref('profiles') }}\n",
            r"seg_mine\.sql:(1:8:)? invalid .*\"p\*\*\*@",
        ),
        ("\n", r"seg_mine\.sql: holds no SQL"),
        ("select 1 as profile_id\n", r"seg_mine\.sql: profile_id is integer; a segment gives those of profiles"),
    ],
)
def test_what_is_no_segment_says_so(settings, sql: str, said: str) -> None:
    """A file that is empty, and one whose profile ids are none."""
    write(settings, "seg_mine", "true").write_text(sql)
    with pytest.raises(ConfigError, match=said):
        preview(settings, None, "seg_mine")


def test_an_unknown_segment_is_guessed(settings) -> None:
    """The closest name is offered."""
    with pytest.raises(UserError, match=r"no segment 'seg_laspd'; did you mean 'seg_lapsed'\?"):
        preview(settings, None, "seg_laspd")


def test_what_reads_raw_files_is_not_guessed(settings) -> None:
    """The published copy has events and no files: an edit of staging is named, and what to do."""
    edit(settings, "models/staging/stg_shop.sql", "'Page Viewed'", "'Page Seen'")
    with pytest.raises(ConfigError, match=r"staging/stg_shop\.sql: .*run `tailrace refresh`"):
        preview(settings, None, "seg_active")


def test_nothing_published_yet_says_so(tmp_path: Path) -> None:
    """Before the first refresh there is nothing to compare with."""
    with pytest.raises(UserError, match="run `tailrace refresh`"):
        preview(project(tmp_path), None, "seg_active")


def _hold(settings: Settings, ready, done) -> None:
    with store.writing(settings) as warehouse:
        warehouse.execute("select 1")
        ready.set()
        done.wait(60)


def test_a_writer_at_work_is_no_obstacle(settings) -> None:
    """While another process holds the lock and the live file, a preview works."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    writer = context.Process(target=_hold, args=(settings, ready, done))
    writer.start()
    try:
        assert ready.wait(60)
        assert preview(settings, None, "seg_active").size > 0
    finally:
        done.set()
        writer.join(30)
