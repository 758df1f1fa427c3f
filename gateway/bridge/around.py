"""What is known around a channel when it is judged: rain, neighbours, a second sensor, its router, work at the station.
Every question costs as much as the station has neighbours, whatever the number of stations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from gateway import reporting, sluggish, trend
from gateway.channelstate import ChannelState, Context, Known, MetresAt
from gateway.episodes import Episode, Suspension
from gateway.model import Condition
from gateway.stations import Channel, Contract, Registry, Station

RISING_M, RISING_WITHIN_MS = 0.10, 60 * 60_000  # so much in an hour, and still at its highest, is clearly rising
RAIN = ("rain", "rain_rate")
RAINS_ON_MS = 60 * 60_000  # after the last word of a gauge that was lost in a rain


@dataclass(frozen=True, slots=True)
class Heard:
    """Since when something is heard without a gap, and when last."""

    since_ms: int
    last_ms: int


class Rules(Protocol):
    @property
    def registry(self) -> Registry: ...
    @property
    def now_ms(self) -> int: ...


class Memory(Protocol):
    """`heard`: routers of beacons, by (tenant, router)."""

    heard: dict[tuple[str, str], Heard]


class Batch(Protocol):
    @property
    def rules(self) -> Rules: ...
    @property
    def memory(self) -> Memory: ...
    def state(self, series: tuple[str, str, str]) -> ChannelState: ...
    def episode(self, place: tuple[str, str]) -> Episode | None: ...
    def suspended(self, kind: str, tenant: str, station: str) -> Suspension | None: ...
    def stepped(self, station: Station) -> bool: ...


class Asked:
    """Rain and neighbours of a station, asked when somebody wants to know: while one observation is judged they stand
    still."""

    __slots__ = ("_around", "_known", "_station")

    def __init__(self, around: Around, station: Station) -> None:
        self._around, self._station = around, station
        self._known: Known | None = None

    def _said(self) -> Known:
        if self._known is None:
            self._known = self._around.near(self._station)
        return self._known

    @property
    def support(self) -> bool:
        return self._said().support

    @property
    def raised(self) -> bool:
        return self._said().raised

    @property
    def witnessed(self) -> bool:
        return self._said().witnessed

    @property
    def least_per_h(self) -> float | None:
        return self._around.least_per_h(self._station)

    @property
    def least(self) -> float | None:
        return self._around.least(self._station)


class Around:
    """The surroundings of the channels in one batch."""

    def __init__(self, work: Batch) -> None:
        self._work = work

    def context(self, station: Station, channel: Channel) -> Context:
        """For an observation, and for the passing of time."""
        if self.maintenance(station):
            return Context(maintenance=True, gathered=True)
        second, router_s = self._second(station, channel), self.router_s(station.tenant, channel.contract)
        return Context(Asked(self, station), second, gathered=True, router_s=router_s)

    def seen(self, station: Station, context: Context) -> Context:
        """With whether a person has acknowledged what is open at the station."""
        episode = self._work.episode((station.tenant, station.id))
        acknowledged = episode is not None and episode.course.acknowledged_ms is not None
        return replace(context, seen=True) if acknowledged else context

    def maintenance(self, station: Station) -> bool:
        return self._work.suspended("maintenance", station.tenant, station.id) is not None

    # --- rain and neighbours -----------------------------------------------------------------------------------

    def near(self, station: Station) -> Known:
        """Whether rain or a neighbour supports a rise here, makes the contract the raised one, and whether anybody is
        there to do so. A neighbour that lies above its first threshold does all, also where it is held; one that
        clearly rises supports."""
        raised, rising, witnessed = self._rains(station), False, self._rain_heard(station)
        stations = self._work.rules.registry.stations
        for name in station.neighbours:
            neighbour = stations.get((station.tenant, name))
            if raised or neighbour is None:
                continue
            witnessed = witnessed or self._rain_heard(neighbour)
            work = self.maintenance(neighbour)
            raised = not work and self._rains(neighbour)
            for channel in neighbour.watched:
                if channel.quantity in RAIN:
                    continue
                state = self._work.state((neighbour.tenant, neighbour.id, channel.name))
                witnessed = witnessed or state.value is not None
                if not work:
                    raised = raised or (state.rank >= 1 and (state.held or state.lost_ms is None))
                    rising = rising or (self._fresh(state, channel) and clearly_rising(state.recent))
        return Known(raised or rising, raised, witnessed or raised)

    def least_per_h(self, station: Station) -> float | None:
        """The least rise of the last hour among the fresh neighbours, canonical unit; None where none is known."""
        rises = (trend.change_over(recent, RISING_WITHIN_MS) for _, recent in self._alike(station, station.neighbours))
        return min((rise for rise in rises if rise is not None), default=None)

    def least(self, station: Station) -> float | None:
        """How low the level may be by the stations related to it, by where they have stood for an hour; None where none
        is fresh, or none so high that it says anything."""
        alike = self._alike(station, station.related)
        said = (sluggish.least_by(station.related[name], recent) for name, recent in alike)
        return max((least for least in said if least is not None), default=None)

    def _alike(self, station: Station, names: Iterable[str]) -> Iterator[tuple[str, tuple[MetresAt, ...]]]:
        """Those on the same kind of water that are fresh, and their last hours."""
        own = station.main_channel
        for name in names:
            neighbour = self._work.rules.registry.station(station.tenant, name)
            channel = neighbour.main_channel if neighbour else None
            if neighbour is None or channel is None or own is None or self.maintenance(neighbour):
                continue
            if channel.quantity != own.quantity or neighbour.hazard != station.hazard:
                continue
            state = self._work.state((neighbour.tenant, neighbour.id, channel.name))
            if self._fresh(state, channel) and not state.jumps:  # a zero in doubt tells nothing of others
                yield name, state.recent

    def _rain_heard(self, station: Station) -> bool:
        """Whether anything of the station has ever told of rain in a way by which `_rains` could know."""
        names = {c.name for c in station.channels.values() if c.quantity in RAIN and c.thresholds}
        names |= {step.channel for step in station.steps}
        return any(self._work.state((station.tenant, station.id, x)).value is not None for x in names)

    def _rains(self, station: Station) -> bool:
        """Whether a rain channel of the station stands above its first threshold, or a step was told in this rain;
        False where none is fresh."""
        for channel in station.channels.values():
            if channel.quantity in RAIN and channel.thresholds:
                state = self._work.state((station.tenant, station.id, channel.name))
                marks = channel.in_force(self._work.rules.now_ms)
                first = min((t.value for t in marks), default=None)
                above = first is not None and state.value is not None and state.value >= first
                if above and self._fresh(state, channel):
                    return True
        gauges = [station.channels[name] for name in {step.channel for step in station.steps}]
        if not self._work.stepped(station):
            return False
        states = [(self._work.state((station.tenant, station.id, c.name)), c) for c in gauges]
        newest_ms = max((state.usable_ms or 0 for state, _ in states), default=0)
        lately = self._work.rules.now_ms - newest_ms <= RAINS_ON_MS  # lost in the rain: it may rain on
        return lately or any(self._fresh(*x) for x in states)

    def _fresh(self, state: ChannelState, channel: Channel) -> bool:
        return state.condition is Condition.FRESH and reporting.fresh(state, channel, self._work.rules.now_ms)

    # --- the same site -----------------------------------------------------------------------------------------

    def _second(self, station: Station, channel: Channel) -> int | None:
        """The highest confirmed rank of a fresh second sensor of the same quantity."""
        found = None
        for other in station.watched:
            if other.name != channel.name and other.quantity == channel.quantity:
                state = self._work.state((station.tenant, station.id, other.name))
                if self._fresh(state, other):
                    found = max(found or 0, state.rank)
        return found

    # --- routers of beacons ------------------------------------------------------------------------------------

    def router_s(self, tenant: str, contract: Contract) -> float | None:
        """Seconds for which a beacon's router has been heard without a gap; None where it is not heard now."""
        if not contract.router:
            return None
        key, now = (tenant, contract.router), self._work.rules.now_ms
        heard, gap_s = self._work.memory.heard.get(key), self._work.rules.registry.routers.get(key, 0.0)
        if heard is None or not 0 <= now - heard.last_ms <= gap_s * 1000:
            return None
        return (now - heard.since_ms) / 1000

    def hear(self, tenant: str, router: str) -> None:
        """Something came from a router, or through it."""
        key, now = (tenant, router), self._work.rules.now_ms
        gap_s = self._work.rules.registry.routers.get(key)
        if gap_s is None:
            return
        heard = self._work.memory.heard.get(key)
        if heard is None or not 0 <= now - heard.last_ms <= gap_s * 1000:
            heard = Heard(now, now)
        self._work.memory.heard[key] = Heard(heard.since_ms, now)


def clearly_rising(recent: tuple[MetresAt, ...]) -> bool:
    """The newest of the last hour is its highest, and 10 cm above its lowest."""
    if not recent:
        return False
    now_ms, value = recent[-1]
    hour = [v for at, v in recent if now_ms - at <= RISING_WITHIN_MS]
    return value >= max(hour) and value - min(hour) >= RISING_M - 1e-9
