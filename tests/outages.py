"""A city whose stations fall silent, in virtual time and memory: the bridge's own batches, without a store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway import settings
from gateway.bridge.work import Memory, Rules, Work
from gateway.channelstate import ChannelState
from gateway.episodes import Episode
from gateway.errors import FaultCode
from gateway.model import Flag, Observation, Transition
from gateway.stations import Channel, Contract, Registry, Station
from tests.places import ALL_FIVE, LEVELS, MINUTE, T0

TENANT = "kagawa"
TEN_MINUTES = Contract(600.0, 300.0)
DESK = settings.Recipient("desk", "webhook", url="http://127.0.0.1:9/desk")
BRIDGE = settings.Bridge(Path("nowhere.db"), settings.Broker(), recipients=(DESK,))


def gauge(
    name: str, *, area: str = "", carrier: str = "", contract: Contract = TEN_MINUTES, device: str = "", **more: object
) -> Station:
    """A station with one graded water level."""
    level = Channel("water_level", "water_level", contract, thresholds=ALL_FIVE)
    made = Station(
        TENANT, name, name, name, 34.3, 134.0, device or f"{name}-gw", "T.P.", 0.0, {"water_level": level}, area=area,
        carrier=carrier,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


@dataclass
class Told:
    """What somebody was told, at a minute after T0."""

    minute: int
    key: str
    rings: bool
    body: Mapping[str, object]

    def __str__(self) -> str:
        return f"{self.minute:4} {'ring' if self.rings else 'told'} {self.body['subject']['ja']}"  # type: ignore[index]


@dataclass
class City:
    """`measured` says what a station measures at a minute: a value, a fault, or None where nothing comes."""

    stations: Iterable[Station]
    measured: Callable[[Station, int], float | FaultCode | None] = lambda *_: 0.5
    told: list[Told] = field(default_factory=list)
    transitions: list[tuple[int, Transition]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = Registry(self.stations, LEVELS)
        self.memory = Memory("a")
        self.subscribed: int | None = 0
        self.minute = -1
        self.seq = 0
        self.away = False
        self.refused = 0  # so often the disk refuses a batch, and it is judged again
        self.before: Callable[[Work], None] = lambda work: None

    def run(self, until: int) -> None:
        """Minute by minute, with a tick at each; nothing is taken while the bridge is away."""
        while self.minute < until:
            self.minute += 1
            if not self.away:
                self._step()

    def restart(self) -> None:
        """Another bridge on what was committed: what is no mirror of the store is gone."""
        old = self.memory
        self.memory = Memory("a")
        for name in ("states", "episodes", "notices", "suspensions", "newest", "quality", "phones"):
            setattr(self.memory, name, getattr(old, name))
        self.subscribed = self.minute

    def _step(self) -> None:
        now = T0 + self.minute * MINUTE
        since = None if self.subscribed is None else T0 + self.subscribed * MINUTE
        observed = [o for i, s in enumerate(self.registry.stations.values()) for o in self._observed(i, s, now)]
        for _ in range(1 + self.refused):
            work = Work(self.memory, Rules(self.registry, BRIDGE, now, now + 300_000, since, now, now))
            self.before(work)
            work.observe(observed)
            work.tick()
        self.transitions += [(self.minute, t) for t in work.transitions]
        self.told += [Told(self.minute, o.key, o.rings, json.loads(o.body)) for o in work.owed if o.medium != "mqtt"]
        work.swap_in()

    def _observed(self, place: int, station: Station, now: int) -> list[Observation]:
        found = []
        for channel in station.channels.values():
            if (self.minute + place) % max(1, round(channel.contract.interval_s / 60)) == 0:
                value = self.measured(station, self.minute)
                if value is not None:
                    found.append(self._observation(station, channel, now, value))
        return found

    def _observation(self, station: Station, channel: Channel, now: int, value: float | FaultCode) -> Observation:
        self.seq += 1
        number, fault = (None, value) if isinstance(value, FaultCode) else (value, None)
        flag = Flag.GOOD if fault is None else Flag.MISSING
        identity = (TENANT, station.device, station.id, channel.name, "a1", self.seq, 0)
        return Observation(*identity, now, now, number, number, flag, (), fault)

    # --- what came of it ---------------------------------------------------------------------------------------

    @property
    def rings(self) -> list[Told]:
        return [t for t in self.told if t.rings]

    @property
    def causes(self) -> list[Episode]:
        return [e for e in self.memory.episodes.values() if e.kind == "cause"]

    def state(self, station: str, channel: str = "water_level") -> ChannelState:
        return self.memory.states.get((TENANT, station, channel), ChannelState())
