"""One pace an account: the vendor's "wait" in every dialect, and back-off with full jitter where it says nothing."""

import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.limiter import Backoff, Limiter, Limiters, retry_after

NOON = "Sun, 01 Nov 2026 12:00:00 GMT"


def limiter(per_second: float | None = None, seed: int = 1) -> Limiter:
    return Limiter(per_second, jitter=random.Random(seed), backoff=Backoff(first=0.05, ceiling=0.2))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "Sun, 01 Nov 2026 12:01:30 GMT", "date": NOON}, 90),
        ({"retry-after": "Sun, 01 Nov 2026 11:00:00 GMT", "date": NOON}, 0),
        ({"x-ratelimit-reset": "1793534410", "date": NOON}, 10),
        ({"x-ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-retry-after": "3"}, 3),
        ({"retry-after": "2", "x-ratelimit-reset": "30"}, 2),
        ({"retry-after": "soon", "x-ratelimit-reset": "30"}, 30),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_every_dialect_of_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Retry-After as seconds or date, resets as epoch or seconds, by the vendor's own clock; nonsense is nothing."""
    assert retry_after(headers) == seconds


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_header_can_break_the_reader(value: str, date: str) -> None:
    """Whatever a vendor writes, the answer is a number of seconds or nothing."""
    wait = retry_after({"retry-after": value, "x-ratelimit-reset": value, "date": date})
    assert wait is None or wait >= 0


def test_the_pace_is_the_accounts_and_not_each_threads() -> None:
    """Four threads together send no more than the limit allows."""
    shared, sent = limiter(per_second=100), []

    def work() -> None:
        while len(sent) < 20:
            if (wait := shared.reserve()) == 0:
                sent.append(time.monotonic())
            else:
                time.sleep(wait)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sent[19] - sent[0] >= 0.18


def test_a_throttled_account_waits_as_long_as_it_was_asked() -> None:
    """Until then nobody gets a slot; afterwards one does, and a taken request ends the throttling."""
    shared = limiter()
    assert shared.throttled(0.05) == 0.05
    assert 0 < shared.reserve() <= 0.055
    assert shared.throttled_for() >= 0
    time.sleep(0.06)
    assert shared.reserve() == 0
    assert shared.throttled_for() > 0
    shared.answered()
    assert shared.throttled_for() == 0


def test_blind_back_off_is_a_random_part_of_a_doubling_ceiling() -> None:
    """Each wait lies between nothing and the ceiling, is not always the same, and the same seed repeats it."""
    backoff = Backoff(first=1, ceiling=8)
    waits = [[backoff.wait(failures, random.Random(seed)) for failures in range(1, 8)] for seed in (1, 2, 1)]
    assert all(0 <= wait <= min(8, 2**number) for row in waits for number, wait in enumerate(row))
    assert waits[0] == waits[2] != waits[1]


def test_the_answers_of_one_volley_are_one_failure() -> None:
    """Thirty-two refusals at once do not make the account wait as after thirty-two failures in a row."""
    shared = limiter()
    for _ in range(32):
        shared.throttled(None)
    assert shared._failures <= 3


def test_syncs_of_one_account_share_its_limiter() -> None:
    """The same quota key is the same limiter, another key another."""
    limiters = Limiters(seed=1)
    assert limiters.of("a", 5) is limiters.of("a", None)
    assert limiters.of("a", 5) is not limiters.of("b", 5)
