"""One tick: everybody whose time has come, or about whom something is new, moves as far as the clock allows.

Works on temporary tables and appends one batch at the end: a tick that is killed leaves nothing, its repeat the same
rows. The statements are in assets/sql/journeys, where each says what its table holds.
"""

from __future__ import annotations

from assets.journeys import finding, keeping
from assets.journeys.arbitration import arbitrate
from assets.journeys.compiling import compile_versions
from assets.journeys.moves import Rounds
from assets.journeys.program import SCHEMAS
from assets.journeys.tick import Inputs, Tick, Ticked
from models.clock import Clock
from models.policy import Policy
from warehouse.base import Warehouse


def tick(warehouse: Warehouse, policy: Policy, clock: Clock, inputs: Inputs) -> Ticked:
    """Everything up to the clock, as one batch. The logs are in place. Raises TooMany."""
    one = Tick(warehouse, policy, clock, inputs)
    if not one.versions:
        return Ticked()
    try:
        return _run(one)
    finally:
        one.drop_all()


def _run(tick: Tick) -> Ticked:
    tick.look_back()
    through = tick.loaded_through()
    tick.program = compile_versions(tick.versions, tick.last, through, tick.inputs.waiting)
    for name in SCHEMAS:
        tick.keep(name, tick.program.tables[name])
    finding.take(tick)
    is_busy = finding.find(tick)
    rounds = Rounds(tick).run() if is_busy else 0
    if is_busy:
        tick.count_moves()
        tick.refuse_too_many()
        tick.hold_out()
    decided = arbitrate(tick, is_busy=is_busy)
    tick.count_news()
    # when a campaign's time has come, or a version is new, neither is looked at again
    if not (tick.kinds or decided or any(tick.news.values()) or tick.has_campaigns or tick.published):
        return Ticked(rounds=rounds)
    moved = sum(tick.kinds.values())
    ticked = Ticked(
        tick.number, tick.kinds.get("entered", 0), moved, dict(decided), rounds, tick.news.get("withdrawal", 0)
    )
    keeping.write(tick, through, ticked)
    return ticked
