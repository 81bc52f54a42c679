"""Runs the real command line in this process, with one more logging handler that strikes at a durable step.

    python tests/faults/child.py STEP NTH ACTION [--bug NAME] -- sync crm/seg_badge --as-of 2026-09-02

ACTION: kill (SIGKILL to itself) · sleep (three seconds) · wait (until
TAILRACE_HOME/go is there) · fill (writes the file system of TAILRACE_HOME full) ·
count (nothing, but writes how often each step came to TAILRACE_HOME/steps.json).
The product holds no code for faults; only the planted bugs of bugs.py change it, and only here.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path


class Striker(logging.Handler):
    """At the `nth` occurrence of `step`, do `action`, once."""

    def __init__(self, step: str, nth: int, action: str) -> None:
        super().__init__(logging.INFO)
        self.step, self.left, self.action = step, nth, action

    def emit(self, record: logging.LogRecord) -> None:
        COUNTED[getattr(record, "step", "")] += 1
        if getattr(record, "step", None) != self.step:
            return
        self.left -= 1
        if self.left == 0:
            ACTIONS[self.action]()


COUNTED: Counter[str] = Counter()


def write_counts() -> None:
    (Path(os.environ["TAILRACE_HOME"]) / "steps.json").write_text(json.dumps(COUNTED))


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep() -> None:
    time.sleep(3)


def wait() -> None:
    """Say that it stands, and stand until somebody says go."""
    home = Path(os.environ["TAILRACE_HOME"])
    (home / "waiting").touch()
    while not (home / "go").exists():
        time.sleep(0.05)


def fill() -> None:
    """Leave no free block on the (small, own) file system of TAILRACE_HOME."""
    block = bytes(1 << 20)
    while block:
        try:
            with (Path(os.environ["TAILRACE_HOME"]) / "ballast").open("ab", buffering=0) as ballast:
                while ballast.write(block) == len(block):
                    pass
        except OSError:
            pass
        block = block[: len(block) // 2]


ACTIONS = {"kill": kill, "sleep": sleep, "wait": wait, "fill": fill, "count": lambda: None}


def main() -> None:
    ours, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    step, nth, action = ours[:3]
    if action == "count":
        atexit.register(write_counts)
    logger = logging.getLogger("tailrace.step")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(Striker(step, int(nth), action))
    if "--bug" in ours:
        sys.path.insert(0, str(Path(__file__).parent))
        import bugs  # noqa: PLC0415 - only the runs that plant a bug load one

        bugs.plant(ours[ours.index("--bug") + 1])
    sys.argv = ["tailrace", *command]
    from orchestration.cli import main as tailrace  # noqa: PLC0415 - after the handler is in place

    tailrace()


if __name__ == "__main__":
    main()
