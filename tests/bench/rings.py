"""How often a duty desk is rung: 120 stations through a calm year, a typhoon's night, and the outage of a district, in
virtual time with the bridge's own writer. Every ring counts, at any hour, whatever its cause.

The town's troubles are stated here, a year and station: they are what a well-kept network of radar gauges on mobile
links shows, and anybody may put in their own.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gateway import storefile
from gateway.bridge.work import Work
from gateway.errors import FaultCode
from gateway.model import Flag, Observation
from tests.nights.duty import MINUTE, Duty

TENANT, STEP_MS = "town", 10 * MINUTE
BEGINS_MS = 1_735_657_200_000  # 2025-01-01 00:00 in Japan
DAY = 86_400_000
HOUR = 3_600_000

# A year and station.
DROPOUTS, DROPOUT_H = 8.0, 1.5  # of the link; mean length
BROKEN, BROKEN_H = 0.3, 60.0  # the device or its power, until somebody comes
NO_ECHO, NO_ECHO_H = 6.0, 0.5  # foam, a spider, a boat
SPIKES, SPIKE_M = 3.0, 0.35  # single wild readings; median height, log-normal with sigma 0.8
STUCK, STUCK_H = 0.2, 12.0
# A year and town.
OUTAGES, OUTAGE_H = 6.0, 3.0  # of a carrier in one area
RESTARTS = 52  # of the bridge

STATES = "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE c.name = 'channel_id' " + (
    "AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'state')"
)
LEVELS = {"standby": 1.0, "caution": 1.5, "evacuation": 2.2, "danger": 2.6, "overflow": 3.4}


@dataclass(frozen=True)
class Place:
    station: str
    river: int
    area: int
    base: float  # metres in calm
    gain: float  # how it answers to what its river does


@dataclass
class Trouble:
    """Something that lasts. `kind`: withheld, silent, fault, stuck, spike."""

    station: str
    kind: str
    start_ms: int
    end_ms: int
    size: float = 0.0


@dataclass
class Town:
    """120 stations on twelve rivers, in eight areas, with three carriers."""

    seed: int
    stations: int = 120
    places: list[Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for i in range(self.stations):
            base, gain = self.random.uniform(0.2, 0.5), self.random.uniform(0.7, 1.15)
            self.places.append(Place(f"s{i:03}", i % 12, i % 8, base, gain))

    def write(self, folder: Path) -> Path:
        """The configuration."""
        folder.mkdir(parents=True)
        level = {"authority": "県", "basis": "基準水位観測所", "source": "bench"}
        thresholds = {name: level | {"value": f"{value} m"} for name, value in LEVELS.items()}
        channel = {"interval": "10min", "grace": "5min", "span": ["-1 m", "12 m"], "thresholds": thresholds}
        rivers: dict[int, list[str]] = {}
        for p in self.places:
            rivers.setdefault(p.river, []).append(p.station)
        stations = {
            p.station: {
                "name": p.station, "position": {"latitude": 34.3, "longitude": 134.0}, "datum": "T.P.",
                "gauge_zero": "0 m", "device": f"d-{p.station}", "river": f"river {p.river}", "area": f"area {p.area}",
                "carrier": f"carrier {p.area % 3}", "channels": {"water_level": channel},
                "neighbours": [s for s in rivers[p.river] if s != p.station][:2],
            }
            for p in self.places
        }  # fmt: skip
        bridge = {
            "version": 1, "broker": {"host": "127.0.0.1"}, "clock": {"trust": "always"},
            "notify": {"alert_topic": False,
                       "recipients": {"desk": {"medium": "webhook", "url": "http://127.0.0.1:9/"}}},
        }  # fmt: skip
        documents = {"stations.yaml": {"version": 1, "tenant": TENANT, "stations": stations}, "bridge.yaml": bridge}
        for name, document in documents.items():
            (folder / name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        return folder

    # --- troubles --------------------------------------------------------------------------------------------

    def _often(self, a_year: float, span_ms: int) -> Iterator[int]:
        at = self.random.expovariate(a_year) * 365 * DAY
        while at < span_ms:
            yield BEGINS_MS + round(at)
            at += self.random.expovariate(a_year) * 365 * DAY

    def troubles(self, span_ms: int) -> list[Trouble]:
        """Everything that goes wrong in that time, without regard to the weather."""
        found, rate = list[Trouble](), self.random.expovariate
        for p in self.places:
            for a_year, hours, kind in (
                (DROPOUTS, DROPOUT_H, "withheld"),
                (BROKEN, BROKEN_H, "silent"),
                (NO_ECHO, NO_ECHO_H, "fault"),
                (STUCK, STUCK_H, "stuck"),
            ):
                for at in self._often(a_year, span_ms):
                    found.append(Trouble(p.station, kind, at, at + round(rate(1 / hours) * HOUR)))
            for at in self._often(SPIKES, span_ms):
                size = SPIKE_M * math.exp(self.random.gauss(0, 0.8))
                found.append(Trouble(p.station, "spike", at, at + STEP_MS, size))
        for at in self._often(OUTAGES, span_ms):
            found += self.outage(self.random.randrange(8), at, at + round(rate(1 / OUTAGE_H) * HOUR))
        return found

    def outage(self, area: int, start_ms: int, end_ms: int) -> list[Trouble]:
        return [Trouble(p.station, "withheld", start_ms, end_ms) for p in self.places if p.area == area]


class Year:
    """One run: weather and troubles in, rings out."""

    def __init__(self, town: Town, folder: Path, troubles: list[Trouble], weather: dict[int, list[Wave]]) -> None:
        self.town, self.weather = town, weather
        self.duty = _Unrecorded(folder, town.write(folder / "config"), BEGINS_MS)
        self._troubles: dict[str, list[Trouble]] = {}
        for t in sorted(troubles, key=lambda t: t.start_ms, reverse=True):
            self._troubles.setdefault(t.station, []).append(t)
        self._going: dict[str, list[Trouble]] = {}
        self._kept: dict[str, list[Observation]] = {}
        self._last: dict[str, float] = {}
        self._rivers: dict[int, float] = {}
        self._seq = 0

    def level(self, p: Place, at_ms: int) -> float:
        """Baseflow, the day's breath, and the waves of its river; one centimetre resolution."""
        noise = self.town.random.gauss(0, 0.008)
        breath = 0.02 * math.sin(at_ms / DAY * 2 * math.pi)
        return round(p.base + breath + p.gain * self._rivers.get(p.river, 0.0) + noise, 2)

    def run(self, span_ms: int, restarts_ms: tuple[int, ...] = ()) -> None:
        waiting = sorted(restarts_ms, reverse=True)
        for at_ms in range(BEGINS_MS, BEGINS_MS + span_ms, STEP_MS):
            if waiting and waiting[-1] <= at_ms:
                waiting.pop()
                self.duty.restart()
            for river, waves in self.weather.items():
                self._rivers[river] = sum(wave.at(at_ms) for wave in waves)
            self.duty.observed(at_ms, [o for p in self.town.places for o in self._observe(p, at_ms)])
            for minute in (2, 4, 6, 8) if self.duty.busy else (5,):
                self.duty.observed(at_ms + minute * MINUTE, [])
        self.duty.close()

    def _observe(self, p: Place, at_ms: int) -> list[Observation]:
        queue, going = self._troubles.get(p.station, []), self._going.setdefault(p.station, [])
        while queue and queue[-1].start_ms <= at_ms:
            going.append(queue.pop())
        going[:] = [t for t in going if t.end_ms > at_ms]
        kinds = {t.kind: t for t in going}
        value: float | None = self.level(p, at_ms)
        if "stuck" in kinds:
            value = self._last.get(p.station, value)
        elif "spike" in kinds and value is not None:
            value = round(value + kinds["spike"].size, 2)
        self._last[p.station] = value or 0.0
        self._seq += 1
        made = Observation(
            TENANT, f"d-{p.station}", p.station, "water_level", "a1", self._seq, 0, at_ms, at_ms + 2000, value, value,
            Flag.GOOD,
        )  # fmt: skip
        if "fault" in kinds:
            made = Observation(
                TENANT, f"d-{p.station}", p.station, "water_level", "a1", self._seq, 0, at_ms, at_ms + 2000, None, None,
                Flag.MISSING, (), FaultCode.NO_ECHO,
            )  # fmt: skip
        if "silent" in kinds:
            return []
        if "withheld" in kinds:
            self._kept.setdefault(p.station, []).append(made)
            return []
        return [*self._kept.pop(p.station, []), made]

    @property
    def rings(self) -> list[int]:
        """When the desk was rung."""
        return [h.at_ms for h in self.duty.handed if h.rings]


class _Unrecorded(Duty):
    """Keeps no readings: a year of them is not what is looked at."""

    def observed(self, now_ms: int, observations: list[Observation]) -> None:
        self.now_ms = now_ms
        work = Work(self.memory, self.rules())
        work.observe(observations)
        work.tick()
        work.observations.clear()
        self._write(work)
        self._deliver()

    @property
    def busy(self) -> bool:
        """Something is open, so that minutes matter."""
        return bool(self.memory.episodes)


@dataclass(frozen=True)
class Wave:
    """What a rain makes of a river: a rise to `height` within `rise_h`, and a recession of half-life `rise_h`."""

    start_ms: int
    height: float
    rise_h: float

    def at(self, at_ms: int) -> float:
        hours = (at_ms - self.start_ms) / HOUR
        if hours <= 0:
            return 0.0
        if hours > 30 * self.rise_h:
            return 0.0
        if hours < self.rise_h:
            return self.height * math.sin(hours / self.rise_h * math.pi / 2) ** 2
        return self.height * 0.5 ** ((hours - self.rise_h) / (2 * self.rise_h))


def calm_weather(town: Town, span_ms: int) -> dict[int, list[Wave]]:
    """Rain now and then that stays below the first threshold of staff (caution)."""
    found: dict[int, list[Wave]] = {river: [] for river in range(12)}
    at = BEGINS_MS
    while (at := at + round(town.random.expovariate(1 / 9) * DAY)) < BEGINS_MS + span_ms:
        height = min(0.75, town.random.expovariate(1 / 0.2))
        for river, waves in found.items():
            share = town.random.uniform(0.3, 1.0)
            waves.append(Wave(at + river * 10 * MINUTE, height * share, town.random.uniform(2, 6)))
    return found


def typhoon(town: Town) -> dict[int, list[Wave]]:
    """Every river rises within a few hours of the evening, by one to four metres."""
    evening = BEGINS_MS + 18 * HOUR
    return {
        river: [Wave(evening + round(town.random.uniform(0, 4) * HOUR), town.random.uniform(1.0, 4.0),
                     town.random.uniform(2.0, 5.0))]
        for river in range(12)
    }  # fmt: skip


def calm_year(folder: Path, seed: int, days: int = 365) -> list[int]:
    town, span = Town(seed), days * DAY
    year = Year(town, folder, town.troubles(span), calm_weather(town, span))
    restarts = tuple(BEGINS_MS + round(town.random.uniform(0, span)) for _ in range(RESTARTS * days // 365))
    year.run(span, restarts)
    return year.rings


def typhoon_night(folder: Path, seed: int) -> list[int]:
    """With the troubles of a storm: gauges that die, links that fail, one area's network down for two hours."""
    town, span = Town(seed), 2 * DAY
    troubles = town.troubles(span) + town.outage(3, BEGINS_MS + 23 * HOUR, BEGINS_MS + 25 * HOUR)
    for p in town.places:
        if town.random.random() < 0.05:
            at = BEGINS_MS + round(town.random.uniform(20, 28) * HOUR)
            troubles.append(Trouble(p.station, "silent", at, at + 12 * HOUR))
    year = Year(town, folder, troubles, typhoon(town))
    year.run(span)
    return year.rings


def district_outage(folder: Path, seed: int) -> list[int]:
    """A carrier fails in one area for three hours of a quiet night."""
    town = Town(seed)
    year = Year(town, folder, town.outage(2, BEGINS_MS + 2 * HOUR, BEGINS_MS + 5 * HOUR), {})
    year.run(12 * HOUR)
    return year.rings


def state_bytes(folder: Path, stations: int, hours: int = 6) -> tuple[int, float]:
    """(largest, mean) bytes of what is kept of a channel between two batches, of so many stations in a storm that is
    `hours` old."""
    town = Town(1, stations)
    evening = BEGINS_MS - HOUR
    year = Year(town, folder, town.troubles(HOUR * hours), {r: [Wave(evening, 2.0 + r / 6, 3.0)] for r in range(12)})
    year.run(hours * HOUR)
    tables = [t for (t,) in storefile.rows(year.duty.path, STATES)]
    sizes: dict[int, int] = {}
    for table in tables:
        for channel, size in storefile.rows(year.duty.path, f"SELECT channel_id, length(state) FROM {table}"):
            sizes[channel] = sizes.get(channel, 0) + size
    return max(sizes.values()), sum(sizes.values()) / len(sizes)


def busiest_hour(rings: list[int]) -> int:
    """The most rings within any hour."""
    return max((sum(a <= b < a + HOUR for b in rings) for a in rings), default=0)
