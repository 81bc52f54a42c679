"""Services that a command begins for itself: its own target's, gone with it, however it ends."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import httpx
import pytest

from models.settings import Settings
from orchestration import local_gateway, local_recorder
from orchestration.environment import child

HOLD = """
import sys
from orchestration import local_recorder
from orchestration.environment import settings
with local_recorder.running(settings()) as here:
    print(here.recorder, flush=True)
    sys.stdin.read()
"""


def waits_until(is_so, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_so()


def test_a_service_ends_with_whoever_began_it(shop: Settings) -> None:
    """Killed with -9, a command leaves no recorder behind."""
    apart = replace(shop, recorder=f"http://127.0.0.1:{local_recorder.free_port()}", environ=dict(os.environ))
    command = [sys.executable, "-c", HOLD]
    begun = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **child(apart)}
    )
    assert begun.stdout
    url = begun.stdout.readline().strip()
    assert local_recorder.answers(url)
    begun.kill()
    begun.wait()
    assert waits_until(lambda: not local_recorder.answers(url))


@pytest.mark.slow
def test_a_gateway_of_another_target_is_not_ours(shop: Settings) -> None:
    """What people decide belongs to the target whose messages they got: a second home has a gateway of its own."""
    port = local_recorder.free_port()
    mine = replace(shop, gateway=f"http://127.0.0.1:{port}", environ=dict(os.environ))
    theirs = replace(mine, home=shop.home.with_name("another"))
    with local_gateway.running(mine) as here:
        assert here.gateway == mine.gateway
        with local_gateway.running(here) as again:  # the one that answers
            assert again.gateway == here.gateway
        with local_gateway.running(theirs) as other:
            assert other.gateway != here.gateway
            assert httpx.get(f"{other.gateway}/healthz").is_success
    assert waits_until(lambda: not local_gateway.answers(mine))
