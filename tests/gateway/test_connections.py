"""Who has not shown yet that they are anybody costs little: bytes and seconds of a head, connections at once."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.connections import Line
from tests.gateway.child import Child, serving
from tests.gateway.house import House, report, told

KIB, MIB = 1 << 10, 1 << 20
HEAD = b"POST /webhooks/mail HTTP/1.1\r\nHost: x\r\n"
LINE = Line()


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with serving(House(tmp_path_factory.mktemp("house"))) as opened:
        yield opened


@contextlib.contextmanager
def connected(child: Child) -> Iterator[socket.socket]:
    host, _, port = child.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        yield line


def said(line: socket.socket) -> bytes:
    """All that comes until the other side ends it."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while some := line.recv(64 * KIB):
            heard += some
    return heard


def memory(child: Child) -> int:
    """Bytes that the process holds."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{child.pid}/status").read_text())
    assert found
    return int(found[1]) * KIB


def flood(line: socket.socket, chunk: bytes, most: int = 40 * MIB) -> int:
    """Send the chunk again and again; bytes until the other side ended it."""
    sent = 0
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        while sent < most:
            line.sendall(chunk)
            sent += len(chunk)
    return sent


@pytest.mark.parametrize(
    ("begin", "chunk"),
    [
        (HEAD, b"".join(b"X-%03d: %s\r\n" % (number, b"a" * 1000) for number in range(60))),
        (HEAD + b"X: ", b"a" * (64 * KIB)),
        (HEAD, b"X:\r\n" * (16 * KIB)),
        (b"GET /", b"a" * (64 * KIB)),
        (b"", b"\r\n" * (32 * KIB)),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ", b"a" * (64 * KIB)),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1;x=", b"a" * (64 * KIB)),
        (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * (2 * KIB)),
    ],
    ids=["headers", "a header", "small headers", "an address", "empty lines", "a trailer", "a chunk's extension",
         "requests in a row"],
)  # fmt: skip
def test_a_head_has_an_end(child: Child, begin: bytes, chunk: bytes) -> None:
    """What is neither a head nor a body is read to 64 KB and ended there, however it is made; no memory grows."""
    before = memory(child)
    with connected(child) as line:
        line.sendall(begin)
        assert flood(line, chunk) < 40 * MIB
    assert memory(child) < before + 16 * MIB
    assert httpx.get(f"{child.url}/healthz").status_code == 200


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_a_head_of_64_kb_is_the_largest(child: Child, pieces: int) -> None:
    """To the byte, in however many pieces it comes: one more is 431, and the connection is closed."""
    for more, status in ((0, b"HTTP/1.1 404"), (1, b"HTTP/1.1 431")):
        begin, end = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ", b"\r\n\r\n"
        head = begin + b"a" * (LINE.head_bytes - len(begin) - len(end) + more) + end
        with connected(child) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            size = len(head) // pieces + 1
            for first in range(0, len(head), size):
                line.sendall(head[first : first + size])
            assert said(line).startswith(status)


def test_requests_and_bodies_pass_as_they_did(child: Child) -> None:
    """A large body in pieces after a large head, several requests on one connection, two sent at once."""
    with httpx.Client(base_url=child.url, headers={"x-more": "a" * 30_000}) as http:
        for number in range(3):
            path, sent = told(report(number, reason="x" * 900_000))
            assert http.post(path, **sent | {"headers": {**sent["headers"], "x-more": "a" * 30_000}}).status_code == 200
    with connected(child) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert said(line).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
    ],
    ids=["nothing", "half a head", "half a second head", "half a body that nobody reads"],
)
def test_half_a_request_ends(house: House, half: bytes) -> None:
    """Without a whole head in time the connection is closed, though a byte comes now and then."""
    with serving(house, line=Line(head_seconds=1)) as child, connected(child) as line:
        line.sendall(half)
        line.settimeout(0.2)
        began = time.monotonic()
        while time.monotonic() < began + 15:
            try:
                line.sendall(b"\r\n" if not half or half.endswith(b"half") else b"a")
                if not line.recv(64 * KIB):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() < began + 10


def test_an_answer_that_nobody_reads_ends(house: House) -> None:
    """Who asks and never listens holds no place for ever: what is still to be told is dropped."""
    with serving(house, line=Line(answer_seconds=1, pipelined=10_000)) as child, connected(child) as line:
        asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 500
        line.settimeout(0.5)
        with contextlib.suppress(TimeoutError, ConnectionError):
            for _ in range(40):
                line.sendall(asked)
        time.sleep(3)
        assert flood(line, b"x" * KIB, most=MIB) < MIB


def test_only_so_many_connect_at_once(house: House) -> None:
    """One more hears 503 with whole seconds at once; when somebody goes there is room again."""
    with serving(house, line=Line(connections=5)) as child:
        with contextlib.ExitStack() as held:
            for _ in range(5):
                held.enter_context(connected(child)).sendall(HEAD)
            with connected(child) as line:
                answer = said(line)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1\r\n" in answer
        for _ in range(50):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{child.url}/healthz").status_code == 200:
                    break
            time.sleep(0.1)
        else:
            pytest.fail("nobody is let in")


def test_an_upgrade_is_no_way_out(child: Child) -> None:
    """Nobody leaves the limits by asking for a web socket."""
    with connected(child) as line:
        line.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        line.settimeout(5)
        assert line.recv(64 * KIB).startswith(b"HTTP/1.1 200")
