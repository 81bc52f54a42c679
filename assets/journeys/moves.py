"""The rounds of a tick: what is next for everybody, who goes first, where they are then; until nobody moves."""

from __future__ import annotations

from assets.journeys.tick import Tick

_MOVED = "r, pv, hop, kind, from_n, n, ended, detail, move_at, since_at, due_at"
_NOTHING = {  # the shapes of tables of which there is nothing
    "moved": (
        "cast(null as bigint) as r, cast(null as integer) as pv, 0 as hop, '' as kind, "
        "cast(null as integer) as from_n, cast(null as integer) as n, '' as ended, '' as detail, "
        "cast(null as {moment}) as move_at, cast(null as {moment}) as since_at, "
        "cast(null as {moment}) as due_at"
    ),
    "refused": "cast(null as bigint) as r, cast(null as integer) as pv, '' as reason",
    "run_event": (
        "cast(null as bigint) as r, cast(null as integer) as pv, '' as event, '' as match, "
        "cast(null as {moment}) as occurred_at, cast(null as {moment}) as counts_at, '' as source, '' as event_id"
    ),
    "signal": (
        "cast(null as bigint) as r, cast(null as integer) as pv, cast(null as {moment}) as goal_at, "
        "cast(null as {moment}) as exit_at, '' as exit_detail"
    ),
}


class Rounds:
    """All rounds of one tick, into the tables `moved` and `refused`."""

    def __init__(self, tick: Tick) -> None:
        self.tick, self.program = tick, tick.program

    def run(self) -> int:
        """Round after round; how many."""
        self._gather()
        self._enter()
        rounds = 1
        while self._turn():
            rounds += 1
        return rounds

    def _nothing(self, table: str) -> None:
        columns = _NOTHING[table].format(moment=self.tick.warehouse.dialect.kind("timestamptz"))
        self.tick.create(table, f"select {columns} limit 0")

    # --- what rounds look at

    def _gather(self) -> None:
        """Versions that a run may be in, memberships, zones, events, and what they mean."""
        tick, program = self.tick, self.program
        self.has_publications = any(
            row["on_publish"] != "drain" and row["version"] > 1 for row in program.rows("program_version")
        )
        self.has_pairs = tick.has_lanes and tick.has_aliases
        exits = {str(row["segment"]) for row in program.rows("program_exit") if row["segment"]}
        arms = {str(row["segment"]) for row in program.rows("program_arm") if row["segment"]}
        self.has_branch_segments = bool(arms)
        if exits or arms:
            tick.make("member_stay", "stays", segments=tick.texts(sorted(exits | arms)), people="kin")
        if program.has_local_waits:
            tick.make("fact", "facts", people="kin")
        if program.properties:
            tick.make("run_property", "run_properties", properties=program.properties)
        self._gather_events(has_exit_segments=bool(exits))
        if self.has_pairs:
            tick.make("pair", "pairs")

    def _gather_events(self, *, has_exit_segments: bool) -> None:
        tick, program = self.tick, self.program
        watched = {str(row["event"]) for row in program.rows("program_watch")}
        if watched:
            tick.make("kin_event", "kin_events", names=tick.texts(sorted(watched)))
        has_kin_events = bool(watched) and tick.has("kin_event")
        if has_kin_events or has_exit_segments:
            migrates = bool(program.rows("program_migration"))
            tick.make("runner_version", "runner_versions", migrates=migrates)
        if has_kin_events:
            own = {"has_own": program.has_own_events, "has_aliases": tick.has_aliases}
            tick.make("run_event", "run_events", matches=program.matches, **own)
        else:
            self._nothing("run_event")
        if has_exit_segments:
            tick.make("runner_root", "runner_roots")
        if has_kin_events or has_exit_segments:
            tick.make("signal", "signals", has_exit_segments=has_exit_segments)
        else:
            self._nothing("signal")
        found = tick.counts("run_event", "signal")
        tick.has_run_events, tick.has_signals = found["run_event"] > 0, found["signal"] > 0

    # --- rounds

    def _enter(self) -> None:
        """The first round: those enter who depend on nobody."""
        tick = self.tick
        if not tick.entrants:
            self._nothing("moved")
            self._nothing("refused")
            return
        tick.make("free_entry", "free_entries")
        tick.create("refused", "select r, pv, reason from free_entry where reason is not null")
        self._arrive("entries")
        tick.create("moved", f"select {_MOVED} from arrived")
        self._stand(is_first=True)

    def _turn(self) -> bool:
        """One round more; whether anything happened."""
        tick = self.tick
        if not (self._take_turns() if tick.has_lanes else self._take_all()):
            return False
        tick.insert("moved", f"select {_MOVED} from arrived")
        self._stand(is_first=False)
        return True

    def _take_all(self) -> bool:
        """Nobody depends on anybody: all go that can."""
        kinds = self._kinds()
        if not kinds and not self.tick.has_signals:
            return False
        self._arrive("moves", **self._of_moves(kinds))
        return self.tick.has("arrived")

    def _take_turns(self) -> bool:
        """In a lane one goes at a time: the earliest, or who enters before it."""
        tick = self.tick
        tick.make("move", "moves", **self._of_moves(self._kinds()))
        tick.make("lane_entry", "lane_entries", has_aliases=tick.has_aliases)
        tick.make("turn", "turns", has_pairs=self.has_pairs)
        found = tick.counts("lane_entry", "turn")
        if found["lane_entry"]:
            tick.insert("refused", "select r, pv, reason from lane_entry where reason is not null")
        if not any(found.values()):
            return False
        self._arrive("turns")
        return True

    def _kinds(self) -> set[str]:
        """Of the steps at which anybody is."""
        rows = self.tick.warehouse.rows(
            "select distinct node.kind from spot inner join program_node as node on spot.n = node.n "
            "where spot.state = 'active'"
        )
        return {str(row["kind"]) for row in rows}

    def _of_moves(self, kinds: set[str]) -> dict[str, object]:
        return {
            "kinds": kinds,
            "has_branch_segments": self.has_branch_segments,
            "properties": self.program.properties,
            "has_run_events": self.tick.has_run_events,
            "has_publications": self.has_publications,
            "has_pairs": self.has_pairs,
            "has_interruptions": self.tick.has_signals or self.has_publications or self.has_pairs,
        }

    def _arrive(self, source: str, **values: object) -> None:
        program = self.program
        self.tick.make(
            "arrived",
            "arrivals",
            source=source,
            has_local_waits=program.has_local_waits,
            dates=program.dates,
            **values,
        )

    def _stand(self, *, is_first: bool) -> None:
        """Where everybody is now."""
        tick = self.tick
        has_lanes = tick.has_lanes and not is_first
        reads_spots = is_first or has_lanes
        tick.make(
            "next_spot" if reads_spots else "spot",
            "next_spots",
            is_first=is_first,
            has_lanes=has_lanes,
            has_events=tick.has_run_events or self.tick.has_signals,
            has_publications=self.has_publications,
        )
        if reads_spots:
            tick.replace("spot", "next_spot")
