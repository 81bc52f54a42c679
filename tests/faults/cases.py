"""The seeded faults: what strikes, where and when. A case is its seed; the same seed is the same case for ever."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

SYNC_STEPS = (  # in the order they come in one sync
    "planned",
    "opened",
    "spooled",
    "claimed",
    "sent",
    "answered",
    "received",
    "folding",
    "appended",
    "committed",
    "folded",
    "closed",
    "staged",
    "published",
)
REFRESH_STEPS = ("landed", "appended", "committed", "staged", "published")
VENDOR = (
    "throttle",
    "refuse",
    "lose",
    "cut",
    "duplicate",
    "garbage",
    "html",
    "empty",
    "unauthorised",
    "forbidden",
    "too_large",
    "error",
    "late_error",
    "slow",
)
WAITS = ("retry-after", "retry-after-date", "reset-epoch", "reset-seconds", "ratelimit-retry-after", "none")
NEVER = ("never", 0.0, "kill")
STRUCK = "struck"  # the property of a report: kind, step, and what the vendor was told to do


@dataclass(frozen=True)
class Case:
    """One fault. `where` is a share of the occurrences of `step` in a clean run: 0 strikes the first, 0.99 the last."""

    seed: int
    kind: str
    command: str  # sync or refresh: what is struck
    step: str
    where: float
    action: str
    behaviour: dict[str, Any] = field(default_factory=dict)
    afterwards: str = ""  # journal: it is deleted; yesterday: the warehouse of before the run is restored

    def __str__(self) -> str:
        vendor = "+".join(rule["do"] for rule in self.behaviour.get("rules", []))
        struck = f"{self.action}@{self.step}:{self.where:.2f}" if self.step != "never" else ""
        return "-".join(part for part in (f"seed{self.seed}", self.command, struck, vendor, self.afterwards) if part)


def case(seed: int) -> Case:  # noqa: PLR0911 - one return a kind
    """The case of this seed. Kinds and steps take turns, so that any run of seeds covers all; the rest is drawn."""
    chance = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    turn = seed // len(KINDS)
    where = chance.random()
    if kind == "refresh":
        return Case(seed, kind, "refresh", REFRESH_STEPS[turn % len(REFRESH_STEPS)], where, "kill")
    step = SYNC_STEPS[turn % len(SYNC_STEPS)]
    if kind == "disk":
        step = ("planned", "opened", "spooled", "claimed", "received", "folding")[turn % 6]
        return Case(seed, kind, "sync", step, where, "fill")
    if kind == "vendor":
        return Case(seed, kind, "sync", *NEVER, behaviour=behaviour(chance, VENDOR[turn % len(VENDOR)]))
    if kind == "vendor and kill":
        return Case(seed, kind, "sync", step, where, "kill", behaviour(chance, chance.choice(VENDOR)))
    if kind == "journal lost":
        return Case(seed, kind, "sync", step, where, "kill", afterwards="journal")
    if kind == "warehouse of yesterday":
        struck = (step, where, "kill") if turn % 2 else NEVER
        return Case(seed, kind, "sync", *struck, afterwards="yesterday")
    return Case(seed, kind, "sync", step, where, "kill")


KINDS = ("kill", "vendor", "kill", "refresh", "vendor and kill", "journal lost", "warehouse of yesterday", "disk")


def behaviour(chance: random.Random, do: str) -> dict[str, Any]:
    """A programme for the recorder: `do` at a few requests, a stretch or a share of them."""
    rules = [rule(chance, do)]
    if chance.random() < 0.3:
        rules.append(rule(chance, chance.choice(VENDOR)))
    rejected = [{"share": 0.1, "whole": chance.random() < 0.5}] if chance.random() < 0.2 else []
    return {"seed": chance.randrange(1000), "rules": rules, "reject": rejected}


def rule(chance: random.Random, do: str) -> dict[str, Any]:
    when: dict[str, Any] = chance.choice(
        (
            {"at": sorted(chance.sample(range(1, 12), 3))},
            {"after": chance.randrange(8), "times": chance.randrange(1, 4)},
            {"share": 0.3},
        )
    )
    waits = {"wait": chance.choice(WAITS), "seconds": 0.2} if do == "throttle" else {}
    return {"do": do, **when, **waits, **({"seconds": 0.5} if do == "slow" else {})}
