"""Webhooks: who is believed, what becomes of what they tell."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import orjson
import pytest

from gateway import clock
from gateway.gate import Bounds
from models.outcome import Told
from sinks.journal import Journal
from sinks.suppression import Listed, contact_hash
from tests.gateway.house import AT, LINKS, RECIPIENT, SALT, Client, House, report, sign, told


def refused(house: House, number: int) -> set[str]:
    """Purposes that the contact point of this report is refused for."""
    with Listed(house.journal) as listed:
        stances = listed.stances(contact_hash(SALT, f"p{number}@shop.example"))
    return {purpose for purpose, stance in stances.items() if stance.is_refused}


def test_every_report_is_a_line(house: House, client: Client) -> None:
    """All that a provider tells is landed under the names that staging reads, and nothing that it did not tell."""
    clicked = report(1, Told.CLICKED, url="https://shop.example/a", is_machine=True, provider_id="x1", profile_id="p1")
    bounced = report(2, Told.BOUNCED, bounce="soft", reason="box full", send_key=None)
    path, sent = told(clicked, bounced)
    assert client.post(path, **sent).status_code == 200
    same = {"at": AT.isoformat(), "sink": "mail", "channel": "email"}
    assert house.growing() == [
        {
            **same,
            "id": "mail:e1",
            "event": "clicked",
            "send_key": "m1",
            "email": "p1@shop.example",
            "profile_id": "p1",
            "machine": True,
            "url": "https://shop.example/a",
            "provider_id": "x1",
        },
        {
            **same,
            "id": "mail:e2",
            "event": "bounced",
            "email": "p2@shop.example",
            "bounce": "soft",
            "reason": "box full",
        },
    ]
    assert refused(house, 2) == set()


def test_a_channel_names_the_contact_point(house: House, client: Client) -> None:
    """What a destination of text messages tells is about a phone number."""
    path, sent = told(report(1, contact="+4930123"), name="text")
    assert client.post(path, **sent).status_code == 200
    assert [(line["phone"], line["channel"]) for line in house.growing()] == [("+4930123", "sms")]


EVERY = {"marketing", "newsletter", "transactional"}


@pytest.mark.parametrize(
    ("event", "fields", "purposes"),
    [
        (Told.COMPLAINED, {}, EVERY),
        (Told.COMPLAINED, {"purpose": "Own"}, EVERY | {"own"}),
        (Told.BOUNCED, {"bounce": "hard"}, EVERY),
        (Told.BOUNCED, {"bounce": "soft"}, set()),
        (Told.UNSUBSCRIBED, {}, {"marketing"}),
        (Told.UNSUBSCRIBED, {"purpose": " Newsletter"}, {"newsletter"}),
        (Told.DELIVERED, {}, set()),
        (Told.REJECTED, {}, set()),
        (Told.RESUBSCRIBED, {}, set()),
    ],
)
def test_what_forbids_more_is_in_the_list_before_the_answer(
    house: House, client: Client, event: Told, fields: dict[str, str], purposes: set[str]
) -> None:
    """A complaint and a hard bounce refuse every purpose, an unsubscription its own or marketing, the rest none."""
    path, sent = told(report(1, event, **fields))
    assert client.post(path, **sent).status_code == 200
    assert refused(house, 1) == purposes


def test_a_redelivery_changes_nothing(house: House, client: Client) -> None:
    """The same request again lands the same line, and adds nothing to the list."""
    path, sent = told(report(1, Told.COMPLAINED))
    assert [answer.status_code for answer in client.posted([(path, sent)] * 3)] == [200] * 3
    assert len({str(line) for line in house.growing()}) == 1
    with Journal(house.journal) as journal:
        assert journal.suppression_position() == len(EVERY)


def test_a_report_of_nobody_is_landed(house: House, client: Client) -> None:
    """Where the provider does not say whom it is about, the line says which message."""
    path, sent = told(report(1, Told.COMPLAINED, contact=None))
    assert client.post(path, **sent).status_code == 200
    assert [line["send_key"] for line in house.growing()] == ["m1"]


def test_who_did_not_sign_is_not_heard(house: House, client: Client) -> None:
    """A changed body, address or signature, none at all, and another destination's are 401, and nothing is landed."""
    path, sent = told(report(1, Told.COMPLAINED))
    body, headers = sent["content"], sent["headers"]
    foreign = {"x-toy-signature": sign("another", f"{LINKS.url}{path}", body)}
    answers = [
        client.post(path, content=body + b" ", headers=headers),
        client.post(f"{path}?more=1", content=body, headers=headers),
        client.post("/webhooks/text", content=body, headers=headers),
        client.post(path, content=body, headers=foreign),
        client.post(path, content=body),
    ]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert (house.growing(), refused(house, 1)) == ([], set())


def test_the_address_is_the_one_we_are_known_by(house: House, client: Client) -> None:
    """A signature over path and query as they were sent holds whatever Host a proxy makes of it."""
    url = f"{LINKS.url}/webhooks/mail?token=a%2Fb&c=%20"
    body = orjson.dumps([report(1)])
    headers = {"x-toy-signature": sign("dev-key", url, body), "host": "10.0.0.1:8791"}
    assert client.post("/webhooks/mail?token=a%2Fb&c=%20", content=body, headers=headers).status_code == 200


def test_when_it_was_heard_is_our_word(house: House, client: Client) -> None:
    """Nobody else can say when a request came."""
    path, sent = told(report(1))
    sent["headers"]["X-Tailrace-Received"] = (AT - timedelta(days=1)).isoformat()
    assert client.post(path, **sent).status_code == 200


def test_only_in_dev_the_caller_says_how_late_it_is(house: House) -> None:
    """A clock in a request counts where the gateway was told so, for signatures and decisions, if it is a moment."""
    past = AT - timedelta(days=30)
    path, sent = told(report(1))
    for hears in (False, True):
        with Client(house.gate(hears_clock=hears, clock=clock.said if hears else lambda: AT)) as client:
            said = {"X-Tailrace-As-Of": past.isoformat()}
            link = f"/u/{LINKS.token(RECIPIENT)}"
            client.post(link, data={"List-Unsubscribe": "One-Click"}, headers=said)
            assert house.growing()[-1]["at"] == (past if hears else AT).isoformat()
            for text in ("soon", "2026-11-01T00:00:00", "\N{SNOWMAN}"):
                none = [*sent["headers"].items(), ("X-Tailrace-As-Of", text.encode())]
                assert client.post(path, content=sent["content"], headers=none).status_code == 200


@pytest.mark.parametrize(
    "body", [b"{", b"{}x", b'[{"event_id":"e"}]', b'[{"told":"danced"}]', b"[1]", b'"ann@x.example"']
)
def test_what_is_signed_and_not_understood_is_landed_nowhere(
    house: House, client: Client, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    """A body that is not what the provider documents is 400, and the log names the destination and nothing of it."""
    headers = {"x-toy-signature": sign("dev-key", f"{LINKS.url}/webhooks/mail", body)}
    with caplog.at_level(logging.WARNING, "tailrace.gateway"):
        assert client.post("/webhooks/mail", content=body, headers=headers).status_code == 400
    assert house.growing() == []
    assert "webhook of mail" in caplog.text
    assert "ann@" not in caplog.text


def test_an_unknown_destination_is_404(client: Client) -> None:
    """A path that names no destination that hears from its provider is not there; nor is a GET of one."""
    path, sent = told(report(1), name="nobody")
    assert client.post(path, **sent).status_code == 404
    assert client.get("/webhooks/mail").status_code == 405


def test_a_body_has_an_end(house: House, client: Client) -> None:
    """One byte too many is 413, whether the request says its length or not."""
    body = b" " * (Bounds().webhook_bytes + 1)

    async def chunks() -> Iterator[bytes]:
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    assert client.post("/webhooks/mail", content=body).status_code == 413
    assert client.post("/webhooks/mail", content=chunks()).status_code == 413


def test_a_form_is_no_larger_than_forms_are(house: House, client: Client) -> None:
    """It has to be taken apart before its signature can be checked: past 64 KB it is 413, whatever it holds."""
    headers = {"content-type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"}
    for more, status in ((0, 401), (1, 413)):
        body = b"x" * (Bounds().webhook_form_bytes + more)
        assert client.post("/webhooks/mail", content=body, headers=headers).status_code == status


def test_who_never_signs_is_not_read_any_more(house: House) -> None:
    """After many 401 an address hears 429 with whole seconds and costs nothing; others do not hear of it."""
    house.limits = replace(house.limits, unsigned_burst=3, unsigned_per_second=0.5)
    path, sent = told(report(1))
    with Client(house.gate()) as client:
        assert [client.post(path, **sent).status_code for _ in range(9)] == [200] * 9
        assert [client.post(path, content=b"x" * 10).status_code for _ in range(4)] == [401] * 3 + [429]
        answer = client.post(path, content=b"x" * (Bounds().webhook_bytes + 1))
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        other = httpx.ASGITransport(client.app, client=("198.51.100.9", 4242))
        http = httpx.AsyncClient(transport=other, base_url="http://inside.example")
        assert client.run(http.post(path, **sent)).status_code == 200
        house.now += timedelta(seconds=2)
        assert client.post(path, **sent).status_code == 200
        large = {"content": b"x" * (Bounds().webhook_bytes + 1)}
        assert [client.post(path, **large).status_code for _ in range(2)] == [413, 429]


def test_many_at_once_are_told_to_wait(house: House) -> None:
    """Past the requests and bytes that are taken at once the answer is 503 with whole seconds; the health is told."""
    house.limits = replace(house.limits, requests=2)
    with Client(house.gate()) as client:
        answers = client.posted([told(report(number)) for number in range(5)])
        refusals = [answer for answer in answers if answer.status_code != 200]
        assert [(answer.status_code, answer.headers["retry-after"]) for answer in refusals] == [(503, "1")] * 3
        assert client.get("/healthz").text == "alive\n"
    house.limits = replace(house.limits, requests=99, body_bytes=10)
    with Client(house.gate()) as client:
        path, sent = told(report(1))
        assert client.post(path, **sent).status_code == 503


def test_figures_are_what_happened(house: House, client: Client) -> None:
    """`/metrics` counts requests by route and answer, lines, rows of the list and commits, and names nobody."""
    path, sent = told(report(1, Told.UNSUBSCRIBED), report(2))
    client.post(path, **sent)
    client.post(path)
    client.get("/nowhere/ann@shop.example")
    text = client.get("/metrics").text
    for line in (
        'tailrace_gateway_requests_total{route="/webhooks/{destination}",status="200"} 1',
        'tailrace_gateway_requests_total{route="/webhooks/{destination}",status="401"} 1',
        'tailrace_gateway_requests_total{route="none",status="404"} 1',
        "tailrace_gateway_lines_total 2",
        "tailrace_gateway_suppressions_total 1",
        'tailrace_gateway_commit_seconds_bucket{le="+Inf"} 1',
        "tailrace_gateway_commit_seconds_count 1",
        "tailrace_gateway_waiting_bytes 0",
    ):
        assert line in text.splitlines()
    assert "ann" not in text


def test_ready_is_who_can_write(house: House, client: Client) -> None:
    """`/readyz` is 200 while journal and landing folder can be written, and 503 as soon as one cannot."""
    assert client.get("/readyz").status_code == 200
    house.folder.rename(house.folder.with_name("moved"))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert client.get("/healthz").status_code == 200
    house.folder.with_name("moved").rename(house.folder)
    assert client.get("/readyz").status_code == 200


def test_a_full_device_is_not_ready(house: House) -> None:
    """Below the room that is kept free nothing new should be sent here."""
    house.pace = replace(house.pace, free_bytes=1 << 60)
    with Client(house.gate()) as client:
        assert client.get("/readyz").status_code == 503
