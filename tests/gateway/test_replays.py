"""Whoever overheard a request of Twilio's, whose signatures have no date, changes nothing by saying it again."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from gateway.gate import Bounds, Gate, Hook
from sinks.journal import Journal
from sinks.suppression import Listed, contact_hash
from sinks.twilio_reports import TwilioReports, signature
from tests.gateway.house import AT, LINKS, SALT, Client, House

pytestmark = pytest.mark.stores

NUMBER, PATH = "+4915112345000", "/webhooks/text"
FORM = "application/x-www-form-urlencoded"
START, STOP = "SM" + "1" * 32, "SM" + "2" * 32


def gate(house: House) -> Gate:
    return house.gate(destinations={"text": Hook(TwilioReports, "sms", {"auth_token": "t"})})


def say(client: Client, fields: Mapping[str, str]) -> int:
    """Signed by Twilio, as it was the first time."""
    form = {"AccountSid": "AC" + "0" * 32, **fields}
    signed = signature("t", f"{LINKS.url}{PATH}", form.items())
    return client.post(
        PATH, content=urlencode(form), headers={"content-type": FORM, "x-twilio-signature": signed}
    ).status_code


def answer(client: Client, word: str, name: str) -> int:
    return say(
        client, {"MessageSid": name, "SmsStatus": "received", "From": NUMBER, "To": "+15005550006", "Body": word}
    )


def is_refused(house: House) -> bool:
    with Listed(house.journal) as listed:
        return listed.stances(contact_hash(SALT, NUMBER))["marketing"].is_refused


def length(house: House) -> int:
    with Journal(house.journal) as journal:
        return journal.suppression_position()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_start_that_is_said_again_is_no_yes(house: House, *, is_restarted: bool) -> None:
    """START, STOP, and the same START again: they stay out, also after a restart, and the list is as it was."""
    client = Client(gate(house))
    with client:
        assert answer(client, "START", START) == 200
        house.now += timedelta(hours=1)
        assert answer(client, "STOP", STOP) == 200
        assert is_refused(house)
        before = length(house)
        house.now += timedelta(hours=1)
        if not is_restarted:
            assert answer(client, "START", START) == 200
    if is_restarted:
        with Client(gate(house)) as client:
            assert answer(client, "START", START) == 200
    assert is_refused(house)
    assert length(house) == before
    starts = [line for line in house.lines() if line["event"] == "resubscribed"]
    assert {line["at"] for line in starts} == {AT.isoformat()}


def test_what_is_said_again_leaves_nothing(house: House) -> None:
    """Fifty repeats of one STOP are answered 200, and are one row and one line."""
    with Client(gate(house)) as client:
        assert answer(client, "STOP", STOP) == 200
        before = length(house)
        for _ in range(50):
            house.now += timedelta(seconds=1)
            assert answer(client, "STOP", STOP) == 200
        assert (length(house), len(house.growing())) == (before, 1)
        assert answer(client, "STOP", START) == 200  # another message
        assert len(house.growing()) == 2


def test_repeats_at_once_are_one(house: House) -> None:
    """Where the first is not on the disk yet, those that come meanwhile are as old as it."""
    form = {"AccountSid": "AC" + "0" * 32, "MessageSid": STOP, "From": NUMBER, "To": "+1", "Body": "STOP"}
    headers = {"content-type": FORM, "x-twilio-signature": signature("t", f"{LINKS.url}{PATH}", form.items())}
    ticks = iter(AT + timedelta(seconds=second) for second in range(1000))
    with Client(gate(house)) as client:
        object.__setattr__(client.gate, "clock", lambda: next(ticks))
        answers = client.posted([(PATH, {"content": urlencode(form), "headers": headers})] * 5)
    assert [each.status_code for each in answers] == [200] * 5
    assert len({str(line) for line in house.lines()}) == 1
    assert length(house) == 2


def test_a_dead_number_that_came_back_is_not_killed_by_a_repeat(house: House) -> None:
    """A report that the number is unknown, the number's START, and the report again: it is theirs."""
    unknown = {"MessageSid": STOP, "MessageStatus": "undelivered", "ErrorCode": "30005", "To": NUMBER, "From": "+1"}
    with Client(gate(house)) as client:
        assert say(client, unknown) == 200
        house.now += timedelta(hours=1)
        assert answer(client, "START", START) == 200
    house.now += timedelta(hours=1)
    with Client(gate(house)) as client:
        assert say(client, unknown) == 200
    assert not is_refused(house)


def test_what_is_kept_in_mind_is_bounded(house: House) -> None:
    """Only the latest events are: an older one is written again, as the same line."""
    house.limits = Bounds(events=2)
    with Client(gate(house)) as client:
        for number in range(4):
            assert answer(client, "STOP", f"SM{number:032x}") == 200
        assert answer(client, "STOP", f"SM{0:032x}") == 200
    assert len(house.lines()) == 5
    assert len({str(line) for line in house.lines()}) == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"MessageSid": f"{STOP}To+15005550006", "From": NUMBER, "Body": "STOP"},
        {"MessageSid": STOP, "From": NUMBER, "Body": "STOP"},
        {"AccountSid": "AC1", "MessageSid": STOP, "From": NUMBER, "To": "+1", "Body": "STOP"},
        {"MessageSid": STOP, "From": NUMBER, "To": "+1", "Body": "STOP", "SmsStatus": "sent"},
        {"MessageSid": STOP, "From": "", "To": "+1", "Body": "STOP"},
    ],
    ids=["a field in the next", "to nobody", "no account", "the status of no answer", "from nobody"],
)
def test_a_form_that_twilio_never_sends_is_refused(house: House, fields: dict[str, str]) -> None:
    """What is signed may be cut elsewhere into fields: what makes no whole request is 400, and landed nowhere."""
    with Client(gate(house)) as client:
        assert say(client, fields) == 400
        assert house.growing() == []
