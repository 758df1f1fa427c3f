"""A station for a recording that nobody has configured: its contract and its plausible limits as an operator would
state them from the record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from statistics import median

from gateway import qualitylimits
from gateway.scoring.truth import Levels
from gateway.stations import Channel, Contract, Level, LevelTable, Limits, Registry, Station, Threshold

TENANT = "score"
ROOM_OVER_RECORD = 2.0  # times the fastest change on record is still plausible
LEAST_RATE = 0.5  # metres an hour: no river is stiller than this
ABOVE_OVERFLOW_M = 2.0  # the water spreads: what lies higher is no level of a river
_SMOOTH = 5  # samples, so that a spike of one or two in the record is no rate of the river


def contract(series: Levels) -> Contract:
    """An interval as the record mostly has it, and half of it as grace: what a configuration that says nothing has."""
    interval_s = median((b - a) / 1000 for (a, _), (b, _) in pairwise(series)) if len(series) > 1 else 600.0
    return Contract(interval_s, max(30.0, interval_s / 2))


def limits(series: Levels, overflow: float | None) -> Limits:
    """The fastest rise and fall on record, twice, after a running median; above, what lies 2 m over the overflow."""
    half = _SMOOTH // 2
    calm = [
        (series[i][0], median(v for _, v in series[i - half : i + half + 1])) for i in range(half, len(series) - half)
    ]
    rates = [(b - a) / (tb - ta) * 3_600_000 for (ta, a), (tb, b) in pairwise(calm)]
    rise, fall = max(rates, default=0.0), max((-r for r in rates), default=0.0)
    user = None if overflow is None else (min(v for _, v in series) - ABOVE_OVERFLOW_M, overflow + ABOVE_OVERFLOW_M)
    return Limits(
        user=user,
        rise_per_h=max(LEAST_RATE, rise * ROOM_OVER_RECORD),
        fall_per_h=max(LEAST_RATE, fall * ROOM_OVER_RECORD),
    )


def thresholds(values: Mapping[str, float], table: LevelTable) -> tuple[Threshold, ...]:
    """In the order of their ranks. Raises KeyError for a level that the table does not have, ValueError where a higher
    one does not stand higher."""
    levels: dict[str, Level] = {key: level for key in values if (level := table.by_key(key)) and level.rank > 0}
    if unknown := [key for key in values if key not in levels]:
        raise KeyError(unknown[0])
    order = sorted(values, key=lambda key: (levels[key].rank, values[key]))
    for a, b in pairwise(order):
        if levels[b].rank > levels[a].rank and values[b] <= values[a]:
            raise ValueError(f"{b} {values[b]:g} is not above {a} {values[a]:g}")
    return tuple(Threshold(key, levels[key].rank, values[key], "", "", "recording") for key in order)


def water_level(contract: Contract, limits: Limits, marks: tuple[Threshold, ...]) -> Channel:
    """With the quality tests that a water level has where nobody configured any."""
    tests = qualitylimits.defaults("water_level")
    return Channel("water_level", "water_level", contract, limits=limits, thresholds=marks, tests=tests)


def station(name: str, title: str, channel: Channel) -> Station:
    return Station(TENANT, name, title, title, 0.0, 0.0, name, "", 0.0, {channel.name: channel})


def alone(
    series: Levels, name: str, title: str, marks: tuple[Threshold, ...], table: LevelTable
) -> tuple[Registry, Station, Channel]:
    """A registry of one station with a water level as the series has it."""
    overflow = next((t.value for t in marks if t.rank == 5), None)
    channel = water_level(contract(series), limits(series, overflow), marks)
    found = station(name, title, channel)
    return Registry([found], table), found, channel
