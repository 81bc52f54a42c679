"""The closed list of durable steps, each logged as one structured event when it has just become durable.

The fault tests kill the real process at any of these through a logging handler; nothing else in the
product knows about faults.
"""

from __future__ import annotations

import logging
from typing import Literal, get_args

Step = Literal[
    "landed",  # an input file was read and hashed
    "appended",  # rows were written under a batch id that is not yet visible
    "committed",  # the batch became visible
    "planned",  # a plan was stored under its id
    "spooled",  # the plan's rows are on disk, outside the warehouse
    "opened",  # the warehouse knows that this run is about to claim
    "claimed",  # the claim is in the journal; the request has not left
    "sent",  # the request was handed to the network
    "answered",  # the response was read; nothing is written yet
    "received",  # the receipt is in the journal
    "folding",  # the fold's number and range are in the journal
    "folded",  # the fold is visible in the warehouse
    "closed",  # the warehouse knows that this run is over
    "staged",  # a new published copy is written beside the old one
    "published",  # the new published copy took the old one's place
    "moved",  # batches of another warehouse are visible in this one
]
STEPS: tuple[str, ...] = get_args(Step)

_log = logging.getLogger("tailrace.step")


def step(name: Step, **fields: object) -> None:
    """Say that `name` has just become durable; `fields` identify what (sync, run, batch, …)."""
    if _log.isEnabledFor(logging.INFO):
        _log.info(name, extra={"step": name, "fields": fields})
