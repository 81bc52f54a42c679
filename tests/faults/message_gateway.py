"""The gateway of a target in a process of its own, and many who post to it until nobody answers."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from assets import configuration
from models.links import Recipient
from models.outcome import Report, Told
from models.settings import Settings
from orchestration import gateway_service
from sinks.destinations import links_for
from sinks.recorder_reports import AS_OF, ONE_CLICK
from sinks.sendgrid import SendGridSink
from sinks.suppression import Listed, contact_hash
from tests.recorders import FORKING

AT = datetime(2026, 9, 3, 0, 30, tzinfo=UTC)  # when everything is told
OUTCOMES = "outcomes"  # the folder it lands in
LINES = 6  # connections of a crowd
PATIENCE = 30.0  # seconds for what should come at once
_WORDS = (Told.ACCEPTED, Told.DELIVERED, Told.OPENED, Told.BOUNCED)


@dataclass(frozen=True)
class Post:
    """A request as a provider or somebody's mail program makes it, and what it is about."""

    path: str
    headers: dict[str, str]
    body: bytes
    events: tuple[str, ...] = ()  # the ids it tells
    contact: str | None = None  # who leaves by it

    def over(self, line: http.client.HTTPConnection) -> int:
        """The status of the answer, once it is read. Raises OSError or HTTPException where there is none."""
        line.request("POST", self.path, self.body, self.headers)
        answer = line.getresponse()
        answer.read()
        return answer.status


def webhook(reports: Sequence[Report], sink: str = "offers") -> Post:
    """What SendGrid tells in one request, signed with the key of dev."""
    (request,) = SendGridSink.tell(f"http://gateway.example/webhooks/{sink}", reports, AT)
    headers = {**request.headers, AS_OF: AT.isoformat()}
    events = tuple(f"{sink}:{report.event_id}" for report in reports)
    return Post(request.url.path, headers, request.read(), events)


def unsubscribe(settings: Settings, recipient: Recipient) -> Post:
    """One click at the link of a message, as RFC 8058 has it."""
    links = links_for(settings)
    headers = {"content-type": "application/x-www-form-urlencoded", AS_OF: AT.isoformat()}
    path = urlsplit(links.unsubscribe(links.token(recipient))).path
    return Post(path, headers, urlencode(ONE_CLICK).encode(), contact=recipient.contact)


@dataclass(frozen=True)
class Gateway:
    port: int
    process: ForkServerProcess

    @property
    def line(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def post(self, post: Post) -> int:
        with closing(self.line) as line:
            return post.over(line)

    def end(self, number: int = signal.SIGKILL) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)
        self.process.join(PATIENCE)


@contextmanager
def serving(settings: Settings, bug: str | None = None) -> Iterator[Gateway]:
    """On a free port; killed at the end."""
    listening, told = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=_serve, args=(settings, told, bug), daemon=True)
    process.start()
    told.close()
    try:
        yield Gateway(listening.recv(), process)
    finally:
        process.kill()
        process.join()


def _serve(settings: Settings, told: Connection, bug: str | None) -> None:
    if bug:
        from tests.faults import bugs  # noqa: PLC0415 - only the runs that plant a bug load one

        bugs.plant(bug)
    gateway_service.run(settings, "127.0.0.1", 0, told.send, proxies="127.0.0.1")


def posts(settings: Settings, chance: random.Random, count: int) -> list[Post]:
    """A quarter unsubscribes, the others webhooks of one to four events: no two about the same."""
    return [_post(settings, chance, number) for number in range(count)]


def _post(settings: Settings, chance: random.Random, number: int) -> Post:
    contact = f"n{number}@shop.example"
    if chance.random() < 0.25:
        return unsubscribe(settings, Recipient(f"p{number}", "email", contact, "marketing", f"m{number}"))
    return webhook(
        [
            Report(f"e{number}-{part}", chance.choice(_WORDS), AT, f"m{number}", contact, f"p{number}")
            for part in range(chance.randint(1, 4))
        ]
    )


@dataclass
class Crowd:
    """All of `posts` from several connections at once, each ended by the first request without an answer."""

    gateway: Gateway
    posts: Sequence[Post]
    answered: list[Post] = field(default_factory=list)  # with 200
    enough: threading.Event = field(default_factory=threading.Event)

    def all(self) -> None:
        with self.posting(0):
            pass

    @contextmanager
    def posting(self, enough: int) -> Iterator[None]:
        """The block begins when so many are answered."""
        threads = [threading.Thread(target=self._over_one, args=(first, enough)) for first in range(LINES)]
        for thread in threads:
            thread.start()
        assert self.enough.wait(2 * PATIENCE), "the gateway does not answer"
        yield
        for thread in threads:
            thread.join()

    def _over_one(self, first: int, enough: int) -> None:
        with closing(self.gateway.line) as line:
            for post in self.posts[first::LINES]:
                try:
                    status = post.over(line)
                except (OSError, http.client.HTTPException):
                    return
                if status == http.client.OK:
                    self.answered.append(post)
                if len(self.answered) >= enough:
                    self.enough.set()


def landed(settings: Settings) -> list[dict[str, Any]]:
    """The lines of finished files: what a refresh loads."""
    files = sorted((settings.landing / OUTCOMES).glob("gateway-*.ndjson"))
    return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]


def check_landed(settings: Settings, answered: Sequence[Post]) -> None:
    """What was answered is there, once, and who left is in the list that claims read."""
    lines = landed(settings)
    often = Counter(line["id"] for line in lines)
    doubled = [event for event, count in often.items() if count > 1]
    assert not doubled, f"doubled: {doubled[:5]}"
    missing = {event for post in answered for event in post.events} - often.keys()
    assert not missing, f"lost: {len(missing)}"
    left = {post.contact for post in answered if post.contact}
    told = [line["email"] for line in lines if line["event"] == Told.UNSUBSCRIBED]
    assert left <= {*told}, f"lost: {len(left - {*told})} unsubscribes"
    assert len(told) == len({*told}), "doubled: unsubscribes"
    check_listed(settings, left)


def check_listed(settings: Settings, left: set[str | None]) -> None:
    salt = configuration.policy(settings).salt
    with Listed(settings.journal) as listed:
        stances = {who: listed.stances(contact_hash(salt, who)) for who in left if who}
    heeded = {who for who, stance in stances.items() if "marketing" in stance and stance["marketing"].is_refused}
    assert heeded == left, f"not listed: {len(left - heeded)}"


def check_told_again(settings: Settings, everything: Sequence[Post]) -> None:
    """What was told again is the same line: of one id staging keeps one."""
    lines: dict[str, set[bytes]] = {}
    for line in landed(settings):
        lines.setdefault(line["id"], set()).add(orjson.dumps(line))
    assert all(len(same) == 1 for same in lines.values()), "told again, and something else"
    assert {event for post in everything for event in post.events} <= lines.keys(), "lost"
    outs = sum(orjson.loads(min(same))["event"] == Told.UNSUBSCRIBED for same in lines.values())
    assert outs == sum(post.contact is not None for post in everything), "lost or doubled: unsubscribes"
