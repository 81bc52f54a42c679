"""`tailrace check`: a mistake in any file is told with its place, and with what is allowed there."""

from typing import Any

import pytest

from models.settings import Settings
from tests.orchestration.conftest import Tailrace


def mistake(tailrace: Tailrace) -> dict[str, Any]:
    """What `check --json` says is wrong, without any value of a secret."""
    ran = tailrace("check", "--json")
    assert ran.code == 2, ran.out
    assert "Hunter2" not in ran.out + ran.err
    return dict(ran.json["error"])


def test_a_mistake_in_a_file_says_where(shop: Settings, tailrace: Tailrace) -> None:
    """`check --json` gives file, line and key of the first mistake, and needs neither a warehouse nor a secret."""
    assert tailrace("check", "--json").json["ok"] is True
    path = shop.project / "sources.yml"
    path.write_text(path.read_text().replace("max_age: 8 days", "max_agee: 8 days"))
    error = mistake(tailrace)
    assert (error["kind"], error["key"]) == ("config_error", "sources.crm.max_agee")
    assert path.read_text().splitlines()[error["line"] - 1].strip() == "max_agee: 8 days"
    assert not shop.warehouse.exists()


LAPSED = (
    "{sink: crm, audience: Lapsed, fields: [email, first_name, last_name, revenue, last_order_at], purpose: marketing}"
)


@pytest.mark.parametrize(
    ("entry", "key", "said"),
    [
        (
            "{sink: crmm}",
            ".sink",
            "no sink 'crmm'; did you mean 'crm'? in sinks.yml: crm, mail, offers, text, app, hook, files",
        ),
        ("{audience: Lapsed}", ".sink", "is missing: A destination named in sinks.yml"),
        ("crm", "", "must be a mapping"),
        ("{sink: crm, audienc: Lapsed}", ".audienc", "unknown key; did you mean 'audience'?"),
        ("{sink: crm, rows: 501}", ".rows", "must be less than or equal to 500, not 501"),
        ("{sink: hook, url: nowhere}", ".url", "'nowhere' must match"),
        ("{sink: crm, mode: miror}", ".mode", "did you mean 'mirror'? allowed: mirror, upsert, append, send_on_entry"),
        ("{sink: crm, guards: {max_remov: 10%}}", ".guards.max_remov", "did you mean 'max_remove'?"),
        ("{sink: crm, guards: {max_remove: ten}}", ".guards.max_remove", "is not a share; write one like 10% or 0.1"),
        ("{sink: crm, key: []}", ".key", "at least 1 item"),
        ("{sink: crm, key: email}", ".key", "must be a list"),
        (
            "{sink: crm, key: [emial]}",
            ".key[0]",
            "'emial' is no column of seg_lapsed or profiles; did you mean 'email'?",
        ),
        ("{sink: crm, fields: [email, _x]}", ".fields[1]", "names that begin with _ are reserved"),
        ("{sink: crm, fields: [revenu]}", ".fields[0]", "did you mean 'revenue'?"),
        (
            "{sink: crm, contact: emial}",
            ".contact",
            "'emial' is no column of seg_lapsed or profiles; did you mean 'email'?",
        ),
    ],
)
def test_a_mistake_in_a_sync_says_where_and_what_is_allowed(
    shop: Settings, tailrace: Tailrace, entry: str, key: str, said: str
) -> None:
    """An unknown sink, option, mode, key or column, and a value that is none, are told with file, line and key."""
    path = shop.dbt_project / "models" / "segments" / "_segments.yml"
    written = path.read_text()
    path.write_text(written.replace(LAPSED, entry))
    error = mistake(tailrace)
    assert (error["kind"], error["file"], error["key"]) == ("config_error", str(path), f"seg_lapsed.syncs[0]{key}")
    assert said in error["message"]
    assert error["line"] == 1 + written[: written.index(LAPSED)].count("\n")


def test_two_mirrors_of_one_audience_are_refused(shop: Settings, tailrace: Tailrace) -> None:
    """The second in the file is refused, and the first is named with its line."""
    path = shop.dbt_project / "models" / "segments" / "_segments.yml"
    written = path.read_text()
    path.write_text(written.replace("audience: Lapsed,", "audience: High value,"))
    error = mistake(tailrace)
    assert error["key"] == "seg_high_value.syncs[0]"
    first = 1 + written[: written.index(LAPSED)].count("\n")
    assert f"the audience of crm/seg_lapsed ({path}:{first})" in error["message"]
    assert error["line"] > first


@pytest.mark.parametrize(
    ("given", "key", "said"),
    [
        ("{sink: recorder, secrets: {tokn: X}}", "sinks.crm.secrets.tokn", "has no such secret; did you mean 'token'?"),
        ("{sink: recorder, secrets: {token: sg.Hunter2}}", "sinks.crm.secrets.token", "is no name of an environment"),
        ("{sink: recorder, options: {acount: x}}", "sinks.crm.options.acount", "did you mean 'account'?"),
        ("{sink: webhook, options: {rows: 0}}", "sinks.crm.options.rows", "must be greater than or equal to 1, not 0"),
        (
            "{sink: recoder}",
            "sinks.crm.sink",
            "no sink 'recoder'; there are: fcm, file, hubspot, recorder, sendgrid, smtp, twilio, webhook",
        ),
        ("{sink: recorder, channel: emial}", "sinks.crm.channel", "did you mean 'email'? allowed: email, sms"),
        ("{sink: recorder, secret: {token: X}}", "sinks.crm.secret", "unknown key; did you mean 'secrets'?"),
    ],
)
def test_a_mistake_in_a_destination_says_where(
    shop: Settings, tailrace: Tailrace, given: str, key: str, said: str
) -> None:
    """What sinks.yml names is there, or the file and the key are told, with what there is."""
    (shop.project / "sinks.yml").write_text(
        f"sinks:\n  crm: {given}\n  hook: {{sink: file}}\n  files: {{sink: file}}\n"
    )
    error = mistake(tailrace)
    assert (error["key"], error["line"]) == (key, 2)
    assert error["file"].endswith("sinks.yml")
    assert said in error["message"]


@pytest.mark.parametrize("clock", ["now()", "current_date", "random()"])
def test_check_refuses_clocks_and_chance_in_models(shop: Settings, tailrace: Tailrace, clock: str) -> None:
    """A model reads the clock from as_of() only: the same events and clocks give the same rows."""
    path = shop.dbt_project / "models" / "segments" / "seg_new.sql"
    path.write_text(path.read_text().rstrip() + f"\n    and {clock} is not null\n")
    error = mistake(tailrace)
    assert error["file"].endswith("seg_new.sql")
    assert error["line"] == len(path.read_text().splitlines())


def test_a_model_is_named_in_small_letters(shop: Settings, tailrace: Tailrace) -> None:
    """PostgreSQL would not find one that is not, and Spark lose what was published of it."""
    path = shop.dbt_project / "models" / "segments" / "seg_VIP.sql"
    path.write_text("select profile_id from {{ ref('profiles') }}\n")
    error = mistake(tailrace)
    assert error["file"].endswith("segments/seg_VIP.sql")
    assert "makes seg_VIP" in error["message"]
    assert "name it in small letters" in error["message"]
