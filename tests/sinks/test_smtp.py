"""SMTP: what arrives is the message, every reply is read, and only what DATA may have carried is in doubt."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from email.utils import parsedate_to_datetime
from threading import Thread
from typing import Any

import polars as pl
import pytest

from models.delivery import Outcome, Outcomes
from models.errors import UserError
from models.sync import Op
from sinks.backlog import Chunk
from sinks.base import Batch, Line
from sinks.mail import NotAnAddress, mail, recipient, sender_address
from sinks.smtp import SmtpOptions, SmtpSink
from sinks.suppression import contact_hash, refused
from sinks.transport import LetNobodyIn, Lost, NotSent
from tests.sinks.desk import AT, Desk, Recorder, letters

SENDER = "The Shop <hello@shop.example>"
STOP = "the relay does not take what this account sends: check its sender, user name and password"


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
            mail(row(**{field: f"{nasty} <a@shop.example>"}), SENDER, None, AT) if "\n" in nasty else sender_address(
                "x"
            )


@pytest.mark.parametrize(
    "bad", ["", "nobody", "a@b", "a b@shop.example\n", "@shop.example", "ü@shop.example", "a@@b.c"]
)
def test_what_is_no_address_is_rejected_and_not_repeated(bad: str) -> None:
    """It never reaches a relay, and the reason does not show it."""
    for read in (sender_address, recipient):
        with pytest.raises(NotAnAddress) as caught:
            read(bad)
        assert not bad or bad not in str(caught.value)


def test_a_domain_goes_as_dns_has_it() -> None:
    """Names beyond ASCII are written in Punycode."""
    assert sender_address("Ada <ada@bücher.example>") == "ada@xn--bcher-kva.example"
    assert recipient("ada@BÜCHER.example") == "ada@xn--bcher-kva.example"
    assert recipient("Ada@xn--bcher-kva.example") == "Ada@xn--bcher-kva.example"


DISGUISED = [
    "Bob <bob@x.com>",
    "bob@x.com,evil@y.com",
    "<bob@x.com>",
    "bob@x.com (b)",
    "bob @x.com",
    "bob@x.com;",
    "bob@\N{FULLWIDTH LATIN SMALL LETTER X}.com",
    "bob@x\N{IDEOGRAPHIC FULL STOP}com",
    "bob@x\N{VARIATION SELECTOR-16}.com",
]


@pytest.mark.parametrize("text", DISGUISED)
def test_a_recipient_is_an_address_alone(text: str) -> None:
    """What leads to a mailbox by a text that is not its address is refused, not repeated; a sender may have a name."""
    with pytest.raises(NotAnAddress) as caught:
        recipient(text)
    assert "bob" not in str(caught.value)
    assert sender_address("Bob <bob@x.com>") == "bob@x.com"
    assert recipient(" Bob@x.com ") == "Bob@x.com"


def test_nobody_is_mailed_around_their_no(desk: Desk, recorder: Recorder) -> None:
    """Of a suppressed address no way to write it gets a message: the list knows the text, the relay the mailbox."""
    to = ["bob@x.com", *DISGUISED, "ann@x.com"]
    listed = pl.Series([contact_hash("salt", text) for text in to])
    rows = letters(len(to), to=to).with_columns(_contact=listed)
    opened = desk.open(rows, purpose="marketing", suppressed_from=0)
    desk.journal.suppress([refused(contact_hash("salt", "bob@x.com"), "marketing", AT)])
    counts = desk.run(smtp(connections=1), opened, key=("send_key",)).counts
    assert counts == {"withdrawn": 1, "rejected": len(DISGUISED), "accepted": 1}
    assert [each["payload"]["to"] for each in recorder.received()] == ["ann@x.com"]
    assert not any("bob" in reason for reason in desk.receipts()["reason"].to_pylist())


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
        ("too_large", "rejected", 0),
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
DOT = b"\r\n.\r\n"
HANGS_UP = b"\r\n"  # at the end of a reply: nothing is answered after it
GOOD: Replies = {
    "EHLO": b"250 relay", "MAIL": b"250 2.1.0 OK", "RCPT": b"250 2.1.5 OK", "DATA": b"354 go on",
    ".": b"250 2.0.0 queued as 4F2", "RSET": b"250 2.0.0 OK", "QUIT": b"221 bye",
}  # fmt: skip


@contextlib.asynccontextmanager
async def relay(replies: Replies, meanwhile: Callable[[bytes], object] = len) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers a verb, or a verb with a text in its line, as told, and else well. Its port, what it heard.

    `meanwhile` hears each line before it is answered. The relay hangs up where the answer is empty or HANGS_UP ends
    it. A message is one line.
    """
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        out.write(b"220 relay\r\n")
        in_data = False
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await (reader.readuntil(DOT) if in_data else reader.readline()):
                heard.append(line)
                meanwhile(line)
                verb = "." if in_data else line.split()[0].decode().upper()
                reply = _reply(replies, verb, line)
                out.write(reply + b"\r\n" if reply else b"")
                await out.drain()
                if not reply or reply.endswith(HANGS_UP):
                    break
                in_data = verb == "DATA" and reply.startswith(b"354")
        out.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


def _reply(replies: Replies, verb: str, line: bytes) -> bytes:
    for key, reply in replies.items():
        of, _, text = key.partition(" ")
        if of == verb and text.encode() in line:
            return reply
    return GOOD.get(verb, b"500 what")


@pytest.fixture
def live(offline: Desk) -> Desk:
    """A desk that delivers to the relay that is named, not to the recorder."""
    offline.settings = replace(offline.settings, target="prod")
    return offline


@contextlib.contextmanager
def relaying(replies: Replies) -> Iterator[int]:
    """The same next to a delivery, which has an event loop of its own; its port."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    server = relay(replies)
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()[0]
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def said(
    replies: Replies, count: int = 1, columns: Mapping[str, Any] | None = None, **options: Any
) -> tuple[Outcomes | Exception, list[bytes]]:
    """What a line makes of these replies, for the last of `count` messages."""

    async def run() -> tuple[Outcomes | Exception, list[bytes]]:
        async with relay(replies) as (port, heard):
            sink = smtp(port=port, **options)
            result: Outcomes | Exception = NotSent("never")
            try:
                line = await sink.connect(None)
                for _ in range(count):
                    result = await line.send(batch_of(sink, columns or {}), lambda: None)
                await line.close()
            except (NotSent, Lost, LetNobodyIn) as error:
                return error, heard
            return result, heard

    return asyncio.run(run())


def batch_of(sink: SmtpSink, columns: Mapping[str, Any]) -> Batch:
    chunk = Chunk.of(sink, Op.SEND, letters(1, **columns))
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
        ({"MAIL": b"552 5.3.4 message size exceeds fixed limit"}, Outcome.REJECTED, False, False),
        ({"MAIL": b"554 5.2.3 too long for us"}, Outcome.REJECTED, False, False),
        ({"MAIL": b"552 message size exceeds fixed limit"}, Outcome.REJECTED, False, False),
        ({"MAIL": b"552 5.2.2 your mailbox is full"}, Outcome.RETRY, False, True),
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


@pytest.mark.parametrize("hangs_up", [{}, {"RSET": b""}, {"RSET": b"421 4.4.2 bye"}, {"RSET": b"500 what"}, None])
@pytest.mark.parametrize(
    ("verb", "reply", "expected"),
    [
        ("RCPT", b"550 5.1.1 no such user", Outcomes.all(Outcome.REJECTED, "550 5.1.1 no such user")),
        ("DATA", b"554 5.6.0 no", Outcomes.all(Outcome.REJECTED, "554 5.6.0 no")),
        (".", b"554 5.7.1 spam", Outcomes.all(Outcome.REJECTED, "554 5.7.1 spam")),
        ("RCPT", b"452 4.7.1 slow", Outcomes.all(Outcome.RETRY, "452 4.7.1 slow", throttled=True)),
        ("MAIL", b"550 5.7.1 no", Outcomes.all(Outcome.RETRY, "550 5.7.1 no", stop=STOP)),
    ],
)
def test_a_reply_counts_even_if_nothing_follows_it(
    verb: str, reply: bytes, expected: Outcomes, hangs_up: Replies | None
) -> None:
    """A relay that hangs up after what it said, or does not take RSET, has said it all the same."""
    replies = {verb: reply + HANGS_UP} if hangs_up is None else {verb: reply, **hangs_up}
    assert said(replies)[0] == expected


def test_who_is_refused_by_a_relay_that_hangs_up_is_not_tried_again(live: Desk) -> None:
    """One address that does not exist costs one attempt, its reason is the relay's, and the others are mailed."""
    with relaying({"RCPT person1": b"550 5.1.1 no such user" + HANGS_UP}) as port:
        summary = live.deliver(smtp(port=port, connections=1), letters(4), key=("send_key",))
    assert summary.counts == {"accepted": 3, "rejected": 1}
    assert summary.stopped is None
    (refusal,) = [row for row in live.receipts().to_pylist() if row["outcome"] == "rejected"]
    assert (refusal["row"], refusal["attempt"], refusal["reason"]) == (1, 1, "550 5.1.1 no such user")
    assert SmtpSink.is_dead(refusal["reason"])


def test_one_large_message_is_refused_alone(live: Desk) -> None:
    """A relay that takes no message of this size says nothing of the account; the others go."""
    with relaying(
        {"EHLO": b"250-relay\r\n250 SIZE 3000", "MAIL SIZE=5": b"552 5.3.4 message size exceeds fixed limit"}
    ) as port:
        rows = letters(4, text=["Hello\n", "x" * 5_000, "Hello\n", "Hello\n"])
        summary = live.deliver(smtp(port=port, connections=1), rows, key=("send_key",))
    assert (summary.counts, summary.stopped) == ({"accepted": 3, "rejected": 1}, None)


def test_the_size_of_every_message_is_announced() -> None:
    """The first of a connection says it too, and it is that of the bytes between DATA and the dot (RFC 1870)."""
    text = {"text": "Grüße\rund\r\nmehr\n" * 50}
    _, heard = said({"EHLO": b"250-relay\r\n250 SIZE 3000000"}, count=2, columns=text)
    announced = [line.strip().rpartition(b"SIZE=")[2] for line in heard if line.startswith(b"MAIL")]
    sizes = [b"%d" % (len(line) - len(b".\r\n")) for line in heard if line.endswith(DOT)]
    assert announced == sizes
    assert len(announced) == 2


@pytest.mark.parametrize(("text", "outcome"), [("ü" * 4_000, Outcome.REJECTED), ('"' * 8_000, Outcome.ACCEPTED)])
def test_the_largest_message_is_measured_as_it_is_sent(live: Desk, text: str, outcome: Outcome) -> None:
    """Quoted-printable is up to three times the text, JSON up to twice: neither makes a limit of its own."""
    with relaying({}) as port:
        sink = smtp(port=port, largest=10_000)
        summary = live.deliver(sink, letters(1, text=text, html=None), key=("send_key",))
    assert summary.counts == {str(outcome): 1}


def test_a_relay_that_only_knows_helo_is_spoken_to() -> None:
    """Whoever refuses EHLO is greeted as before it existed."""
    result, heard = said({"EHLO": b"502 what", "HELO": b"250 relay"})
    assert isinstance(result, Outcomes)
    assert result.default.outcome is Outcome.ACCEPTED
    assert heard[1].startswith(b"HELO")


@pytest.mark.parametrize("then", [b"421 4.7.0 too many", b""])
def test_a_refused_password_counts_even_if_the_relay_hangs_up(then: bytes) -> None:
    """After the refusal of one way to log in the others are tried; what becomes of them does not unsay it."""
    methods = {"EHLO": b"250-relay\r\n250 AUTH CRAM-MD5 PLAIN", "AUTH CRAM": b"535 5.7.8 no", "AUTH PLAIN": then}
    result, heard = said(methods, username="shop")
    assert isinstance(result, LetNobodyIn)
    assert str(result) == "535 5.7.8 no"
    assert heard[-1].startswith(b"AUTH PLAIN")
    assert isinstance(said(methods | {"AUTH PLAIN": b"235 in"}, username="shop")[0], Outcomes)


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
    verbs = Counter(line.split()[0] for line in heard)
    assert (verbs[b"EHLO"], verbs[b"DATA"]) == (1, 2)


def test_nobody_there_is_certain() -> None:
    """A refused connection sent nothing."""

    async def run() -> Line:
        return await smtp(port=1).connect(None)

    with pytest.raises(NotSent):
        asyncio.run(run())
