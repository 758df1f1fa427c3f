"""What a series of levels shows by itself: when it stood at or above a level. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

Levels = Sequence[tuple[int, float]]  # UTC milliseconds, metres; times strictly rise

SAMPLES = 2  # a crossing lasts at least so many


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive samples at or above a level: the first and the last place in the series, and their times."""

    first: int
    last: int
    since_ms: int
    until_ms: int


def runs(series: Levels, level: float, least: int = SAMPLES) -> list[Run]:
    """Every run of at least so many samples, in order. A series that begins or ends above the level has a run there;
    values that are missing neither make nor end one."""
    out: list[Run] = []
    first: int | None = None
    for i, (_, value) in enumerate(series):
        if value >= level:
            first = i if first is None else first
        elif first is not None:
            _keep(out, series, first, i - 1, least)
            first = None
    if first is not None:
        _keep(out, series, first, len(series) - 1, least)
    return out


def _keep(out: list[Run], series: Levels, first: int, last: int, least: int) -> None:
    if last - first + 1 >= least:
        out.append(Run(first, last, series[first][0], series[last][0]))


def crests(series: Levels, level: float, below: float) -> list[Run]:
    """The runs of at least two samples down to `below` that level in which one sample at least reaches it."""
    found = runs(series, level - below)
    return [run for run in found if any(value >= level for _, value in series[run.first : run.last + 1])]


def touches(found: Sequence[Run], from_ms: int, to_ms: int) -> bool:
    """Whether any of these runs, which are in order, has a sample's time within the bounds or spans them."""
    place = bisect_left(found, from_ms, key=lambda run: run.until_ms)
    return place < len(found) and found[place].since_ms <= to_ms


def highest(series: Levels, from_ms: int, to_ms: int) -> float:
    """The highest value from one time to another, with the sample before them; -inf where there is none."""
    first = max(0, bisect_left(series, from_ms, key=lambda sample: sample[0]) - 1)
    last = bisect_left(series, to_ms + 1, key=lambda sample: sample[0])
    return max((value for _, value in series[first:last]), default=-inf)
