"""A series through the bridge's own work, in virtual time: one batch for each step, and what was shown after it.

No store, broker or thread: `Work` and `Memory` alone, as the service uses them. A batch is made of what arrived until
its time; then time passes for every channel. Where nothing came, whoever calls lets a second pass after the step, as
the bridge does: a silence is longer than its limit then, not as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gateway import qc, settings
from gateway.bridge.work import Memory, Rules, Series, Work
from gateway.errors import FaultCode
from gateway.model import ClockState, Condition, Flag, Observation, Transition
from gateway.stations import Channel, Registry, Station

LOST = (Condition.SILENT, Condition.FAULTY)
LOOKS_MS = 1000  # how often the bridge looks at the time


@dataclass(frozen=True, slots=True)
class Read:
    """What arrives of one reading: a value in metres, or a fault, and when the device says that it was measured."""

    station: Station
    channel: Channel
    seq: int
    at_ms: int
    value: float | None
    fault: FaultCode | None = None
    clk: ClockState = ClockState.SYNCED
    log: str = "a"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the desk could see of a channel from a time on: the highest rank claimed, whether its loss was shown (held,
    silent or faulty), whether its value was shown as current."""

    since_ms: int
    rank: int
    lost: bool
    fresh: bool


@dataclass(slots=True)
class Track:
    """What was shown and said of one channel. `stale`: steps at which a value was shown as current though the newest
    that had arrived was older than its contract allows."""

    shown: list[Shown] = field(default_factory=list)
    said: list[tuple[int, Transition]] = field(default_factory=list)  # when, what
    newest_ms: int | None = None
    stale: int = 0
    refused: int = 0  # reads from a future that nobody believes


class Player:
    """The bridge's work over one registry. `step` is to be called with rising times."""

    def __init__(
        self, registry: Registry, listening_since_ms: int, look: Callable[[Work], None] = lambda work: None
    ) -> None:
        """`look` is shown each batch before it is let go."""
        self.registry, self._show = registry, look
        self.memory = Memory("score")
        self.tracks: dict[Series, Track] = {}
        self._watched: list[tuple[Series, Channel, Track]] = []
        for station in registry.stations.values():
            for channel in station.watched:
                series = (station.tenant, station.id, channel.name)
                self.tracks[series] = Track()
                self._watched.append((series, channel, self.tracks[series]))
        self._bridge = settings.Bridge(Path("no-store"), settings.Broker(), alert_topic=False)
        self._since_ms = listening_since_ms

    def step(self, now_ms: int, reads: Iterable[Read]) -> list[Transition]:
        """One batch. Returns what it said."""
        future_ms = now_ms + round(self._bridge.future_tolerance_s * 1000)
        rules = Rules(self.registry, self._bridge, now_ms, future_ms, self._since_ms, now_ms, now_ms)
        work = Work(self.memory, rules)
        arrived = [self._observation(read, now_ms, work) for read in reads if self._believed(read, future_ms)]
        work.observe(arrived)
        work.tick()
        work.swap_in()
        for t in work.transitions:
            if (track := self.tracks.get((t.tenant, t.station, t.channel))) is not None:
                track.said.append((now_ms, t))
        self._look(now_ms)
        self._show(work)
        return work.transitions

    def _believed(self, read: Read, future_ms: int) -> bool:
        """As the pipeline refuses a time that lies in the future."""
        if read.at_ms <= future_ms:
            return True
        if track := self.tracks.get((read.station.tenant, read.station.id, read.channel.name)):
            track.refused += 1
        return False

    def _observation(self, read: Read, now_ms: int, work: Work) -> Observation:
        station, channel = read.station, read.channel
        track = self.tracks.get((station.tenant, station.id, channel.name))
        if track is not None:
            track.newest_ms = max(track.newest_ms or 0, min(read.at_ms, now_ms))
        flag, tests = Flag.MISSING, tuple[str, ...]()
        if read.value is not None:
            flag = qc.gross_range(read.value, channel.limits)
            tests = ("gross_range",) if flag in (Flag.SUSPECT, Flag.FAIL) else ()
        return Observation(
            station.tenant,
            station.device,
            station.id,
            channel.name,
            read.log,
            read.seq,
            0,
            read.at_ms,
            now_ms,
            read.value,
            read.value,
            flag,
            tests,
            read.fault,
            read.clk,
        )

    def _look(self, now_ms: int) -> None:
        states = self.memory.states
        for series, channel, track in self._watched:
            state = states.get(series)
            if state is None:
                continue
            rank, lost = max(state.rank, state.unconfirmed), state.held or state.condition in LOST
            fresh = state.condition is Condition.FRESH
            last = track.shown[-1] if track.shown else None
            if last is None or (last.rank, last.lost, last.fresh) != (rank, lost, fresh):
                track.shown.append(Shown(now_ms, rank, lost, fresh))
            if fresh and now_ms - (track.newest_ms or 0) > channel.contract.late_after_s * 1000:
                track.stale += 1
