"""Messages of a sync whose account is refused, from the model to what people read of the deliveries."""

from dataclasses import replace

import pytest
import yaml

from models.errors import UserError
from tests.assets.syncs.test_withdrawals import X, heard, night


@pytest.fixture
def messages(world):
    """A segment with a message to everyone who enters, and two accounts, of which the second stands in."""
    mail = {
        "sink": "recorder",
        "channel": "email",
        "options": {"rows": 1, "connections": 1},
        "secrets": {"token": "T1"},
    }
    backup = {**mail, "options": {"account": "backup"}, "secrets": {"token": "T2"}}
    sinks = {"crm": {**mail, "failover": ["backup"]}, "backup": backup}
    (world.settings.project / "sinks.yml").write_text(yaml.safe_dump({"sinks": sinks}))
    world.declare("seg_x", {"sink": "crm", "mode": "send_on_entry"}, columns=["profile_id"])
    night(world)
    world.plan(X)
    return world


def test_deliveries_say_by_which_destination_a_message_went(messages) -> None:
    """Each attempt is listed with its destination; the result says who was refused, and the sync itself is well."""
    night(messages, "a", "b", "c")
    messages.recorder.behave(rules=[{"do": "unauthorised", "at": [2]}])
    (result,) = messages.sync()
    assert (result.counts, result.stopped, result.ok) == ({"accepted": 3}, None, True)
    assert set(result.refused) == {"crm"}
    told = messages.sql("select sink, outcome, attempt from tailrace.deliveries order by all")
    assert [(row["sink"], row["outcome"], row["attempt"]) for row in told] == [
        ("backup", "accepted", 1),
        ("backup", "accepted", 2),
        ("crm", "accepted", 1),
        ("crm", "retry", 1),
    ]
    assert heard(messages) == ["a", "b", "c"]
    assert messages.plan(X).operations == 0


def test_a_quota_of_sinks_yml_holds_the_sync(messages) -> None:
    """What finds no place today is planned again and goes tomorrow."""
    path = messages.settings.project / "sinks.yml"
    sinks = yaml.safe_load(path.read_text())
    del sinks["sinks"]["crm"]["failover"]
    sinks["sinks"]["crm"]["per_day"] = 2
    path.write_text(yaml.safe_dump(sinks))
    night(messages, "a", "b", "c")
    (result,) = messages.sync()
    assert (result.counts, result.unsent) == ({"accepted": 2}, 1)
    assert "2 rows a day (per_day)" in str(result.stopped)
    assert messages.sync(hours=24)[0].unsent == 1
    assert messages.sync()[0].counts == {"accepted": 1}
    assert heard(messages) == ["a", "b", "c"]


def test_a_secret_that_is_missing_is_told_before_anything_is_sent(messages) -> None:
    """In prod the second destination needs its secret as the first does, also while nobody was refused."""
    environ = {"T1": "real"}
    live = replace(messages, settings=replace(messages.settings, target="prod", environ=environ))
    night(live, "a")
    live.clock = live.clock.now(live.clock.tzinfo)
    (result,) = live.sync()
    assert isinstance(result.error, UserError)
    assert "sinks.yml: backup: secrets: token: the environment variable T2 is not set" in str(result.error)
    assert result.run_id is None
