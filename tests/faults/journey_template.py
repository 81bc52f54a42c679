"""What the cases of journeys begin from: the small world of one journey before its second day, and before its tick."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.faults.journey_world import NOON, SYNC, JourneyWorld, build_journeys
from tests.faults.test_faults import done
from tests.faults.world import moment


@dataclass(frozen=True)
class Journeys:
    landed: JourneyWorld  # the second day landed
    refreshed: JourneyWorld  # … and refreshed and sent
    counts: dict[str, dict[str, int]]  # of each command: how often each step comes

    def copied(self, command: str, folder: Path) -> JourneyWorld:
        """The world before this command."""
        return copied(self.refreshed if command == "tick" else self.landed, folder)


def template_of_journeys(folder: Path) -> Journeys:
    landed = build_journeys(folder / "landed")
    landed.begin()
    refreshed = copied(landed, folder / "refreshed")
    refreshed.start_recorder()
    done(refreshed.tailrace("refresh", "--as-of", moment(2), fault=("never", 1, "count")))
    counts = {"refresh": refreshed.counted()}
    done(refreshed.tailrace("sync", SYNC, "--as-of", moment(2)))
    refreshed.stop_recorder()
    trial = copied(refreshed, folder / "trial")
    trial.start_recorder()
    done(trial.tailrace("tick", "--as-of", NOON, fault=("never", 1, "count")))
    trial.check()
    trial.stop_recorder()
    return Journeys(landed, refreshed, counts | {"tick": trial.counted()})


def copied(world: JourneyWorld, folder: Path) -> JourneyWorld:
    shutil.copytree(world.folder, folder, symlinks=True)
    return JourneyWorld(folder)
