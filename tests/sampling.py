"""How much of the longest tests is run: all of it by `make test`, a sample where TAILRACE_SAMPLE is set, as in CI."""

from __future__ import annotations

import os
from typing import TypeVar

Amount = TypeVar("Amount")
IS_SAMPLE = bool(os.environ.get("TAILRACE_SAMPLE"))


def sampled(whole: Amount, part: Amount) -> Amount:
    """The one or the other."""
    return part if IS_SAMPLE else whole
