"""Unsubscribe links and preferences: who decides what, and what becomes of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from gateway.gate import Bounds
from models.delivery import Delivery, Outcome, RowOutcome
from models.journal_place import JournalServer
from models.links import Links, Recipient
from models.sync import Op
from sinks.claims import Request
from sinks.journal import Journal
from sinks.suppression import Listed, contact_hash, dead
from sinks.writer import SUPPRESSED, Writer
from tests.gateway.house import AT, LINKS, RECIPIENT, SALT, Client, House
from tests.sinks.cable import laid

pytestmark = pytest.mark.stores

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
TOKEN = LINKS.token(RECIPIENT)
ANN = contact_hash(SALT, "ann@shop.example")


def state(house: House, contact: str = ANN) -> dict[str, bool]:
    """Purpose → whether it is refused, as the journal was told."""
    with Listed(house.journal) as listed:
        return {purpose: stance.is_refused for purpose, stance in listed.stances(contact).items()}


def events(house: House) -> list[tuple[str, str]]:
    return [(line["event"], line["purpose"]) for line in house.growing()]


def test_looking_unsubscribes_nobody(house: House, client: Client) -> None:
    """GET and HEAD of either page change nothing, whatever their query says."""
    for path in (f"/u/{TOKEN}", f"/preferences/{TOKEN}"):
        assert client.get(path, params=ONE_CLICK).status_code == 200
        assert client.run(client.http.head(path)).status_code == 200
    assert (state(house), house.growing()) == ({}, [])


def test_a_click_unsubscribes_before_it_is_answered(house: House, client: Client) -> None:
    """A one-click POST is in the journal's list and in the landing file when it is answered."""
    answer = client.post(f"/u/{TOKEN}", data=ONE_CLICK)
    assert (answer.status_code, state(house)) == (200, {"marketing": True})
    (line,) = house.growing()
    assert line.pop("id")
    assert line == {
        "event": "unsubscribed",
        "at": AT.isoformat(),
        "profile_id": "p1",
        "email": "Ann@shop.example",
        "channel": "email",
        "purpose": "marketing",
        "send_key": "m1",
    }


def test_a_form_in_parts_unsubscribes_too(house: House, client: Client) -> None:
    """RFC 8058 lets a mail client send multipart/form-data."""
    assert client.post(f"/u/{TOKEN}", files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200
    assert state(house) == {"marketing": True}


@pytest.mark.parametrize("form", [{}, {"List-Unsubscribe": "Two-Clicks"}, {"list": "One-Click"}])
def test_another_form_unsubscribes_nobody(house: House, client: Client, form: dict[str, str]) -> None:
    """A POST that does not say so is refused."""
    assert client.post(f"/u/{TOKEN}", data=form).status_code == 400
    assert (state(house), house.growing()) == ({}, [])


@pytest.mark.stores("server")
def test_a_no_is_taken_whatever_becomes_of_the_journals_server(house: House) -> None:
    """One that was started anew is found again at once; while none answers nobody is told that it was kept."""
    assert isinstance(house.place, JournalServer)
    kept = house.place
    with laid(kept.url) as (cable, url):
        house.place = replace(kept, url=url)
        with Client(house.gate()) as client:
            assert client.post(f"/u/{TOKEN}", data=ONE_CLICK).status_code == 200
            cable.drop()
            assert (
                client.post(f"/u/{LINKS.token(replace(RECIPIENT, purpose='letter'))}", data=ONE_CLICK).status_code
                == 200
            )
            cable.cut()
            lost = client.post(f"/u/{LINKS.token(replace(RECIPIENT, purpose='offers'))}", data=ONE_CLICK)
            assert (lost.status_code, lost.headers["retry-after"].isdigit()) == (503, True)
    house.place = kept
    assert state(house) == {"marketing": True, "letter": True}


def test_twice_is_once(house: House) -> None:
    """A repeat, also at the same time, makes the same line and no other row of the list, though the clock goes on."""
    ticks = count()
    with Client(house.gate(clock=lambda: AT + timedelta(seconds=next(ticks)))) as client:
        answers = client.posted([(f"/u/{TOKEN}", {"data": ONE_CLICK})] * 3)
        answers.append(client.post(f"/u/{TOKEN}", data=ONE_CLICK))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(house.lines()) == 4
    assert len({str(line) for line in house.lines()}) == 1
    with Journal(house.journal) as journal:
        assert journal.suppression_position() == 1


def test_a_no_long_after_is_another_no(house: House, client: Client) -> None:
    """Who may have said yes elsewhere meanwhile is not taken for a repeat: the later line has an id of its own."""
    for _ in range(2):
        client.post(f"/u/{TOKEN}", data=ONE_CLICK)
        house.now += timedelta(days=1)
    assert len({line["id"] for line in house.growing()}) == 2


def test_a_no_after_a_yes_is_another_no(house: House, client: Client) -> None:
    """However fast somebody changes their mind, each decision is a line with a later moment."""
    for _ in range(2):
        client.post(f"/u/{TOKEN}", data=ONE_CLICK)
        client.post(f"/preferences/{TOKEN}", data={"on": ["marketing", "newsletter"], "shown": ["newsletter"]})
    client.post(f"/u/{TOKEN}", data=ONE_CLICK)
    lines = house.growing()
    assert [line["event"] for line in lines] == ["unsubscribed", "resubscribed"] * 2 + ["unsubscribed"]
    assert sorted({line["at"] for line in lines}) == [line["at"] for line in lines]
    assert len({line["id"] for line in lines}) == 5
    assert state(house)["marketing"]


@pytest.fixture
def writer(house: House) -> Iterator[Writer]:
    with Journal(house.journal) as journal:
        journal.open_delivery(Delivery("run1", "plan1", "mail/seg", 1, 9, "", AT, AT, purpose="marketing"))
        opened = Writer(journal)
        yield opened
        opened.close()


def test_no_message_leaves_after_the_answer(house: House, writer: Writer, client: Client) -> None:
    """A claim of a delivery planned before is withdrawn for whoever unsubscribed since, and for nobody else."""
    delivery = Delivery("run1", "plan1", "mail/seg", 1, 9, "", AT, AT, purpose="marketing")
    contacts = [ANN, contact_hash(SALT, "bob@shop.example")]
    client.post(f"/u/{TOKEN}", data=ONE_CLICK)
    grant = writer.claim(Request(delivery, Op.SEND, ((0, 2),), 1, AT, contacts, ["m1", "m2"]))
    assert grant.settled == {0: RowOutcome(Outcome.WITHDRAWN, SUPPRESSED)}
    assert grant.claim


@pytest.mark.parametrize("path", ["/u/", "/preferences/"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_link_that_is_not_ours_is_a_page_that_says_so(house: House, client: Client, method: str, path: str) -> None:
    """A changed, cut, foreign or made-up token gets 404, the same page each time, and changes nothing."""
    foreign = Links(LINKS.url, ("another key of a test",)).token(RECIPIENT)
    tokens = [TOKEN[:-2] + "AA", TOKEN[:-5], foreign, "x", "%00", "é", "a" * 5_000, "=" * 40]
    answers = [client.run(client.http.request(method, path + token, data=ONE_CLICK)) for token in tokens]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert all(answer.headers["content-type"].startswith("text/html") for answer in answers)
    assert (state(house), house.growing()) == ({}, [])


def test_who_unticks_is_unsubscribed_of_that_only(house: House, client: Client) -> None:
    """What was ticked and is not any more is refused; what stays ticked is not touched."""
    form = {"shown": ["marketing", "newsletter"], "on": ["marketing"]}
    answer = client.post(f"/preferences/{TOKEN}", data=form)
    assert (answer.status_code, state(house)) == (200, {"newsletter": True})
    assert events(house) == [("unsubscribed", "newsletter")]
    assert 'value="marketing" checked' in answer.text
    assert 'value="newsletter">' in answer.text


def test_who_ticks_again_is_asked_no_more_but_waits(house: House, writer: Writer, client: Client) -> None:
    """A yes is landed and shown at once; a delivery planned before still withdraws, for the list only grows."""
    client.post(f"/preferences/{TOKEN}", data={"shown": ["marketing"], "on": []})
    house.now += timedelta(hours=1)
    answer = client.post(f"/preferences/{TOKEN}", data={"shown": ["newsletter"], "on": ["marketing", "newsletter"]})
    assert 'value="marketing" checked' in answer.text
    assert events(house) == [("unsubscribed", "marketing"), ("resubscribed", "marketing")]
    delivery = Delivery("run1", "plan1", "mail/seg", 1, 9, "", AT, AT, purpose="marketing")
    assert writer.claim(Request(delivery, Op.SEND, ((0, 1),), 1, AT, [ANN], ["m1"])).claim is None
    with Journal(house.journal) as journal:  # the refresh that loaded both lines knows the list up to here
        planned = replace(delivery, run_id="run2", epoch=2, suppressed_from=journal.suppression_position())
        journal.open_delivery(planned)
        assert writer.claim(Request(planned, Op.SEND, ((0, 1),), 1, AT, [ANN], ["m1"])).claim


def test_one_button_refuses_everything(house: House, client: Client) -> None:
    """Whatever is ticked, `Unsubscribe from everything` refuses every purpose on the page."""
    client.post(f"/preferences/{TOKEN}", data={"on": ["marketing"], "shown": ["marketing"], "every": "off"})
    assert state(house) == {"marketing": True, "newsletter": True}


def test_a_form_decides_nothing_that_is_not_on_the_page(house: House, client: Client) -> None:
    """Purposes that nobody may choose are left out of a form that somebody made up."""
    answer = client.post(f"/preferences/{TOKEN}", data={"on": ["transactional", "x"], "shown": ["y", "transactional"]})
    assert (answer.status_code, state(house), house.growing()) == (200, {}, [])


def test_where_nothing_may_go_there_is_nothing_to_choose(house: House, client: Client) -> None:
    """After a hard bounce or a complaint the page says that nothing is sent, and has no form."""
    with Journal(house.journal) as journal:
        journal.suppress(dead(ANN, [], AT))
    assert "<form" not in client.get(f"/preferences/{TOKEN}").text


@pytest.mark.parametrize(
    ("channel", "contact", "field", "shown"),
    [("sms", "+4930123456", "phone", "•••456"), ("push", "token-of-a-device", "contact", "this device")],
)
def test_other_channels_name_their_contact_point(
    house: House, client: Client, channel: str, contact: str, field: str, shown: str
) -> None:
    """A number is landed as `phone`, a device as `contact`; the page shows enough of it to be known by its owner."""
    token = LINKS.token(Recipient("p1", channel, contact, "marketing", "m9"))
    answer = client.post(f"/u/{token}", data=ONE_CLICK)
    assert shown in answer.text
    assert contact not in answer.text
    assert [(line["channel"], line[field]) for line in house.growing()] == [(channel, contact)]
    assert state(house, contact_hash(SALT, contact)) == {"marketing": True}


def test_guessing_is_slowed_down_and_people_are_not(house: House, client: Client) -> None:
    """Wrong tokens of one address soon get 429 with whole seconds; a good one of the same address is answered."""
    wrong = [client.get(f"/u/{number}").status_code for number in range(31)]
    assert wrong == [404] * 30 + [429]
    answer = client.get("/u/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert client.post(f"/u/{TOKEN}", data=ONE_CLICK).status_code == 200
    house.now += timedelta(seconds=1)
    assert client.get("/u/x").status_code == 404


def test_one_link_fills_no_disk(house: House, client: Client) -> None:
    """Who posts one link again and again is told to wait."""
    answers = client.posted([(f"/u/{TOKEN}", {"data": ONE_CLICK})] * 40)
    assert sorted(answer.status_code for answer in answers) == [200] * 30 + [429] * 10


def test_a_form_has_an_end(house: House, client: Client) -> None:
    """A form that is too large, or has too many fields, is refused as a page."""
    large = client.post(f"/u/{TOKEN}", content=b"x" * (Bounds().form_bytes + 1))
    many = client.post(f"/u/{TOKEN}", content=b"&".join([b"a=1"] * 300))
    assert [large.status_code, many.status_code] == [413, 400]
    assert "<h1>" in large.text
    assert client.run(client.http.put(f"/u/{TOKEN}")).status_code == 405


def test_what_cannot_be_kept_is_not_promised(house: House) -> None:
    """A no that cannot be kept is answered 503 with whole seconds to wait, as a page."""
    house.pace = replace(house.pace, waiting_bytes=-1)
    with Client(house.gate()) as client:
        answer = client.post(f"/u/{TOKEN}", data=ONE_CLICK)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "<h1>Not now</h1>" in answer.text
    assert (state(house), house.lines()) == ({}, [])


def test_a_purpose_is_one_box_however_it_is_written(house: House) -> None:
    """A link whose purpose is written otherwise shows no second box, and what is saved there is off afterwards."""
    token = LINKS.token(replace(RECIPIENT, purpose=" Newsletter"))
    with Client(house.gate()) as client:
        page = client.get(f"/preferences/{token}").text
        assert page.count('type="checkbox"') == 2
        saved = client.post(f"/preferences/{token}", data={"shown": ["marketing", "newsletter"], "on": ["marketing"]})
    assert saved.text.count(" checked") == 1
