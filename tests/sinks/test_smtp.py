"""SMTP: what arrives is the message, every reply is read, and only what DATA may have carried is in doubt."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from models.delivery import Outcome, Outcomes
from models.errors import UserError
from models.sync import Op
from sinks.backlog import Chunk
from sinks.base import Batch, Line
from sinks.mail import NotAnAddress, envelope_address, mail
from sinks.smtp import SmtpOptions, SmtpSink
from sinks.transport import LetNobodyIn, Lost, NotSent
from tests.sinks.desk import AT, Desk, Recorder, letters

SENDER = "The Shop <hello@shop.example>"


def smtp(**options: Any) -> SmtpSink:
    given = {"host": "127.0.0.1", "sender": SENDER, "tls": "none", "timeout": 2.0} | options
    return SmtpSink(SmtpOptions(**given), {"password": "dev-password"})


def row(**columns: Any) -> dict[str, Any]:
    return letters(1, **columns).drop("_row", "_op").to_dicts()[0]


def parsed(**columns: Any) -> EmailMessage:
    message = message_from_bytes(mail(row(**columns), SENDER, None, AT), policy=MAIL)
    assert isinstance(message, EmailMessage)
    return message


# --- the message


def test_headers_are_those_of_the_standards() -> None:
    """The standard library reads back RFC 5322 headers, and RFC 2369 and 8058 ones where somebody can say no."""
    message = parsed(sender="Ada Müller <ada@shop.example>", reply_to="help@shop.example", subject="Grüße: 10 %")
    assert message["From"].addresses[0].display_name == "Ada Müller"
    assert message["To"].addresses[0].addr_spec == "person0@shop.example"
    assert message["Reply-To"] == "help@shop.example"
    assert message["Subject"] == "Grüße: 10 %"
    assert parsedate_to_datetime(message["Date"]) == AT
    assert message["Message-ID"] == f"<{0:032x}@shop.example>"
    assert message["List-Unsubscribe"] == "<https://t.shop.example/u/0>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert not message.defects
    assert not {"List-Unsubscribe", "List-Unsubscribe-Post"} & set(parsed(unsubscribe_url=None).keys())


def test_every_line_is_short_enough() -> None:
    """No line is longer than RFC 5322's 998 characters, whatever the texts are."""
    wide = "ü" * 5_000
    made = mail(row(subject=wide, text=wide, html=f"<p>{wide}</p>"), SENDER, None, AT)
    assert max(len(line) for line in made.split(b"\r\n")) <= 998
    assert message_from_bytes(made, policy=MAIL)["Subject"] == wide


def test_there_is_always_a_text_and_html_where_there_is_some() -> None:
    """A mail program that shows no HTML has the text first; a message without HTML is text alone."""
    message = parsed(html="<p>Hallo ü</p>", text="Hallo ü\n")
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message.get_body(("html",)).get_content().strip() == "<p>Hallo ü</p>"  # type: ignore[union-attr]
    assert message.get_body(("plain",)).get_content() == "Hallo ü\r\n"  # type: ignore[union-attr]
    assert parsed(html=None).get_content_type() == "text/plain"


@pytest.mark.parametrize("nasty", ["Hello\r\nBcc: all@shop.example", "Hello\nX: y", "Hello\r\n\r\nbody", "a\x0bb\x1cc"])
def test_no_header_can_be_injected(nasty: str) -> None:
    """A trait with line breaks in a subject or a name makes no header of its own."""
    message = parsed(subject=nasty)
    assert set(message.keys()) == set(parsed().keys())
    assert message["Subject"].split() == nasty.split()
    for field in ("to", "sender", "reply_to"):
        with pytest.raises(NotAnAddress):
            mail(row(**{field: f"{nasty} <a@shop.example>"}), SENDER, None, AT) if "\n" in nasty else envelope_address(
                "x"
            )


@pytest.mark.parametrize(
    "bad", ["", "nobody", "a@b", "a b@shop.example\n", "@shop.example", "ü@shop.example", "a@@b.c"]
)
def test_what_is_no_address_is_rejected_and_not_repeated(bad: str) -> None:
    """It never reaches a relay, and the reason does not show it."""
    with pytest.raises(NotAnAddress) as caught:
        envelope_address(bad)
    assert not bad or bad not in str(caught.value)


def test_a_domain_goes_as_dns_has_it() -> None:
    """Names beyond ASCII are written in Punycode."""
    assert envelope_address("Ada <ada@bücher.example>") == "ada@xn--bcher-kva.example"


# --- the recorder's port


@pytest.mark.parametrize("username", [None, "shop"])
def test_messages_arrive_as_they_were_composed(desk: Desk, recorder: Recorder, username: str | None) -> None:
    """Each is heard once, with the sync, the send_key and the texts it had."""
    sent = letters(50)
    assert desk.deliver(smtp(username=username, connections=3), sent, key=("send_key",)).counts == {"accepted": 50}
    heard = {each["identity"]: each for each in recorder.received("crm/seg_test")}
    assert sorted(heard) == sent["send_key"].to_list()
    for each in sent.to_dicts():
        payload = heard[each["send_key"]]["payload"]
        assert (payload["to"], payload["text"], payload["html"].strip()) == (each["to"], each["text"], each["html"])
        assert payload["headers"]["List-Unsubscribe"] == f"<{each['unsubscribe_url']}>"


@pytest.mark.parametrize(
    ("do", "outcome", "arrives"),
    [
        ("cut", "accepted", 1),
        ("throttle", "accepted", 1),
        ("error", "accepted", 1),
        ("lose", "unknown", 1),
        ("late_error", "unknown", 1),
        ("garbage", "unknown", 1),
        ("slow", "unknown", 1),
        ("too_large", "retry", 0),
        ("forbidden", "retry", 0),
        ("unauthorised", "retry", 0),
    ],
)
def test_only_what_data_may_have_carried_is_in_doubt(
    desk: Desk, recorder: Recorder, do: str, outcome: str, arrives: int
) -> None:
    """Before DATA all is certain and tried again; after it what is not answered is unknown, and never sent twice."""
    recorder.behave(rules=[{"do": do, "at": [1], "seconds": 3}])
    counts = desk.deliver(smtp(connections=1, timeout=1.0), letters(1), key=("send_key",)).counts
    assert counts == {outcome: 1}
    assert len(recorder.received()) == arrives


def test_a_refused_recipient_is_final_and_alone(desk: Desk, recorder: Recorder) -> None:
    """The relay's code for one recipient rejects that message; the connection goes on with the next."""
    recorder.behave(reject=[{"where": {"to": "person3@shop.example"}, "reason": "no such user"}])
    summary = desk.deliver(smtp(connections=1), letters(6), key=("send_key",))
    assert summary.counts == {"accepted": 5, "rejected": 1}
    (reason,) = {reason for reason in desk.receipts()["reason"].to_pylist() if reason}
    assert reason == "550 5.1.1 no such user"
    assert SmtpSink.is_dead(reason)


def test_a_wrong_password_stops_the_sync(desk: Desk) -> None:
    """Nothing is sent, nothing is tried again, and the message says what to look at."""
    sink = SmtpSink(smtp(username="shop").options, {"password": "wrong"})
    summary = desk.deliver(sink, letters(5), key=("send_key",))
    assert summary.stopped == "the vendor refuses the account: check the secrets of this destination"
    assert summary.counts.get("accepted", 0) == 0
    with pytest.raises(UserError, match="needs the secret `password`"):
        SmtpSink(smtp(username="shop").options, {})


# --- a relay that says what the test wants

Replies = dict[str, bytes]
GOOD: Replies = {
    "EHLO": b"250 relay", "MAIL": b"250 2.1.0 OK", "RCPT": b"250 2.1.5 OK", "DATA": b"354 go on",
    ".": b"250 2.0.0 queued as 4F2", "RSET": b"250 2.0.0 OK", "QUIT": b"221 bye",
}  # fmt: skip


@contextlib.asynccontextmanager
async def relay(replies: Replies) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that answers each verb as told, and hangs up where the answer is empty; its port and what it heard."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        out.write(b"220 relay\r\n")
        in_data = False
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if in_data and line != b".\r\n":
                    continue
                verb = "." if in_data else line.split()[0].decode().upper()
                heard.append(verb)
                reply = ({**GOOD, **replies})[verb]
                in_data = verb == "DATA" and reply.startswith(b"354")
                if not reply:
                    break
                out.write(reply + b"\r\n")
                await out.drain()
        out.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


def said(replies: Replies, count: int = 1) -> tuple[Outcomes | Exception, list[str]]:
    """What a line makes of these replies, for the last of `count` messages."""

    async def run() -> tuple[Outcomes | Exception, list[str]]:
        async with relay(replies) as (port, heard):
            sink = smtp(port=port)
            result: Outcomes | Exception = NotSent("never")
            try:
                line = await sink.connect(None)
                for _ in range(count):
                    result = await line.send(_batch(sink), lambda: None)
                await line.close()
            except (NotSent, Lost, LetNobodyIn) as error:
                return error, heard
            return result, heard

    return asyncio.run(run())


def _batch(sink: SmtpSink) -> Batch:
    chunk = Chunk.of(sink, Op.SEND, letters(1))
    return Batch("mail/x", Op.SEND, "k", ("send_key",), AT, chunk.payloads, chunk.frame, range(1))


@pytest.mark.parametrize(
    ("replies", "outcome", "throttled", "stops"),
    [
        ({}, Outcome.ACCEPTED, False, False),
        ({"RCPT": b"550 5.1.1 unknown"}, Outcome.REJECTED, False, False),
        ({"RCPT": b"450 4.2.1 greylisted"}, Outcome.RETRY, False, False),
        ({"RCPT": b"452 4.7.1 slow down"}, Outcome.RETRY, True, False),
        ({"MAIL": b"550 5.7.1 not your sender"}, Outcome.RETRY, False, True),
        ({"MAIL": b"451 4.3.2 busy"}, Outcome.RETRY, True, False),
        ({"DATA": b"554 5.6.0 no"}, Outcome.REJECTED, False, False),
        ({".": b"554 5.7.1 looks like spam"}, Outcome.REJECTED, False, False),
        ({".": b"451 4.3.0 later"}, Outcome.RETRY, False, False),
        ({".": b"552 5.3.4 too big"}, Outcome.REJECTED, False, False),
    ],
)
def test_every_reply_has_its_meaning(
    replies: Replies,
    outcome: Outcome,
    throttled: bool,  # noqa: FBT001
    stops: bool,  # noqa: FBT001
) -> None:
    """5xx of a recipient or a message is final, 4xx comes again, a refused sender stops the sync."""
    result, _ = said(replies)
    assert isinstance(result, Outcomes), result
    assert (result.default.outcome, result.throttled, bool(result.stop)) == (outcome, throttled, stops)
    assert outcome is not Outcome.ACCEPTED or result.default.provider_id == "4F2"


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ({"EHLO": b""}, NotSent),
        ({"MAIL": b""}, NotSent),
        ({"RCPT": b""}, NotSent),
        ({"MAIL": b"421 4.3.2 shutting down"}, NotSent),
        ({"DATA": b""}, Lost),
        ({".": b""}, Lost),
        ({".": b"nonsense"}, Lost),
    ],
)
def test_where_the_line_breaks_decides_what_is_known(replies: Replies, kind: type[Exception]) -> None:
    """Until DATA nothing was handed over; from there on nobody can say."""
    assert isinstance(said(replies)[0], kind)


def test_a_connection_is_kept_from_one_message_to_the_next() -> None:
    """Two messages are two transactions of one connection."""
    _, heard = said({}, count=2)
    assert Counter(heard)["EHLO"] == 1
    assert Counter(heard)["DATA"] == 2


def test_nobody_there_is_certain() -> None:
    """A refused connection sent nothing."""

    async def run() -> Line:
        return await smtp(port=1).connect(None)

    with pytest.raises(NotSent):
        asyncio.run(run())
