"""Stations: the places that are watched, with datum, channels, thresholds and reporting contract."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from gateway import units
from gateway.equipment import AS_IT_WAS, Equipment
from gateway.qualitylimits import NO_TESTS, QualityTests
from gateway.raingauge import Gauge, RainStep
from gateway.tide import Tide

Hazard = Literal["river", "tide", "underpass", "inundation", "rain"]
ContractKind = Literal["ordinary", "crisis", "beacon"]
Group = tuple[tuple[str, str], ...]  # what stations share: (kind, name) of each thing; of one tenant
DAY_S = 86_400.0
ROUTER_GAP_S = 300.0
POSITIONS = (
    "latitude",
    "longitude",
)  # of what moves: stations have their position in stations.yaml; internal by default
DEVIATION = "tide_deviation"  # the quantity, and the hazard of its rows in a level table


@dataclass(frozen=True, slots=True)
class Level:
    """One row of a level table: a rank with its names, words and colour. Rank 0 is normal. `exceeded` is what is said
    when it is reached, `short` what stands on a map. `text` is the colour of text upon `colour`, `ring` the grounds on
    which it needs one (`light`: a dark ring, `dark`: a white one). `hazard` and `basis`: only for such."""

    rank: int
    key: str
    ja: str
    en: str
    colour: str
    text: str = "#000000"
    short_ja: str = ""
    short_en: str = ""
    exceeded_ja: str = ""
    exceeded_en: str = ""
    shape: str = "circle"
    size: float = 1.0
    ring: str = ""
    hazard: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True)
class LevelTable:
    """Names and colours of the ranks in force, as data (`jp-2026`, `generic`, those of `levels.yaml`)."""

    name: str
    levels: tuple[Level, ...]

    def of_key(self, key: str) -> Level | None:
        """The row of a key where the hazard is not known: keys have one rank."""
        return self.by_key(key, "*")

    def by_rank(self, rank: int, hazard: str = "", basis: str = "") -> Level:
        """The principal level of a rank: of the rows that are most particular to hazard and basis, the first."""
        return max(self._fitting(hazard, basis, rank=rank), key=_particular)

    def by_key(self, key: str, hazard: str = "", basis: str = "") -> Level | None:
        """The row of a key that is most particular to hazard and basis; None where the key is not for that hazard."""
        return max(self._fitting(hazard, basis, key=key), key=_particular, default=None)

    def keys(self, hazard: str = "") -> list[str]:
        """The keys of the levels above normal, for a hazard, from the lowest rank up."""
        return list(dict.fromkeys(x.key for x in self._fitting(hazard, "*") if x.rank > 0))

    def _fitting(self, hazard: str, basis: str, rank: int | None = None, key: str | None = None) -> list[Level]:
        return [
            x
            for x in self.levels
            if (hazard == "*" or x.hazard in ("", hazard))
            and (basis == "*" or x.basis in ("", basis))
            and rank in (None, x.rank)
            and key in (None, x.key)
        ]


def hazard_of(station: Station | None, channel: Channel | None) -> str:
    """By which rows of a level table a channel is called: the station's hazard, but deviations of a tide have levels of
    their own."""
    if channel is not None and channel.quantity == DEVIATION:
        return DEVIATION
    return station.hazard if station else ""


def level_at(levels: LevelTable, station: Station | None, channel: Channel | None, rank: int, key: str = "") -> Level:
    """The level of a rank as it is called there: by the key of the threshold concerned (`Transition.level`), else the
    threshold of that rank, else the table's principal level for the station's hazard."""
    hazard = hazard_of(station, channel)
    thresholds = channel.thresholds if channel else ()
    own = [t for t in thresholds if t.rank == rank and key in ("", t.level)]
    basis = own[-1].basis if own else ""
    found = levels.by_key(key or own[-1].level, hazard, basis) if key or own else None
    return found if found and found.rank == rank else levels.by_rank(rank, hazard, basis)


def _particular(level: Level) -> tuple[bool, bool]:
    """`max` takes the first of equals, so that the order of the table decides among them."""
    return bool(level.hazard), bool(level.basis)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A named level of a station, canonical unit, in the reference of its channel's observations.

    `authority`: who set it (国, 県, 市独自); `basis`: what kind of gauge it rests on (基準水位観測所,
    危機管理型, 市の目安); `source`: document and date. Valid from `valid_from_ms` (included) to
    `valid_to_ms` (excluded); None is unbounded.
    """

    level: str
    rank: int
    value: float
    authority: str
    basis: str
    source: str
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the gross range test, canonical unit, on the observation. The sensor's physical `sensor` span
    fails a value outside (flag 4); the operator's `user` span suspects it (flag 3)."""

    sensor: tuple[float, float] | None = None
    user: tuple[float, float] | None = None
    rise_per_h: float | None = None  # the fastest plausible rise and recession of the site; None: no such test
    fall_per_h: float | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The reporting contract of a channel: when is its silence an alarm? Seconds; values in canonical unit.

    `ordinary`: reports every `interval_s`, above `raised_above` every `interval_raised_s`. `crisis`: below its
    observation-start level, `raised_above`, it only says once per `heartbeat_s` that it lives. `beacon`: goes silent
    when it is wet, which claims the rank `wet_rank`, as long as its `router` (a device, or what its beacons share) is
    heard.
    """

    interval_s: float
    grace_s: float
    kind: ContractKind = "ordinary"
    interval_raised_s: float | None = None
    raised_above: float | None = None
    heartbeat_s: float | None = None
    router: str = ""
    wet_rank: int = 0

    @property
    def late_after_s(self) -> float:
        """Age at which an observation comes late, and no longer advances an alert."""
        return self.interval_s + self.grace_s

    def rests(self, value: float | None) -> bool:
        """A crisis-management gauge below its start level, or of which no level is known: only its heartbeat is due."""
        return self.kind == "crisis" and (value is None or self.raised_above is None or value < self.raised_above)

    def due_s(self, value: float | None) -> float:
        """How long after an observation of this value the next one is due."""
        if self.rests(value):
            return self.heartbeat_s or DAY_S
        raised = self.raised_above is not None and value is not None and value >= self.raised_above
        return self.interval_raised_s if raised and self.interval_raised_s is not None else self.interval_s

    def fresh_for_s(self, value: float | None) -> float:
        """Age to which an observation of this value speaks for the present."""
        return self.due_s(value) + self.grace_s

    def silent_after_s(self, rank: int, value: float | None = None, raised: bool = False) -> float:
        """Age at which the channel is silent; never sooner than it is late. Ordinary: calm 3 intervals; at rank >= 1,
        or `raised` because rain falls or a neighbour rises, 2 intervals and at most 15 minutes. A crisis-management
        gauge at rest: a heartbeat and a quarter. A beacon: 2 intervals, raised one."""
        due, fresh = self.due_s(value), self.fresh_for_s(value)
        if self.rests(value):
            return max(fresh, 1.25 * due)
        if self.kind == "beacon":
            return fresh if raised else fresh + due
        return max(fresh, min(2 * due, 900.0) if rank >= 1 or raised else 3 * due)


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity at a station: one unit, one series.

    observation = calibrated raw * factor + offset, which holds the direction (level = sensor height - distance), the
    gauge zero where readings and observations differ in reference, and the station's correction. `equipment`: what was
    done to its sensor, and when. `internal`: personal or sensitive, such as where a vehicle of the staff is; stored,
    and nothing else (`Registry.may_leave`).

    `rain`, `tide`: what is derived of it. `contact`: 1 is wet, whichever way it is wired; only a person on the spot
    ends what it says. `derived`: the channel that the bridge makes this one of; no device sends it.
    """

    name: str
    quantity: str
    contract: Contract
    factor: float = 1.0
    offset: float = 0.0
    limits: Limits = field(default_factory=Limits)
    thresholds: tuple[Threshold, ...] = ()
    tests: QualityTests = NO_TESTS
    rain: Gauge | None = None
    tide: Tide | None = None
    contact: bool = False
    derived: str = ""
    equipment: Equipment = AS_IT_WAS
    internal: bool = False

    @property
    def unit(self) -> str:
        return units.QUANTITIES[self.quantity].unit

    @property
    def takes(self) -> str:
        """The quantity of its readings, as a sensor gives them."""
        return "distance" if self.factor < 0 else self.quantity

    def in_force(self, at_ms: int) -> tuple[Threshold, ...]:
        """Thresholds valid at that time, lowest rank first."""
        return tuple(
            t
            for t in self.thresholds
            if (t.valid_from_ms is None or t.valid_from_ms <= at_ms)
            and (t.valid_to_ms is None or at_ms < t.valid_to_ms)
        )


def threshold_version(channel: Channel, at_ms: int) -> str:
    """Eight characters by which the thresholds in force can be told from any others: level, value, authority, basis and
    source of each. Empty where there is none."""
    return _version(channel.in_force(at_ms))


@lru_cache(maxsize=65_536)
def _version(thresholds: tuple[Threshold, ...]) -> str:
    facts = [(t.level, t.rank, t.value, t.authority, t.basis, t.source) for t in thresholds]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:8] if facts else ""


@dataclass(frozen=True, slots=True)
class Station:
    """A place that is watched. Heights refer to `datum`; the gauge's own zero lies `gauge_zero` metres above it.

    `river` is the water that it belongs to (one ring per river and minute); `area`, `carrier` and `power` are what may
    fail for several stations at once; `neighbours` are stations of the same tenant whose rise supports one here;
    `related` is how low the main channel may be while another station stands high: rising pairs of (its level, the
    least here), metres, as the floods on record had it (水位相関).
    `steps` are the named steps of rain, apart from ranks; `verified_until_ms` is when the verification (検定) of its
    rain gauge ends. `watched`: the channels whose silence and rank are alerted, which are those with thresholds or a
    contract of their own kind, or rain gauges with steps, else the main one.
    """

    tenant: str
    id: str
    name_ja: str
    name_en: str
    latitude: float
    longitude: float
    device: str
    datum: str
    gauge_zero: float
    channels: Mapping[str, Channel]
    order: int = 0
    hazard: Hazard = "river"
    river: str = ""
    area: str = ""
    carrier: str = ""
    power: str = ""
    neighbours: tuple[str, ...] = ()
    related: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    steps: tuple[RainStep, ...] = ()
    verified_until_ms: int | None = None
    watched: tuple[Channel, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stepped = {step.channel for step in self.steps}
        graded = tuple(
            c
            for c in self.channels.values()
            if not c.internal and (c.thresholds or c.contract.kind != "ordinary" or c.name in stepped)
        )
        watched = graded or tuple(c for c in (self.main_channel,) if c is not None)
        object.__setattr__(self, "watched", watched)  # asked several times for each observation

    def step(self, key: str) -> RainStep | None:
        """The step of rain of that key (`Transition.level`)."""
        return next((step for step in self.steps if step.key == key), None)

    @property
    def groups(self) -> tuple[Group, ...]:
        """What it shares with others and may fail with them, the most specific first: a device or router, what serves
        an area, a carrier, a power supply, and everything of the tenant."""
        routers = sorted({self.device, *(c.contract.router for c in self.channels.values() if c.contract.router)})
        area, carrier, power = (("area", self.area), ("carrier", self.carrier), ("power", self.power))
        shared: list[Group] = [
            (area, carrier),
            (area, power),
            (carrier,),
            (power,),
            (area,),
            (("tenant", self.tenant),),
        ]
        return (*((("device", x),) for x in routers), *(g for g in shared if all(value for _, value in g)))

    def about(self, channel: str, level: str = "") -> Channel | None:
        """The channel that a transition is about: the one it names, None where there is none; where a person spoke of
        the whole station (it names none) the main one, or the first whose thresholds have that level."""
        if channel:
            return self.channels.get(channel)
        main = self.main_channel
        having = (c for c in (main, *self.watched) if c is not None and any(t.level == level for t in c.thresholds))
        return next(having, None) or main

    def having(self, rank: int, at_ms: int) -> Channel | None:
        """The channel that has a level of that rank: the main one where it has, and where none has."""
        own = (c for c in (self.main_channel, *self.watched) if c is not None)
        return next((c for c in own if any(t.rank == rank for t in c.in_force(at_ms))), None) or self.main_channel

    @property
    def main_channel(self) -> Channel | None:
        """The channel shown first: the first with thresholds, else the first water level."""
        graded = (c for c in self.channels.values() if c.thresholds and not c.derived)
        levels = (c for c in self.channels.values() if c.quantity == "water_level" and not c.internal)
        return next(graded, None) or next(levels, None)


# What a device may say of itself, under its own name. A closed list: (channel, quantity).
HEALTH_CHANNELS: dict[str, str] = {
    "spool_depth": "count",
    "oldest_unsettled": "duration",
    "disk_free": "storage",
    "cpu_temperature": "cpu_temperature",
    "clock_offset": "duration",
    "uptime": "duration",
    "battery_voltage": "battery_voltage",
}
_HEALTH_CONTRACT = Contract(interval_s=600.0, grace_s=600.0)
_HEALTH = {name: Channel(name, quantity, _HEALTH_CONTRACT) for name, quantity in HEALTH_CHANNELS.items()}


class Registry:
    """Which stations there are, and which device serves them. Names are unique within a tenant."""

    def __init__(self, stations: Iterable[Station], levels: LevelTable) -> None:
        self.levels = levels
        self.stations: dict[tuple[str, str], Station] = {(s.tenant, s.id): s for s in stations}
        self.devices: dict[tuple[str, str], list[Station]] = {}
        for station in self.stations.values():
            self.devices.setdefault((station.tenant, station.device), []).append(station)
        self.dated = [
            s
            for s in self.stations.values()
            if s.verified_until_ms is not None or any(c.tide is not None for c in s.channels.values())
        ]
        self.watched = [(station, channel) for station in self.stations.values() for channel in station.watched]
        self.stepped = [(s, s.channels[name]) for s in self.stations.values() for name in {x.channel for x in s.steps}]
        self.routers = _routers(self.stations.values(), self.devices)
        self.groups: dict[tuple[str, Group], list[Station]] = {}
        for station in self.stations.values():
            for group in station.groups:
                self.groups.setdefault((station.tenant, group), []).append(station)

    def digest(self) -> str:
        """The same for the same stations and levels: by it two processes know whether they judge alike."""
        stations = [self.stations[key] for key in sorted(self.stations)]
        return hashlib.sha256(repr((stations, self.levels)).encode()).hexdigest()[:16]

    def station(self, tenant: str, station: str) -> Station | None:
        return self.stations.get((tenant, station))

    def knows_device(self, tenant: str, device: str) -> bool:
        return (tenant, device) in self.devices

    def level(self, station: Station | None, channel: Channel | None, rank: int, key: str = "") -> Level:
        """As `level_at`."""
        return level_at(self.levels, station, channel, rank, key)

    def may_leave(self, tenant: str, station: str, channel: str, quantity: str = "") -> bool:
        """Whether what was measured there may leave the house: be told, published, exported or handed to another
        system. Every exit asks here. Of a channel that is no longer configured only its quantity speaks."""
        found = self.channel(tenant, station, channel)
        return not found.internal if found is not None else quantity not in POSITIONS

    def channel(self, tenant: str, station: str, channel: str) -> Channel | None:
        """A station's channel, or a device's health channel where `station` names a device."""
        found = self.stations.get((tenant, station))
        if found is not None:
            return found.channels.get(channel)
        return _HEALTH.get(channel) if (tenant, station) in self.devices else None


def _routers(
    stations: Iterable[Station], devices: Mapping[tuple[str, str], list[Station]]
) -> dict[tuple[str, str], float]:
    """The routers of beacons, and how long each may be unheard and still lives, in seconds: a device states its spool
    once a minute; of others only what they carry is heard."""
    carried: dict[tuple[str, str], list[float]] = {}
    for station in stations:
        for channel in station.channels.values():
            if channel.contract.router:
                key = (station.tenant, channel.contract.router)
                carried.setdefault(key, []).append(channel.contract.late_after_s)
    for key, waits in carried.items():
        waits += [c.contract.late_after_s for s in devices.get(key, []) for c in s.channels.values()]
    return {key: max(ROUTER_GAP_S, min(waits)) for key, waits in carried.items()}


def normalise(raw: float, channel: Channel, at_ms: int | None = None) -> float:
    """The observation of a raw reading of that time (None: now): the calibration of then, direction, datum and
    correction of the station applied (metres etc.)."""
    if channel.equipment.calibrations and (known := channel.equipment.calibration(at_ms)) is not None:
        raw = raw * known.scale + known.offset
    return round(raw * channel.factor + channel.offset, 9)
