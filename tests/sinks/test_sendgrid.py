"""SendGrid: requests as its API description has them, and batches that end as single messages where they must."""

import json
from functools import cache
from typing import Any

import httpx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from sendgrid.helpers.mail import Content, CustomArg, From, Header, Mail, Subject, To

from models.delivery import Outcome
from models.message import FIELDS
from models.sync import Op
from sinks import answers
from sinks.backlog import Chunk, Work, cut
from sinks.base import Batch, Fault, Known
from sinks.sendgrid import SendGridOptions, SendGridSink
from tests.sinks.desk import AT, CHECKOUT, Desk, Scripted

SPEC = CHECKOUT.parent / "shared" / "specs" / "sendgrid" / "tsg_mail_v3.json"
BODY = "/components/requestBodies/PostMailSend/content/application~1json/schema"
URL = "https://gateway.example/u/abc.def"
FULL: dict[str, str | None] = {
    "send_key": "s0",
    "profile_id": "p0",
    "to": "person0@shop.example",
    "subject": "Grüße, 日本",
    "text": "Hello\nthere",
    "html": "<p>Hello</p>",
    "sender": "Shop, Inc. <hello@shop.example>",
    "reply_to": "Care <care@shop.example>",
    "unsubscribe_url": URL,
    "preferences_url": "https://gateway.example/p/abc",
    "purpose": "marketing",
    "journey": "welcome",
    "node": "first",
    "template": "hello",
    "template_version": "0a1b",
    "locale": "de",
}
BARE = FULL | dict.fromkeys(["html", "sender", "reply_to", "unsubscribe_url", "preferences_url", "journey", "node"])


def mail(**options: Any) -> SendGridSink:
    given = {"sender": "Shop <hello@shop.example>"} | options
    return SendGridSink(SendGridOptions(**given), {"api_key": "dev-api_key"})


def messages(*changes: dict[str, str | None], base: dict[str, str | None] = FULL) -> pl.DataFrame:
    """Spool rows of composed messages: each has its own key and address unless it says otherwise."""
    rows = [
        base | {"send_key": f"s{number}", "to": f"person{number}@shop.example"} | change
        for number, change in enumerate(changes)
    ]
    columns = pl.DataFrame(rows, schema=dict.fromkeys(FIELDS, pl.String))
    return columns.select(pl.int_range(len(rows)).alias("_row"), pl.lit("send").alias("_op"), pl.all())


def batch(sink: SendGridSink, rows: pl.DataFrame) -> Batch:
    chunk = Chunk.of(sink, Op.SEND, rows)
    work = Work(chunk, range(len(rows)))
    return Batch("mail/seg", Op.SEND, "key1", ("send_key",), AT, work.payloads, chunk.frame, work.offsets)


def body(sink: SendGridSink, *changes: dict[str, str | None], **kwargs: Any) -> dict[str, Any]:
    request = sink.request(batch(sink, messages(*changes, **kwargs)))
    return dict(json.loads(request.content))


def alone(sink: SendGridSink, rows: pl.DataFrame) -> list[Known]:
    """What SendGrid would know if every message went by itself."""
    each = [sink.simulate(sink.request(batch(sink, rows[number])), Fault()) for number in range(len(rows))]
    assert all(heard.response.status_code == 202 for heard in each)
    return [known for heard in each for known in heard.rows]


@cache
def description() -> Draft202012Validator:
    """What SendGrid's own description of its API says of the body of Mail Send."""
    if not SPEC.exists():
        pytest.skip(f"the API description is not there: {SPEC}")
    resource = Resource(contents=json.loads(SPEC.read_bytes()), specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:mail", resource)
    return Draft202012Validator(
        {"$ref": f"urn:mail#{BODY}"}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


# --- requests


@pytest.mark.parametrize(
    "change",
    [
        {"personalizations": None},
        {"personalizations": [{"subject": "nobody"}]},
        {"personalizations": [{"to": [{"email": "not an address"}]}]},
        {"personalizations": [{"to": [{"email": "a@b.example"}], "subject": ""}]},
        {"personalizations": [{"to": [{"email": "a@b.example"}], "substitutions": {"-a-": None}}]},
        {"personalizations": [{"to": [{"email": "a@b.example"}]}] * 1001},
        {"from": None},
        {"from": {"email": "nobody"}},
        {"content": [{"type": "text/plain", "value": ""}]},
        {"categories": ["twice", "twice"]},
        {"asm": {"group_id": "7"}},
        {"mail_settings": {"sandbox_mode": {"enable": "true"}}},
    ],
)
def test_the_description_refuses_what_is_known_to_be_bad(change: dict[str, Any]) -> None:
    """A good request made bad in one place is refused: only then does its verdict on ours mean anything."""
    good = body(mail(), {})
    bad = {field: value for field, value in (good | change).items() if value is not None}
    assert description().is_valid(good)
    assert not description().is_valid(bad)


@pytest.mark.parametrize("base", [FULL, BARE])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "reply_to": "care@shop.example",
            "categories": ("news", "autumn", "news"),
            "unsubscribe_group": 7,
            "sandbox": True,
        },
    ],
)
def test_requests_are_as_the_description_says(base: dict[str, str | None], count: int, options: dict[str, Any]) -> None:
    """One message or more, with everything and with the least, with no option and with all."""
    sink = mail(rows=count, **options)
    assert list(description().iter_errors(body(sink, *[{}] * count, base=base))) == []


def test_a_single_message_says_all_of_itself() -> None:
    """Sender, subject, bodies, unsubscribe headers and arguments are where SendGrid documents them."""
    assert body(mail(), {}) == {
        "personalizations": [
            {
                "to": [{"email": "person0@shop.example"}],
                "subject": "Grüße, 日本",
                "headers": {"List-Unsubscribe": f"<{URL}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
                "custom_args": {
                    "send_key": "s0",
                    "profile_id": "p0",
                    "purpose": "marketing",
                    "journey": "welcome",
                    "node": "first",
                    "template": "hello",
                    "template_version": "0a1b",
                    "locale": "de",
                },
            }
        ],
        "from": {"email": "hello@shop.example", "name": "Shop, Inc."},
        "reply_to": {"email": "care@shop.example", "name": "Care"},
        "content": [
            {"type": "text/plain", "value": "Hello\nthere"},
            {"type": "text/html", "value": "<p>Hello</p>"},
        ],
        "tracking_settings": {
            "click_tracking": {"enable": True, "enable_text": False},
            "open_tracking": {"enable": True},
            "subscription_tracking": {"enable": False},
        },
        "mail_settings": {"sandbox_mode": {"enable": False}},
    }


def test_what_a_message_has_not_is_not_said() -> None:
    """No headers, reply_to, HTML or arguments without a value; the sender is the destination's."""
    sent = body(mail(), {}, base=BARE)
    assert sent["personalizations"][0].keys() == {"to", "subject", "custom_args"}
    assert sent["personalizations"][0]["custom_args"].keys() == {
        "send_key", "profile_id", "purpose", "template", "template_version", "locale"
    }  # fmt: skip
    assert sent["from"] == {"email": "hello@shop.example", "name": "Shop"}
    assert "reply_to" not in sent
    assert [part["type"] for part in sent["content"]] == ["text/plain"]
    assert [part["type"] for part in body(mail(), {"text": ""})["content"]] == ["text/html"]


def test_options_are_said_in_every_request() -> None:
    """Region, reply_to, categories, unsubscribe group, tracking and sandbox each change the request."""
    sink = mail(
        region="eu",
        reply_to="care@shop.example",
        categories=("news", "news"),
        unsubscribe_group=7,
        track_opens=False,
        track_clicks=False,
        sandbox=True,
    )
    assert str(sink.request(batch(sink, messages({}))).url) == "https://api.eu.sendgrid.com/v3/mail/send"
    assert str(mail().request(batch(mail(), messages({}))).url) == "https://api.sendgrid.com/v3/mail/send"
    sent = body(sink, {"reply_to": None})
    assert sent["reply_to"] == {"email": "care@shop.example"}
    assert sent["categories"] == ["news"]
    assert sent["asm"] == {"group_id": 7}
    assert not sent["tracking_settings"]["open_tracking"]["enable"]
    assert not sent["tracking_settings"]["click_tracking"]["enable"]
    assert sent["mail_settings"]["sandbox_mode"]["enable"]


@pytest.mark.parametrize(
    "option",
    [
        {"sender": "nobody"},
        {"sender": "Shop <hello@shop.example> there"},
        {"reply_to": "care"},
        {"rows": 1001},
        {"categories": ["n"] * 11},
        {"categories": ["Grüße"]},
        {"categories": ["n" * 256]},
        {"region": "us"},
        {"account": "Our shop"},
    ],
)
def test_options_that_sendgrid_would_refuse_are_refused_at_once(option: dict[str, Any]) -> None:
    """A wrong option is told when sinks.yml is read, not with the first message."""
    with pytest.raises(ValidationError, match=next(iter(option))):
        mail(**option)


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)
COMPOSED = st.fixed_dictionaries(
    {
        "subject": LINES,
        "text": LINES,
        "html": LINES,
        "sender": st.sampled_from([None, "Care <care@shop.example>", "news@shop.example"]),
        "unsubscribe_url": st.sampled_from([None, URL]),
        "journey": st.none() | LINES,
    }
)


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(COMPOSED, min_size=2, max_size=5))
def test_together_messages_arrive_as_they_do_alone(changes: list[dict[str, str | None]]) -> None:
    """With substitutions and senders of their own, many in one request are the messages they would be one by one."""
    sink, rows = mail(rows=5), messages(*changes)
    request = sink.request(batch(sink, rows))
    heard = sink.simulate(request, Fault())
    assert heard.response.status_code == 202
    assert list(heard.rows) == alone(sink, rows)
    assert list(description().iter_errors(json.loads(request.content))) == []


@pytest.mark.parametrize("odd", ["-text-", "-html-", "read -message- here"])
def test_common_tags_in_a_message_stay_as_they_are(odd: str) -> None:
    """What others use as a tag is plain text here, in subject and bodies."""
    sink, rows = mail(rows=2), messages({"subject": odd, "text": f"{odd}!", "html": f"<p>{odd}</p>"}, {})
    assert list(sink.simulate(sink.request(batch(sink, rows)), Fault()).rows) == alone(sink, rows)


UNSAYABLE: dict[str, dict[str, str | None]] = {
    "another address for answers": {"reply_to": "other@shop.example"},
    "no address for answers": {"reply_to": None},
    "no HTML": {"html": None},
    "no text": {"text": ""},
    "bodies too large": {"html": "日本語" * 1_200},
    "an address again": {"to": "PERSON2@shop.example"},
}


@pytest.mark.parametrize("odd", UNSAYABLE)
@pytest.mark.parametrize("first", [True, False])
def test_what_cannot_be_said_in_one_request_is_said_in_several(offline: Desk, odd: str, *, first: bool) -> None:
    """SendGrid refuses such a batch, and in the end every message has arrived as it would alone, once."""
    sink = mail(rows=4, connections=1)
    rows = messages(*([UNSAYABLE[odd], {}, {}, {}] if first else [{}, {}, {}, UNSAYABLE[odd]]))
    arrived: list[Known] = []

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = sink.simulate(request, Fault())
        arrived.extend(heard.rows)
        return heard.response

    scripted = Scripted(answer)
    assert offline.deliver(sink, rows, transport=scripted, key=("send_key",)).counts == {"accepted": 4}
    assert len(scripted.requests) > 1
    assert sorted(arrived, key=lambda known: known.identity) == alone(sink, rows)


def test_a_null_substitution_is_against_the_description() -> None:
    """The batch that has one message without HTML is one that SendGrid must refuse: it would show an empty message."""
    sent = body(mail(rows=2), {}, {"html": None})
    assert [error.json_path for error in description().iter_errors(sent)] == [
        "$.personalizations[1].substitutions['-tailrace_html-']"
    ]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_requests_keep_the_limits(rows: int) -> None:
    """No request has more messages or bytes than allowed, however much its text grows when written as JSON."""
    sink = mail(rows=rows, categories=[f"{number}{'n' * 250}" for number in range(10)])
    grown = [{"text": '\x01"\\日' * (number % 7 * 3_000), "journey": None} for number in range(1200)]
    chunk = Chunk.of(sink, Op.SEND, messages(*grown))
    works = list(cut(chunk, sink.limits))
    assert sum(len(work.offsets) for work in works) == 1200
    for work in works:
        sent = Batch("s", Op.SEND, "k", ("send_key",), AT, work.payloads, chunk.frame, work.offsets)
        assert len(work.offsets) <= rows
        assert len(sink.request(sent).content) <= sink.limits.bytes


# --- answers


def test_accepted_messages_have_the_name_of_their_request(offline: Desk) -> None:
    """X-Message-Id is the provider's id of every message of the request."""
    sink, names = mail(rows=2, connections=1), []

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = sink.simulate(request, Fault())
        names.append(heard.response.headers["X-Message-Id"])
        return heard.response

    offline.deliver(sink, messages({}, {}, {}), transport=Scripted(answer), key=("send_key",))
    assert [row["provider_id"] for row in offline.receipts().to_pylist()] == [names[0], names[0], names[1]]
    assert names[0] != names[1]


@pytest.mark.parametrize(("status", "content"), [(200, b""), (201, b""), (202, b"<html>"), (204, b""), (200, b"{}")])
def test_any_other_success_is_unknown(status: int, content: bytes) -> None:
    """Mail Send answers 202 and nothing else; whatever comes from elsewhere is not taken for it."""
    sink = mail()
    read = answers.read(sink, batch(sink, messages({})), [httpx.Response(status, content=content)])
    assert read.default.outcome is Outcome.UNKNOWN


def test_the_sandbox_takes_requests_and_sends_nothing() -> None:
    """It answers 200 instead of 202, and nothing is known of the messages."""
    sink = mail(sandbox=True)
    sent = batch(sink, messages({}))
    heard = sink.simulate(sink.request(sent), Fault())
    assert (heard.response.status_code, heard.rows) == (200, ())
    assert answers.read(sink, sent, [heard.response]).default.outcome is Outcome.ACCEPTED
    assert answers.read(sink, sent, [httpx.Response(202)]).default.outcome is Outcome.UNKNOWN


def test_a_refusal_is_told_in_the_words_of_sendgrid() -> None:
    """Message and field of every error are the reason, cut to what a receipt holds."""
    sink = mail()
    errors = [
        {"message": "Not good.", "field": "subject", "help": None},
        {"message": "Nor " + "x" * 900, "field": None},
    ]
    answer = httpx.Response(400, json={"errors": errors})
    read = answers.read(sink, batch(sink, messages({})), [answer])
    assert read.default.outcome is Outcome.REJECTED
    assert read.default.reason.startswith("Not good. (subject); Nor xxx")
    assert len(read.default.reason) == 200
    assert read.split


@pytest.mark.parametrize("status", [404, 405])
def test_a_wrong_address_stops_the_sync(offline: Desk, status: int) -> None:
    """Where no Mail Send is, no message is at fault."""
    scripted = Scripted(lambda _request, _ordinal: httpx.Response(status))
    summary = offline.deliver(mail(connections=1), messages({}, {}), transport=scripted, key=("send_key",))
    assert "check the region" in str(summary.stopped)
    assert (len(scripted.requests), summary.counts) == (1, {"retry": 1})


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_bad_messages_are_rejected_and_no_others(offline: Desk, rows: int) -> None:
    """In a request of any size, the bad ones end as rejected and the good ones are sent once."""
    sink = mail(rows=rows, connections=1)
    sent = messages({}, {}, {"to": "nobody"}, {}, {"subject": ""}, {}, {"text": "", "html": None}, {})
    arrived: list[str] = []

    def answer(request: httpx.Request, _ordinal: int) -> httpx.Response:
        heard = sink.simulate(request, Fault())
        arrived.extend(known.identity for known in heard.rows)
        return heard.response

    summary = offline.deliver(sink, sent, transport=Scripted(answer), key=("send_key",))
    assert summary.counts == {"accepted": 5, "rejected": 3}
    assert sorted(arrived) == ["s0", "s1", "s3", "s5", "s7"]
    assert {row for row, outcome in offline.last().items() if outcome == "rejected"} == {2, 4, 6}


# --- SendGrid as simulated


def library_request(**changes: Any) -> httpx.Request:
    """A request as SendGrid's own library makes it."""
    made = Mail(From("hello@shop.example", "Shop"), To("you@shop.example"), Subject("Hi"))
    made.add_content(Content("text/plain", "Hello"))
    made.add_custom_arg(CustomArg("send_key", "k1", p=0))
    made.add_header(Header("List-Unsubscribe", f"<{URL}>", p=0))
    content = json.dumps(made.get() | changes, ensure_ascii=False).encode()
    return httpx.Request("POST", "https://x.invalid", headers={"Authorization": "Bearer dev-api_key"}, content=content)


def test_requests_of_sendgrids_own_library_are_understood() -> None:
    """The simulation reads what SendGrid documents, not only what our sink writes."""
    [known] = SendGridSink.simulate(library_request(), Fault()).rows
    assert known.identity == "k1"
    assert dict(known.payload) == {
        "to": "you@shop.example",
        "subject": "Hi",
        "text": "Hello",
        "sender": "Shop <hello@shop.example>",
        "unsubscribe_url": URL,
        "send_key": "k1",
    }


def one(**changes: Any) -> dict[str, Any]:
    return {"to": [{"email": "a@b.example"}], "subject": "Hi", "custom_args": {"send_key": "k"}} | changes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [one(to=[{"email": f"p{n}@b.example"}]) for n in range(1001)]}, "personalizations"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content"),
        ({"from": {"email": "nobody"}}, "from"),
        ({"reply_to": {"email": "nobody"}}, "reply_to"),
        ({"personalizations": [one(), one()]}, "personalizations.1.to"),
        ({"personalizations": [one(to=[{"email": "nobody"}])]}, "personalizations.0.to"),
        ({"personalizations": [one(subject="")]}, "personalizations.0.subject"),
        ({"personalizations": [one(headers={"Reply-To": "a@b.example"})]}, "personalizations.0.headers"),
        ({"personalizations": [one(substitutions={"-a-": None})]}, "personalizations.0.substitutions"),
        ({"personalizations": [one(substitutions={"-a-": "é" * 4_999})]}, "personalizations.0.substitutions"),
        ({"personalizations": [one(custom_args={"send_key": 7})]}, "personalizations.0.custom_args"),
        ({"personalizations": [one(custom_args={"send_key": "x" * 9_993})]}, "personalizations.0.custom_args"),
        ({"personalizations": 7}, None),
    ],
)
def test_documented_refusals_are_made(change: dict[str, Any], field: str | None) -> None:
    """A request outside the documented limits is 400, names the field, and nothing of it is known."""
    heard = SendGridSink.simulate(library_request(**change), Fault())
    assert heard.response.status_code == 400
    assert [error["field"] for error in heard.response.json()["errors"]] == [field]
    assert heard.rows == ()


def test_limits_are_met_exactly() -> None:
    """10,000 bytes of substitutions and of arguments, and 1000 messages, are taken."""
    full = one(substitutions={"-a-": "é" * 4_998 + "x"}, custom_args={"send_key": "x" * 9_992})
    many = [full | {"to": [{"email": f"p{number}@b.example"}]} for number in range(1000)]
    assert len(SendGridSink.simulate(library_request(personalizations=many), Fault()).rows) == 1000


def test_more_than_thirty_megabytes_are_too_large() -> None:
    """A body over the limit is 413, which the loop splits."""
    content = [{"type": "text/plain", "value": "x" * 30_000_000}]
    assert SendGridSink.simulate(library_request(content=content), Fault()).response.status_code == 413


def test_faults_are_told_as_sendgrid_would() -> None:
    """A rejected message refuses its whole request and is named by its place; a wrong key is 401."""
    sink = mail(rows=3)
    request = sink.request(batch(sink, messages({}, {}, {})))
    heard = sink.simulate(request, Fault(reject={1: "bad"}))
    assert (heard.response.status_code, heard.rows) == (400, ())
    assert heard.response.json()["errors"] == [{"message": "bad", "field": "personalizations.1.to", "help": None}]
    assert sink.simulate(request, Fault(refuse="no")).response.json()["errors"][0]["message"] == "no"
    request.headers["Authorization"] = "Bearer wrong"
    assert sink.simulate(request, Fault()).response.status_code == 401
