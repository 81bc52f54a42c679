"""A gateway for the length of a block: the one of this target that answers already, else a child process of our own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx

from gateway.app import TARGET
from models.errors import NeedsPerson
from models.settings import Settings
from orchestration.local_recorder import free_port, is_free, served, verified

FILES_SECONDS = 30.0


def answers(settings: Settings) -> bool:
    """Whether this target's gateway listens where its links lead: another's would keep what people decide."""
    try:
        answer = httpx.get(f"{settings.gateway}/healthz", timeout=2, verify=verified())
    except httpx.HTTPError:
        return False
    return answer.is_success and answer.headers.get(TARGET) == settings.fingerprint


@contextmanager
def running(settings: Settings) -> Iterator[Settings]:
    """The settings with a gateway that answers; links of messages lead to it."""
    if answers(settings):
        yield settings
        return
    # links of messages lead to the address that is said, also after this: it is another one only if that is taken
    asked = httpx.URL(settings.gateway)
    port = asked.port if asked.host == "127.0.0.1" and asked.port and is_free(asked.port) else free_port()
    here = replace(settings, gateway=f"http://127.0.0.1:{port}")
    with served(here, ["gateway", "--port", str(port)], lambda: answers(here)):
        yield here


def wait_for_files(settings: Settings) -> None:
    """Until what was answered is in files that can be loaded. Raises NeedsPerson where that takes too long."""
    deadline = time.monotonic() + FILES_SECONDS
    while any(settings.outcomes.glob(".gateway-*.part")):
        if time.monotonic() > deadline:
            message = f"the gateway does not finish its files in {settings.outcomes}; look at its log"
            raise NeedsPerson(message)
        time.sleep(0.05)
