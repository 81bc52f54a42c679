"""The suite's account: what was struck at which step, printed at the end of `make faults` (also with workers)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.cases import KINDS, REFRESH_STEPS, SYNC_STEPS

STRUCK = "struck"  # the property of a report: kind, step, and what the vendor was told to do
ROWS = (*dict.fromkeys((*SYNC_STEPS, *REFRESH_STEPS)), "never")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Faults by step and kind, and what the vendor did; nothing where no fault struck."""
    reports = [report for how in ("passed", "failed") for report in terminalreporter.getreports(how)]
    struck = [value for report in reports for name, value in report.user_properties if name == STRUCK]
    if not struck:
        return
    failed = sum(report.failed and any(name == STRUCK for name, _ in report.user_properties) for report in reports)
    terminalreporter.section(f"{len(struck)} faults, {failed} of them lost, doubled or hid something")
    for line in account([(kind, step) for kind, step, _ in struck]):
        terminalreporter.line(line)
    vendor = Counter(did for _, _, behaviour in struck for did in behaviour)
    if vendor:
        terminalreporter.line("the vendor: " + ", ".join(f"{did} {count}" for did, count in vendor.most_common()))


def account(struck: list[tuple[str, str]]) -> Iterator[str]:
    """A line a step, a column a kind."""
    counts = Counter(struck)
    kinds = tuple(dict.fromkeys(KINDS))
    yield "step".ljust(12) + "".join(kind.rjust(len(kind) + 2) for kind in kinds)
    for step in ROWS:
        numbers = [(counts[kind, step], len(kind) + 2) for kind in kinds]
        if any(count for count, _ in numbers):
            name = "no kill" if step == "never" else step
            yield name.ljust(12) + "".join(str(count or "-").rjust(width) for count, width in numbers)
