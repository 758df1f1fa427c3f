"""A small river in a flood: rain pulses -> tank model -> routing down the stream -> stage by a rating curve.

Pure and seeded: the same arguments give the same flood. The numbers of `scenario.py` are those of a short, steep
river of the Seto Inland Sea coast; the model is Sugawara's tank model with two tanks, thin but of the right shape:
nothing happens at first while the ground wets, then the water rises fast, and falls slowly.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STEP_S = 60.0  # of the model; explicit steps of a minute are stable for every rate below
_STEP_H = STEP_S / 3600


@dataclass(frozen=True, slots=True)
class Pulse:
    """Rain that swells to `peak_mm_h` and ends again (half a sine wave, squared)."""

    start_s: float
    duration_s: float
    peak_mm_h: float

    def at(self, time_s: float) -> float:
        phase = (time_s - self.start_s) / self.duration_s
        return self.peak_mm_h * math.sin(math.pi * phase) ** 2 if 0 < phase < 1 else 0.0


@dataclass(frozen=True, slots=True)
class Tank:
    """A catchment as two tanks, after Sugawara. The upper one holds `wetting_mm` before it gives anything, then
    drains slowly, and fast above `quick_mm`; part of it seeps to the lower tank, whose outlet is the base flow.
    Rates an hour."""

    wetting_mm: float = 12.0
    slow_rate: float = 0.22
    quick_mm: float = 35.0
    quick_rate: float = 0.75
    seepage_rate: float = 0.08
    base_rate: float = 0.01
    base_mm: float = 60.0  # in the lower tank at the beginning

    def runoff(self, rain_mm_h: Sequence[float]) -> list[float]:
        """Millimetres an hour that leave the catchment, step by step."""
        upper, lower, out = 0.0, self.base_mm, []
        for rain in rain_mm_h:
            slow = self.slow_rate * max(0.0, upper - self.wetting_mm)
            quick = self.quick_rate * max(0.0, upper - self.quick_mm)
            seepage, base = self.seepage_rate * upper, self.base_rate * lower
            out.append(slow + quick + base)
            upper += (rain - slow - quick - seepage) * _STEP_H
            lower += (seepage - base) * _STEP_H
        return out


@dataclass(frozen=True, slots=True)
class Rating:
    """Stage of a discharge: Q = a * (h - zero)^b, the other way round. Metres and cubic metres a second."""

    zero_m: float
    a: float
    b: float = 5 / 3  # a wide channel after Manning

    def stage(self, discharge: float) -> float:
        return float(self.zero_m + (max(0.0, discharge) / self.a) ** (1 / self.b))


@dataclass(frozen=True, slots=True)
class Reach:
    """The river at one station. `area_km2` drains to it without passing the station above; the water from there
    takes `travel_s` and is flattened by a linear reservoir of `storage_s`."""

    station: str
    area_km2: float
    rating: Rating
    travel_s: float = 0.0
    storage_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """What the river does: a level in metres above gauge zero for each station and each step, and the rain."""

    start_ms: int
    step_s: float
    levels: Mapping[str, tuple[float, ...]]
    rain_mm_h: tuple[float, ...]

    @property
    def end_ms(self) -> int:
        return self.start_ms + round((len(self.rain_mm_h) - 1) * self.step_s * 1000)

    def level(self, station: str, at_ms: int) -> float:
        """Between two steps on a straight line; before the first and after the last the river stands still."""
        return _interpolate(self.levels[station], (at_ms - self.start_ms) / 1000 / self.step_s)


def simulate(
    reaches: Sequence[Reach],
    storm: Sequence[Pulse],
    start_ms: int,
    duration_s: float,
    step_s: float,
    seed: int,
    tank: Tank | None = None,
) -> Series:
    """The flood that `storm` makes at each of `reaches`, named from the source to the mouth.

    The seed moves each pulse a little in time and strength and adds the ripple of a real gauge (2 mm)."""
    rng = random.Random(seed)
    pulses = [_varied(pulse, rng) for pulse in storm]
    rain = [sum(p.at(i * STEP_S) for p in pulses) for i in range(math.ceil(duration_s / STEP_S) + 1)]
    runoff = (tank or Tank()).runoff(rain)
    places = [i * step_s / STEP_S for i in range(math.floor(duration_s / step_s) + 1)]
    levels: dict[str, tuple[float, ...]] = {}
    discharge: list[float] = [0.0] * len(rain)
    for reach in reaches:
        local = [mm * reach.area_km2 / 3.6 for mm in runoff]  # mm/h over km2 -> m3/s
        discharge = [a + b for a, b in zip(_routed(discharge, reach), local, strict=True)]
        stages = [reach.rating.stage(q) for q in discharge]
        levels[reach.station] = tuple(round(_interpolate(stages, x) + rng.gauss(0, 0.002), 4) for x in places)
    return Series(start_ms, step_s, levels, tuple(_interpolate(rain, x) for x in places))


def _varied(pulse: Pulse, rng: random.Random) -> Pulse:
    shift, strength = rng.uniform(-300, 300), rng.uniform(0.94, 1.06)
    return Pulse(pulse.start_s + shift, pulse.duration_s, pulse.peak_mm_h * strength)


def _routed(upstream: Sequence[float], reach: Reach) -> list[float]:
    """What arrives from the station above: later by the travel time, and flattened. Starts in a steady state."""
    lag = round(reach.travel_s / STEP_S)
    late = [*([upstream[0]] * lag), *upstream][: len(upstream)]
    share = 1 - math.exp(-STEP_S / reach.storage_s) if reach.storage_s else 1.0
    out, flow = [], late[0]
    for inflow in late:
        flow += (inflow - flow) * share
        out.append(flow)
    return out


def _interpolate(values: Sequence[float], place: float) -> float:
    place = min(max(place, 0.0), len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)
