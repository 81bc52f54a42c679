"""The wire: what is certainly not processed and what perhaps is, against servers that misbehave on real sockets."""

import asyncio
import contextlib
import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from models.errors import UserError
from models.settings import Settings
from models.sync import Destination
from sinks.destinations import secrets_for, wire_for
from sinks.recorder import RecorderOptions, RecorderSink
from sinks.transport import HttpTransport, Lost, NotSent, Rewrite
from tests.sinks.desk import AT

Behave = Callable[[socket.socket, bytes], None]
RESET = struct.pack("ii", 1, 0)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextlib.contextmanager
def server(behave: Behave) -> Iterator[tuple[str, list[bytes]]]:
    """A listener that hands each request to `behave`; its address and what it heard."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                heard.append(data)
                behave(connection, data)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
    listener.close()


def send(url: str, seconds: float = 5, transport: HttpTransport | None = None, **headers: str) -> httpx.Response:
    async def one() -> httpx.Response:
        async with transport or HttpTransport(2) as wire:
            request = httpx.Request("POST", url, content=b"{}", headers=headers)
            return await wire.start(request, "key", seconds)

    return asyncio.run(one())


def reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def finish(connection: socket.socket, _: bytes) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def half(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")
    connection.shutdown(socket.SHUT_RDWR)


def junk(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"\x00\x01\x02 not a protocol\r\n\r\n")


def silent(_connection: socket.socket, _: bytes) -> None:
    time.sleep(1)


def bad_encoding(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc")


@pytest.mark.parametrize(
    "behave", [reset, finish, half, junk, silent, bad_encoding], ids=lambda behave: behave.__name__
)
def test_after_the_first_byte_everything_that_fails_is_perhaps_processed(behave: Behave) -> None:
    """A reset, an end, half an answer, another protocol, silence and undecodable bytes are Lost, and sent once."""
    with server(behave) as (url, heard):
        with pytest.raises(Lost):
            send(url, seconds=0.3)
        assert len(heard) == 1


def test_a_refused_connection_is_certainly_not_processed() -> None:
    """Nobody listens: NotSent."""
    with pytest.raises(NotSent, match="refused"):
        send("http://127.0.0.1:9")


def test_a_name_that_does_not_resolve_is_certainly_not_processed() -> None:
    """No such host: NotSent."""
    with pytest.raises(NotSent):
        send("http://nobody.invalid/")


def test_tls_that_fails_is_certainly_not_processed() -> None:
    """The handshake fails before any request: NotSent."""
    with server(junk) as (url, _), pytest.raises(NotSent):
        send(url.replace("http:", "https:"))


def test_a_connection_that_is_never_accepted_is_certainly_not_processed() -> None:
    """A time-out while connecting is NotSent: no byte of the request can have left."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = listener.getsockname()[1]
    waiting = [socket.socket() for _ in range(4)]
    for each in waiting:
        each.settimeout(0)
        each.connect_ex(("127.0.0.1", port))
    with pytest.raises((NotSent, Lost)):
        send(f"http://127.0.0.1:{port}", seconds=0.5)
    for each in [*waiting, listener]:
        each.close()


def test_what_follows_handing_over_is_called_between_claim_and_answer() -> None:
    """`sent` is called once, after the request went to the network and before its answer is there."""
    said: list[str] = []

    async def one(url: str) -> None:
        async with HttpTransport(1) as wire:
            await wire.start(httpx.Request("POST", url), "key", 5, lambda: said.append("sent"))
            said.append("answered")

    with server(lambda connection, _: connection.sendall(OK)) as (url, _heard):
        asyncio.run(one(url))
    assert said == ["sent", "answered"]


def test_a_cancelled_request_ends_at_once() -> None:
    """Whoever waits for an answer can be cancelled."""

    async def one(url: str) -> None:
        async with HttpTransport(1) as wire:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.start(httpx.Request("POST", url), "key", 5), 0.2)

    started = time.monotonic()
    with server(silent) as (url, _heard):
        asyncio.run(one(url))
    assert time.monotonic() - started < 0.9


def test_redirects_and_cookies_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a redirect is the redirect; a proxy in the environment is not used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    def redirect(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nlocation: /else\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n")

    with server(redirect) as (url, heard):
        response = send(url)
        assert response.status_code == 302
        assert len(heard) == 1


def test_an_answer_has_its_headers_and_its_decoded_body() -> None:
    """Headers are found in any case and a gzipped body is read."""
    body = gzip.compress(b'{"a":1}')

    def zipped(connection: socket.socket, _: bytes) -> None:
        head = f"HTTP/1.1 429 No\r\nRetry-AFTER: 7\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with server(zipped) as (url, _):
        response = send(url)
    assert (response.status_code, response.headers["retry-after"], response.json()) == (429, "7", {"a": 1})


def test_in_dev_every_request_goes_to_the_recorder_whatever_its_address() -> None:
    """The path holds sink and original address; sync, clock and key are in headers; the body is the sink's."""
    with server(lambda connection, _: connection.sendall(OK)) as (url, heard):
        wire = HttpTransport(1, Rewrite(url, "recorder", "crm/seg_a", AT))
        send("https://vendor.example:8443/v1/x?y=1", transport=wire, authorization="Bearer dev-token")
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /recorder/vendor.example:8443/v1/x?y=1 HTTP/1.1")
    lines = head.lower().split(b"\r\n")
    assert b"x-tailrace-sync: crm/seg_a" in lines
    assert b"x-tailrace-as-of: 2026-11-01t09:30:00+00:00" in lines
    assert b"x-tailrace-request: key" in lines
    assert b"authorization: bearer dev-token" in lines
    assert body == b"{}"


def test_secrets_are_fixed_in_dev_and_read_in_prod(tmp_path: Path) -> None:
    """In dev `dev-<NAME>` and no variable is read; in prod the variable sinks.yml names, and a message without it."""
    crm = Destination(sink="recorder", secrets={"token": "CRM_TOKEN"})
    dev = Settings(tmp_path, tmp_path, environ={"CRM_TOKEN": "real"})
    assert secrets_for(RecorderSink, "crm", crm, dev) == {"token": "dev-token"}
    assert secrets_for(RecorderSink, "crm", crm, replace(dev, target="prod")) == {"token": "real"}
    with pytest.raises(UserError, match="CRM_TOKEN is not set"):
        secrets_for(RecorderSink, "crm", crm, replace(dev, target="prod", environ={}))
    with pytest.raises(UserError, match="'token' is missing"):
        secrets_for(RecorderSink, "crm", Destination(sink="recorder"), replace(dev, target="prod"))


def test_only_prod_leaves_the_machine(tmp_path: Path) -> None:
    """A transport of the dev target has a rewrite, one of prod none."""
    crm = Destination(sink="recorder", secrets={"token": "CRM_TOKEN"})
    settings = Settings(tmp_path, tmp_path, environ={"CRM_TOKEN": "real"})
    for target, rewritten in (("dev", True), ("prod", False)):
        here = replace(settings, target=target)
        sink = RecorderSink(RecorderOptions(), secrets_for(RecorderSink, "crm", crm, here))
        assert (
            wire_for(sink, here, sync="crm/m", as_of=AT, now=lambda: AT).transport._rewrite is not None
        ) is rewritten


def test_a_secret_is_in_no_repr(tmp_path: Path) -> None:
    """Printing a sink or settings shows no secret."""
    settings = Settings(tmp_path, tmp_path, target="prod", environ={"CRM_TOKEN": "s3cret"})
    crm = Destination(sink="recorder", secrets={"token": "CRM_TOKEN"})
    sink = RecorderSink(RecorderOptions(), secrets_for(RecorderSink, "crm", crm, settings))
    assert "s3cret" not in repr(sink) + repr(settings)
