"""Years of weather at the gauges of a river: rain by season, runoff, floods that travel down, tide at the mouth, and
what sensors of a centimetre's resolution read of it every ten minutes. Pure and seeded.

Made to judge an alarm by, so it shares nothing with one: this file imports nothing of the gateway, and no number in it
comes from there. Water is simple here but of the right shape:

- Rain: events by a seasonal rate (winter fronts, the rainy season, thunderstorms, typhoons of the autumn), each a
  row of gamma-shaped cells. Totals of an event and of a year are those of Japan's Inland Sea coast, roughly.
- Runoff: the wetter the soil the more of the rain runs off (after the variable source areas of the PDM, Moore 1985);
  the rest feeds the ground, whose outflow is the base flow.
- Each gauge has its own land, which answers as a cascade of two linear reservoirs (Nash 1957); what passed the gauge
  above arrives later and flatter (a lag and one more reservoir).
- Level: a power law of the discharge; where the water leaves its bed it rises a third as fast; at the mouth
  the tide of four constituents lies under it, and a typhoon brings a surge.
- The sensor: waves of a few millimetres to centimetres, then rounded to the centimetre.

Thresholds are chosen as a river office chooses them: by how often the record (without any fault) exceeded them. The
plausible rates are what an operator would read off the record: its fastest rise and fall, and half as much again.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

STEP_MS = 600_000
STEPS_A_DAY = 144
STEPS_A_YEAR = 365 * STEPS_A_DAY
_STEP_H = 1 / 6
_2026_MS = 1_767_225_600_000  # 1 January 2026, 00:00 UTC

# Events a day by month, and the kinds of rain with their shares: (hours, millimetres in all, cells).
_RATE = (0.08, 0.10, 0.16, 0.17, 0.17, 0.26, 0.24, 0.18, 0.24, 0.14, 0.10, 0.08)
_KINDS = {
    "front": ((4, 16), (3, 30), 3),
    "rainy": ((8, 40), (15, 110), 6),
    "thunder": ((1.0, 3.0), (10, 45), 2),
    "typhoon": ((8, 26), (60, 240), 5),
}
_SEASON = {  # month -> shares of front, rainy, thunder, typhoon
    **dict.fromkeys((1, 2, 12), (1.0, 0.0, 0.0, 0.0)),
    **dict.fromkeys((3, 4, 5, 11), (0.85, 0.10, 0.05, 0.0)),
    6: (0.30, 0.60, 0.10, 0.0),
    7: (0.15, 0.55, 0.28, 0.02),
    8: (0.20, 0.10, 0.58, 0.12),
    9: (0.35, 0.15, 0.20, 0.30),
    10: (0.60, 0.10, 0.05, 0.25),
}
_MONTH_ENDS = (31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)

# Tide: period in hours and share of the amplitude (M2, S2, K1, O1; their periods are astronomy's).
_TIDES = ((12.4206, 0.48), (12.0, 0.17), (23.9345, 0.20), (25.8193, 0.15))

_TWICE = 1  # the place of the gauge that has two sensors

# How often a year the record exceeds each level, floods counted once.
EXCEEDED_A_YEAR = {"standby": 5.0, "caution": 2.4, "evacuation": 1.2, "danger": 0.7, "overflow": 0.3}


@dataclass(frozen=True, slots=True)
class Site:
    """A gauge's place on the river. Its own land of `area_km2` answers in `answer_h`; what passed the gauge above takes
    `travel_steps` and is flattened over `flatten_h`. Level = zero + (Q / a) ^ power, metres."""

    name: str
    area_km2: float
    answer_h: float
    travel_steps: int
    flatten_h: float
    zero: float
    a: float
    power: float
    waves: float  # standard deviation of a reading, metres
    tide: float = 0.0  # amplitude, metres; 0: none


@dataclass(slots=True)
class Gauge:
    """A gauge and its years. `levels` is what its sensor read, one value a step, without any fault; metres above its
    zero. `thresholds` by key, lowest first. Rates in metres an hour; spans in metres; `dry` is where the water leaves
    the sensor, `season` the plausible levels of each quarter of the year, `second` what another sensor there read, if
    there is one."""

    site: Site
    levels: array[float]
    thresholds: dict[str, float]
    rise_per_h: float
    fall_per_h: float
    sensor_span: tuple[float, float]
    user_span: tuple[float, float]
    dry: float
    season: tuple[tuple[float, float], ...] = ()
    neighbours: tuple[str, ...] = ()
    second: array[float] | None = None


@dataclass(slots=True)
class River:
    """One river's years. `rain` in millimetres a step, at a gauge in the middle of its land; `floods` counts the times
    at which any gauge stood above its caution level, floods less than a day apart counted once."""

    name: str
    start_ms: int
    gauges: list[Gauge]
    rain: array[float]
    floods: int = 0
    typhoons: list[int] = field(default_factory=list)  # the step of each one's middle


def river(seed: int, years: int, gauges: int = 6) -> River:
    """The same seed gives the same years. Takes about 2 s for ten gauge-years."""
    rng = random.Random(f"storm years {seed}")
    steps = years * STEPS_A_YEAR
    rain, typhoons = _rain(rng, steps)
    runoff = _runoff(rng, rain)
    found = River(f"river-{seed}", _2026_MS, [], rain, typhoons=typhoons)
    above: array[float] | None = None
    sites = _sites(rng, gauges)
    for i, site in enumerate(sites):
        above = _discharge(site, runoff, above)
        still = _level(site, above, rng, typhoons)
        found.gauges.append(_gauge(site, still, years, rng))
        if i == _TWICE:
            found.gauges[i].second = array("d", (round(x + rng.gauss(0.01, site.waves), 2) for x in still))
    names = [site.name for site in sites]
    for i, gauge in enumerate(found.gauges):
        gauge.neighbours = tuple(names[j] for j in (i - 1, i + 1) if 0 <= j < len(names) and not sites[j].tide)
    found.floods = _floods(found)
    return found


def month_of(step: int) -> int:
    """1 to 12; every year has 365 days."""
    day = step // STEPS_A_DAY % 365
    return 1 + next(i for i, end in enumerate(_MONTH_ENDS) if day < end)


# --- weather ------------------------------------------------------------------------------------------------------


def _rain(rng: random.Random, steps: int) -> tuple[array[float], list[int]]:
    rain = array("d", bytes(8 * steps))
    typhoons: list[int] = []
    for day in range(steps // STEPS_A_DAY):
        month = month_of(day * STEPS_A_DAY)
        if rng.random() >= _RATE[month - 1]:
            continue
        kind = rng.choices(list(_KINDS), _SEASON[month])[0]
        (shortest, longest), (least, most), cells = _KINDS[kind]
        hours = rng.uniform(shortest, longest)
        total = least * (most / least) ** (rng.random() ** 1.4)  # mostly small ones
        begin = day * STEPS_A_DAY + rng.randrange(STEPS_A_DAY)
        _event(rng, rain, begin, hours, total, cells)
        if kind == "typhoon":
            typhoons.append(min(steps - 1, begin + round(hours * 3)))
    return rain, typhoons


def _event(rng: random.Random, rain: array[float], begin: int, hours: float, total: float, cells: int) -> None:
    """Cells of rain, each of them rising fast and ending slowly, which together are `total` millimetres."""
    shares = [rng.expovariate(1.0) for _ in range(cells)]
    scale = total / sum(shares)
    for share in shares:
        start = begin + rng.random() * hours * 6
        width = max(2.0, hours * 6 * rng.uniform(0.15, 0.5))
        shape = [(x + 0.5) / width * math.exp(-3 * (x + 0.5) / width) for x in range(round(2 * width))]
        weight = share * scale / sum(shape)
        for x, part in enumerate(shape):
            place = round(start) + x
            if place < len(rain):
                rain[place] += part * weight * rng.uniform(0.6, 1.4)


def _runoff(rng: random.Random, rain: Sequence[float]) -> array[float]:
    """Millimetres an hour that leave the land quickly, plus those that leave the ground slowly."""
    capacity, shape = rng.uniform(120, 220), rng.uniform(1.2, 2.2)
    soil, ground = 0.4 * capacity, 30.0
    dry_share, ground_share = 1 - math.exp(-_STEP_H / (24 * 12)), 1 - math.exp(-_STEP_H / (24 * 25))
    out = array("d", bytes(8 * len(rain)))
    for i, mm in enumerate(rain):
        quick = 0.0
        if mm > 0.0:
            quick = mm * (0.08 + 0.82 * (soil / capacity) ** shape)
            soil += mm - quick
            if soil > capacity:
                quick += soil - capacity
                soil = capacity
        leaves = soil * dry_share
        soil -= leaves
        ground += 0.45 * leaves  # the rest is taken by plants and sun
        slow = ground * ground_share
        ground -= slow
        out[i] = (quick + slow) / _STEP_H
    return out


# --- the river ----------------------------------------------------------------------------------------------------


def _sites(rng: random.Random, count: int) -> list[Site]:
    """From the source to the mouth; on two rivers of three the last one lies in the tide."""
    out = []
    tidal = rng.random() < 2 / 3
    area = 0.0
    for i in range(count):
        own = rng.uniform(8, 40)
        area += own
        a = area * rng.uniform(0.12, 0.30)  # so that a flood of the land above fills the bed to a few metres
        last = tidal and i == count - 1
        out.append(
            Site(
                f"g{i + 1}",
                own,
                rng.uniform(1.5, 5.0),
                rng.randint(1, 6) if i else 0,
                rng.uniform(0.3, 1.5),
                rng.uniform(-0.3, 0.6),
                a,
                rng.uniform(0.5, 0.62),
                rng.uniform(0.008, 0.015) if last else rng.uniform(0.004, 0.010),
                rng.uniform(0.6, 1.1) if last else 0.0,
            )
        )
    return out


def _discharge(site: Site, runoff: Sequence[float], above: Sequence[float] | None) -> array[float]:
    """Cubic metres a second at the gauge."""
    share = 1 - math.exp(-_STEP_H / (site.answer_h / 2))
    flat = 1 - math.exp(-_STEP_H / site.flatten_h)
    scale = site.area_km2 / 3.6  # mm/h over km2 -> m3/s
    first = second = runoff[0] * scale
    lag = site.travel_steps
    passed = above[0] if above is not None else 0.0
    out = array("d", bytes(8 * len(runoff)))
    for i, mm in enumerate(runoff):
        first += (mm * scale - first) * share
        second += (first - second) * share
        if above is not None:
            passed += ((above[i - lag] if i >= lag else above[0]) - passed) * flat
        out[i] = second + passed
    return out


def _level(site: Site, discharge: Sequence[float], rng: random.Random, typhoons: Sequence[int]) -> array[float]:
    """Metres above the gauge's zero, before any sensor."""
    zero, a, power = site.zero, site.a, site.power
    if not site.tide:
        within = array("d", (zero + (q / a) ** power for q in discharge))
        bank = _exceeded(_tops(within), len(within) / STEPS_A_YEAR * EXCEEDED_A_YEAR["overflow"])
        return array("d", (x if x <= bank else bank + (x - bank) / 3 for x in within))
    turns = [(2 * math.pi * _STEP_H / hours, site.tide * share, rng.random() * 7) for hours, share in _TIDES]
    out = array("d", (zero + 0.5 * (q / a) ** power for q in discharge))  # wide, and half under the sea
    for turn, amplitude, phase in turns:
        for i in range(len(out)):
            out[i] += amplitude * math.cos(turn * i + phase)
    for middle in typhoons:
        height, width = rng.uniform(0.1, 0.9), rng.uniform(12, 30)
        for i in range(max(0, middle - 120), min(len(out), middle + 120)):
            out[i] += height * math.exp(-(((i - middle) / width) ** 2))
    return out


# --- the gauge ----------------------------------------------------------------------------------------------------


def _gauge(site: Site, still: array[float], years: int, rng: random.Random) -> Gauge:
    gauss, waves = rng.gauss, site.waves
    levels = array("d", (round(level + gauss(0.0, waves), 2) for level in still))
    thresholds = _thresholds(levels, years, rng)
    steepest = max(b - a for a, b in pairwise(still)) / _STEP_H
    fastest = max(a - b for a, b in pairwise(still)) / _STEP_H
    ordered = sorted(still[::STEPS_A_DAY])
    dry, lowest = ordered[len(ordered) // 2], min(still)
    overflow = thresholds["overflow"]
    season = tuple((lowest - 0.5, _season_top(still, quarter, dry, thresholds)) for quarter in range(4))
    return Gauge(
        site,
        levels,
        thresholds,
        _stated(steepest),
        _stated(fastest),
        (math.floor(lowest) - 1.0, math.ceil(overflow) + 6.0),
        (lowest - 0.3, overflow + 2.5),
        round(lowest - 0.1, 2),
        season,
    )


def _stated(per_h: float) -> float:
    """What an operator states of a fastest change on record: half as much again, in steps of a decimetre an hour."""
    return max(0.6, math.ceil(per_h * 15) / 10)


def _season_top(still: Sequence[float], quarter: int, dry: float, thresholds: Mapping[str, float]) -> float:
    """The highest level on record in that quarter of the year, with as much room as it rose above a dry day."""
    days = STEPS_A_YEAR // 4
    top = max(max(still[begin : begin + days]) for begin in range(quarter * days, len(still) - days + 1, STEPS_A_YEAR))
    return round(top + max(0.5, 0.5 * (top - dry)), 2)


def _thresholds(levels: Sequence[float], years: int, rng: random.Random) -> dict[str, float]:
    """Each level as high as the floods that exceed it are rare; on one gauge of six two stand 5 cm apart."""
    tops = _tops(levels)
    close = rng.random() < 1 / 6
    out: dict[str, float] = {}
    before = -math.inf
    for key, a_year in EXCEEDED_A_YEAR.items():
        value = max(round(_exceeded(tops, a_year * years), 2), round(before + 0.05, 2))
        before = out[key] = round(before + 0.05, 2) if close and key == "danger" else value
    return out


def _tops(levels: Sequence[float]) -> list[float]:
    """The highest of each two days, where those before and after are lower: one for each flood, highest first."""
    wide = 2 * STEPS_A_DAY
    tops = [max(levels[i : i + wide]) for i in range(0, len(levels), wide)]
    around = zip([-math.inf, *tops], tops, [*tops[1:], -math.inf], strict=False)
    return sorted((top for before, top, after in around if before <= top > after), reverse=True)


def _exceeded(tops: Sequence[float], times: float) -> float:
    """A level that so many of the floods exceed: midway between two of them."""
    rank = min(len(tops) - 1, max(1, round(times)))
    return (tops[rank - 1] + tops[rank]) / 2


def _floods(found: River) -> int:
    """Times at which any gauge outside the tide stood above its caution level, a day apart at least."""
    above: set[int] = set()
    for gauge in found.gauges:
        if not gauge.site.tide:
            level = gauge.thresholds["caution"]
            above.update(i // STEPS_A_DAY for i, value in enumerate(gauge.levels) if value >= level)
    return sum(day - 1 not in above for day in above)
