"""What rows become before a sink of messages gets them: composed by assets/messages, handed to the delivery loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Composed:
    """One row a row, with the columns of models/message.py; `failed`: position → why it has no message."""

    frame: pl.DataFrame
    failed: Mapping[int, str]


Compose = Callable[[pl.DataFrame], Composed]
"""Takes rows of the spool with its reserved columns. Called in a thread of its own, one chunk after the other."""
