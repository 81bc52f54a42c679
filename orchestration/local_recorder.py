"""A recorder for the length of a block: the one that answers already, else a child process of our own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx

from models.errors import NeedsPerson
from models.settings import Settings
from orchestration.environment import child

START_SECONDS = 30


def answers(url: str) -> bool:
    """Whether a recorder listens at `url`."""
    try:
        return httpx.get(f"{url}/_behaviour", timeout=2).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def running(settings: Settings) -> Iterator[Settings]:
    """The settings with a recorder that answers. One that we start keeps what it receives in the target's folder."""
    if answers(settings.recorder):
        yield settings
        return
    port = free_port()
    here = replace(settings, recorder=f"http://127.0.0.1:{port}")
    settings.root.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "orchestration", "recorder", "--port", str(port), "--db", str(here.recorder_db)]
    log = settings.root / "recorder.log"
    with log.open("ab") as said:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command, cwd=settings.project, env=child(here), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
    try:
        _wait(process, here.recorder, str(log))
        yield here
    finally:
        process.terminate()
        process.wait(timeout=10)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether this port of the loopback interface can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait(process: subprocess.Popen[bytes], url: str, log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"the recorder did not start; what it said is in {log}"
            raise NeedsPerson(message)
        time.sleep(0.05)
