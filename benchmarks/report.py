"""The frame of every benchmark: ours and the limit alternate in one run, medians, one table or one line of JSON.

A benchmark is a script: `report.main("ingest", cases)`, where `cases(options)` gives one Case after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

GROWTH = 1.1  # ours may grow by so much more than the limit from one size to ten times that
Figure = Callable[[], float]  # does the work once and gives its figure: seconds, rows a second, megabytes


@dataclass(frozen=True)
class Options:
    """How a benchmark was asked to run. `quick`: small sizes, one round: whether it runs, not what it says."""

    quick: bool
    rounds: int
    sizes: tuple[int, ...] | None = None

    def pick(self, full: tuple[int, ...], quick: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes to run at."""
        return self.sizes or (quick if self.quick else full)


@dataclass(frozen=True)
class Case:
    """One line of the table: ours against the limit on the same work, both in `unit`."""

    case: str
    size: int
    ours: float
    limit: float
    unit: str
    goal: float
    goal_is: Literal["ratio at most", "ratio at least", "ours at most", "ours at least"] = "ratio at most"

    @property
    def ratio(self) -> float:
        return self.ours / self.limit if self.limit else float("inf")

    @property
    def reached(self) -> bool:
        figure = self.ratio if self.goal_is.startswith("ratio") else self.ours
        return figure <= self.goal if self.goal_is.endswith("at most") else figure >= self.goal

    def as_dict(self) -> dict[str, object]:
        """The agreed shape; figures to four digits that say something."""
        figures = {"ours": self.ours, "limit": self.limit, "ratio": self.ratio, "goal": self.goal}
        rounded = {name: float(f"{figure:.4g}") for name, figure in figures.items()}
        return {"case": self.case, "size": self.size, **rounded, "unit": self.unit, "reached": self.reached}


def alternate(ours: Figure, limit: Figure, rounds: int) -> tuple[float, float]:
    """Medians of ours and the limit, run in turn, so that both meet the same machine; the first to run changes."""
    figures: dict[Figure, list[float]] = {ours: [], limit: []}
    for turn in range(rounds):
        for each in (limit, ours) if turn % 2 == 0 else (ours, limit):
            figures[each].append(each())
    return statistics.median(figures[ours]), statistics.median(figures[limit])


def median(work: Callable[[], object], rounds: int) -> float:
    """Of the seconds that a work takes, run several times."""
    return statistics.median(seconds(work) for _ in range(rounds))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, by the real clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def growths(cases: Iterable[Case]) -> Iterator[Case]:
    """How much more ours grows from the smallest size of each case to its largest than the limit does."""
    done: dict[str, list[Case]] = {}
    for case in cases:
        done.setdefault(case.case, []).append(case)
    for name, (small, *larger) in done.items():
        for large in larger[-1:]:
            ours, limit = (_taken(large, side) / _taken(small, side) for side in ("ours", "limit"))
            yield Case(f"{name}: growth from {small.size:,}", large.size, ours, limit, "x", GROWTH)


def _taken(case: Case, side: str) -> float:
    """What grows: the figure itself, or the time that a rate means."""
    figure = float(getattr(case, side))
    return case.size / figure if case.unit.endswith("/s") else figure


def main(name: str, cases: Callable[[Options], Iterable[Case]], about: str = "") -> None:
    """Run a benchmark from the command line and print what it found."""
    parser = argparse.ArgumentParser(description=about or f"Benchmark {name}: ours against the physical limit")
    parser.add_argument("--json", action="store_true", help="the result as JSON, the last line of the output")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does it run?")
    parser.add_argument("--rounds", type=int, default=None, help="alternations; default 3, quick 1")
    parser.add_argument("--sizes", type=int, nargs="*", help="other sizes than the usual")
    given = parser.parse_args()
    options = Options(given.quick, given.rounds or (1 if given.quick else 3), tuple(given.sizes or ()) or None)
    found = []
    try:
        for case in cases(options):
            found.append(case)
            print(f"{case.case} at {case.size:,}: {case.ours:.4g} {case.unit}, {case.ratio:.3g} x", file=sys.stderr)
    finally:  # an hour's figures are told whatever ends it
        if given.json:
            print(json.dumps({"name": name, "cases": [case.as_dict() for case in found]}))
        else:
            Console().print(table(name, found))


def table(name: str, cases: Iterable[Case]) -> Table:
    """The same for people."""
    shown = Table("case", "size", "ours", "limit", "ratio", "goal", "", title=name)
    for column in shown.columns[1:6]:
        column.justify = "right"
    for case in cases:
        goal = f"{case.goal_is.replace('ratio ', '')} {case.goal:,.4g}" + (" x" if "ratio" in case.goal_is else "")
        mark = "[green]reached[/]" if case.reached else "[red]missed[/]"
        figures = (f"{case.ours:,.4g} {case.unit}", f"{case.limit:,.4g} {case.unit}", f"{case.ratio:.3g} x", goal, mark)
        shown.add_row(case.case, f"{case.size:,}", *figures)
    return shown
