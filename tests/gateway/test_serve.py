"""The service in a process of its own: ended, killed, on a full disk."""

import os
import resource
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from gateway.serve import serve
from models.errors import UserError
from models.links import Recipient
from models.outcome import Told
from sinks.suppression import Listed, contact_hash
from tests.gateway.child import serving
from tests.gateway.house import LINKS, SALT, House, report, told


@dataclass
class Crowd:
    """Many who post at once until nobody answers: webhooks and unsubscribes, each another."""

    url: str
    told: list[str] = field(default_factory=list)  # ids of reports that were answered 200
    left: list[str] = field(default_factory=list)  # contact points whose unsubscribe was answered 200
    answered: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def posting(self, enough: int) -> Iterator[None]:
        """Ended when the block is, which begins once so many were answered."""
        threads = [threading.Thread(target=self._post, args=(first, enough)) for first in range(8)]
        for thread in threads:
            thread.start()
        assert self.answered.wait(30)
        yield
        for thread in threads:
            thread.join()

    def _post(self, first: int, enough: int) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as http:
            try:
                for number in range(first, 1_000_000, 8):
                    self._one(http, number)
                    if len(self.told) + len(self.left) >= enough:
                        self.answered.set()
            except httpx.TransportError:
                return

    def _one(self, http: httpx.Client, number: int) -> None:
        if number % 4 == 0:
            contact = f"n{number}@shop.example"
            token = LINKS.token(Recipient(f"p{number}", "email", contact, "marketing", f"m{number}"))
            answer = http.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})
            self.left += [contact] if answer.status_code == 200 else []
        else:
            path, sent = told(report(number))
            answer = http.post(path, **sent)
            self.told += [f"mail:e{number}"] if answer.status_code == 200 else []


@pytest.mark.stores
@pytest.mark.parametrize("enough", [1, 20, 150, 400])
def test_what_was_answered_is_there_once_after_a_kill(house: House, enough: int) -> None:
    """SIGKILL while requests arrive: every report and every no that was answered is landed once, and listed."""
    with serving(house, seconds=0.1) as child:
        crowd = Crowd(child.url)
        with crowd.posting(enough):
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    with house.landing():  # the next start
        pass
    lines = house.lines()
    ids = Counter(line["id"] for line in lines)
    assert house.growing() == []
    assert max(ids.values()) == 1
    assert {*crowd.told} <= ids.keys()
    assert {*crowd.left} <= {line["email"] for line in lines if line["event"] == "unsubscribed"}
    assert len(crowd.told) + len(crowd.left) >= enough
    with Listed(house.journal) as listed:
        assert all(listed.stances(contact_hash(SALT, contact))["marketing"].is_refused for contact in crowd.left)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_end_finishes_what_was_begun(house: House, number: int) -> None:
    """Who is told to end answers what it took, finishes its file, and ends well; nobody is answered and forgotten."""
    with serving(house) as child:
        crowd = Crowd(child.url)
        with crowd.posting(50):
            os.kill(child.pid, number)
            assert child.wait() == 0
    assert house.growing() == []
    assert {*crowd.told} <= {line["id"] for line in house.lines()}
    assert {*crowd.left} <= {line["email"] for line in house.lines() if line["event"] == "unsubscribed"}


def test_a_full_disk_is_told_and_nothing_is_half_written(house: House) -> None:
    """Without room the answer is 503 with whole seconds, no half line stays, and with room it goes on in that file."""
    size = 1_500_000
    with serving(house, most=size) as child, httpx.Client(base_url=child.url) as http:
        answered, refusals = [], []
        for number in range(40):
            path, sent = told(report(number, reason="x" * 100_000))
            answer = http.post(path, **sent)
            (answered if answer.status_code == 200 else refusals).append((number, answer))
        assert len(answered) == 14
        assert {(answer.status_code, answer.headers["retry-after"]) for _, answer in refusals} == {(503, "10")}
        assert [line["id"] for line in house.growing()] == [f"mail:e{number}" for number, _ in answered]
        path, sent = told(report(100, Told.UNSUBSCRIBED, reason="x" * 100_000))
        assert http.post(path, **sent).status_code == 503
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert http.post(path, **sent).status_code == 200
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait() == 0
    assert [line["id"] for line in house.lines()] == [*(f"mail:e{number}" for number, _ in answered), "mail:e100"]
    assert len([*house.folder.iterdir()]) == 1


def test_nothing_is_told_of_who_serves(house: House) -> None:
    """Answers do not name the server; HEAD has no body; a second request uses the same connection."""
    with serving(house) as child, httpx.Client(base_url=child.url) as http:
        token = LINKS.token(Recipient("p1", "email", "a@b.example", "marketing", "m1"))
        answer = http.head(f"/u/{token}")
        assert (answer.status_code, answer.content) == (200, b"")
        assert "server" not in answer.headers
        assert http.get("/readyz").status_code == 200


def test_a_port_that_is_taken_is_told(house: House) -> None:
    """Before anything is opened it is said that the port is not free."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="--port"):
        serve(house.gate, port=taken.getsockname()[1])
    assert not house.folder.exists()


def test_a_slow_body_is_given_up(house: House) -> None:
    """Who sends half a request holds nobody up when the service ends."""
    with serving(house) as child:
        host, _, port = child.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as half:
            half.sendall(b"POST /webhooks/mail HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            assert httpx.get(f"{child.url}/healthz").status_code == 200
            os.kill(child.pid, signal.SIGTERM)
            assert child.wait() == 0
