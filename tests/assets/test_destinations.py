"""What sinks.yml may say of quotas and of destinations that stand in for others; every mistake with its line."""

from datetime import date
from pathlib import Path

import pytest

from assets.destinations import destinations
from models.errors import ConfigError
from models.quota import Quota, WarmUp
from models.settings import Settings

MAIL = "  mail: {sink: recorder, channel: email, options: {account: mail}"
BACKUP = "  backup: {sink: recorder, channel: email, options: {account: backup}"


def read(folder: Path, *lines: str):
    """The destinations of a sinks.yml with these entries."""
    (folder / "sinks.yml").write_text("\n".join(["sinks:", *lines, ""]))
    return destinations(Settings(folder, folder / "home"))


def test_quotas_and_failover_are_read(tmp_path: Path) -> None:
    """What an account may be sent, how it warms up, and by whom its messages go on."""
    warm_up = "warm_up: {begins: 2026-11-01, days: 30, first: 50}"
    found = read(tmp_path, f"{MAIL}, per_hour: 5, per_day: 100, {warm_up}, failover: [backup]}}", f"{BACKUP}}}")
    assert found["mail"].quota == Quota(5, 100, WarmUp(begins=date(2026, 11, 1), days=30, first=50))
    assert found["mail"].failover == ("backup",)
    assert found["backup"].quota.is_endless


@pytest.mark.parametrize(
    ("mail", "others", "key", "said"),
    [
        ("failover: [bakup]", [f"{BACKUP}}}"], "failover[0]", "no sink 'bakup'; did you mean 'backup'?"),
        ("failover: [backup, backup]", [f"{BACKUP}}}"], "failover[1]", "'backup' is named twice"),
        ("failover: [mail]", [], "failover[0]", "goes round in a circle: mail → mail"),
        (
            "failover: [backup]",
            [f"{BACKUP}, failover: [last]}}", "  last: {sink: recorder, channel: email, failover: [mail]}"],
            "failover[0]",
            "goes round in a circle: mail → backup → last → mail",
        ),
        ("failover: [text]", ["  text: {sink: recorder, channel: sms}"], "failover[0]", "'text' reaches people by sms"),
        ("failover: [crm]", ["  crm: {sink: recorder}"], "failover[0]", "'crm' reaches people by no channel"),
        (
            "failover: [drop]",
            ["  drop: {sink: file, channel: email}"],
            "failover[0]",
            "sink 'file' sends no messages",
        ),
        (
            "failover: [post]",
            ["  post: {sink: smtp, options: {host: smtp.shop.example, sender: shop@shop.example}}"],
            "failover[0]",
            "of sink 'recorder' and sink 'smtp' only one is sent composed messages",
        ),
        ("per_hour: 0", [], "per_hour", "greater than or equal to 1"),
        ("per_day: often", [], "per_day", "an integer"),
        ("warm_up: {begins: 2026-11-01, days: 30, first: 50}", [], None, "`warm_up` needs a `per_day`"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(
    tmp_path: Path, mail: str, others: list[str], key: str | None, said: str
) -> None:
    """An unknown, unfit or circling destination and a number that is no quota name their file, line and key."""
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, f"{MAIL}, {mail}}}", *others)
    assert said in refused.value.message
    assert refused.value.line == 2
    assert refused.value.key == ("sinks.mail" + (f".{key}" if key else ""))


def test_a_file_of_messages_has_nobody_to_go_on_by(tmp_path: Path) -> None:
    """What is written whole is refused by no account."""
    with pytest.raises(ConfigError, match="sink 'file' sends no messages"):
        read(tmp_path, "  drop: {sink: file, channel: email, failover: [backup]}", f"{BACKUP}}}")


def test_rows_that_are_no_messages_have_nobody_to_go_on_by(tmp_path: Path) -> None:
    """A destination that reaches nobody by a channel has no failover."""
    with pytest.raises(ConfigError, match="'crm' has no channel"):
        read(tmp_path, "  crm: {sink: recorder, failover: [backup]}", f"{BACKUP}}}")


def test_who_stands_in_has_all_its_options(tmp_path: Path) -> None:
    """No sync completes the options of a destination that others go on by: what is missing is told."""
    with pytest.raises(ConfigError, match="is missing") as refused:
        read(tmp_path, f"{MAIL}, failover: [hook]}}", "  hook: {sink: webhook, channel: email}")
    assert (refused.value.line, refused.value.key) == (3, "sinks.hook.options.url")


def test_what_takes_all_rows_at_once_has_no_quota(tmp_path: Path) -> None:
    """A file is written whole."""
    with pytest.raises(ConfigError, match="takes all rows at once") as refused:
        read(tmp_path, "  drop: {sink: file, per_day: 5}")
    assert refused.value.key == "sinks.drop.per_day"
