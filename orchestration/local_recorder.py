"""A recorder for the length of a block: the one that answers already, else a child process of our own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import httpx

from models.errors import NeedsPerson
from models.settings import Settings
from orchestration.environment import child

START_SECONDS = 30
verified = cache(httpx.create_ssl_context)
"""For what is asked again and again: to read the certificates takes longer than the question."""


def answers(url: str) -> bool:
    """Whether a recorder listens at `url`."""
    try:
        return httpx.get(f"{url}/_behaviour", timeout=2, verify=verified()).is_success
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
    command = ["recorder", "--port", str(port), "--db", str(here.recorder_db)]
    with served(here, command, lambda: answers(here.recorder)):
        yield here


@contextmanager
def served(settings: Settings, command: list[str], is_up: Callable[[], bool]) -> Iterator[None]:
    """One of our own commands that serves, in a child process, from when it answers until the block, or we, end.

    Raises NeedsPerson where it does not start.
    """
    settings.root.mkdir(parents=True, exist_ok=True)
    log = settings.root / f"{command[0]}.log"
    with log.open("ab") as said:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "orchestration.served", *command],
            cwd=settings.project,
            env=child(settings),
            stdin=subprocess.PIPE,  # which closes when we end, however that is
            stdout=said,
            stderr=said,
        )
    try:
        _wait(process, command[0], is_up, str(log))
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)
        assert process.stdin, "it was piped"
        process.stdin.close()


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


def _wait(process: subprocess.Popen[bytes], what: str, is_up: Callable[[], bool], log: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"the {what} did not start; what it said is in {log}"
            raise NeedsPerson(message)
        time.sleep(0.05)
