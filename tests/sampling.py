"""How much of the longest tests is run: all of it by `make test`, a sample where TAILRACE_SAMPLE is set, as in CI.

Its value is the seed: another commit, another sample.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TypeVar

Amount = TypeVar("Amount")
SEED = os.environ.get("TAILRACE_SAMPLE", "")
IS_SAMPLE = bool(SEED)


def sampled(whole: Amount, part: Amount) -> Amount:
    """The one or the other."""
    return part if IS_SAMPLE else whole


def is_left_out(test: str, one_of: int = 4) -> bool:
    """Whether a test or module marked `sampled` is not of this sample. Of so many one is; of 0 none ever."""
    return IS_SAMPLE and (not one_of or blake2b(f"{SEED} {test}".encode()).digest()[0] % one_of != 0)
