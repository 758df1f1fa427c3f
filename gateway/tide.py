"""Astronomical tide: a table of predicted levels, what it says of a time, and when the next high water comes. Pure.

Between the values of a table the cubic through the two before and the two after is taken (Lagrange). Of hourly values
it is wrong by less than 3/128 of the fourth power of a constituent's phase in an hour: 2 mm for a semidiurnal tide of
1 m, 3 mm for a shallow-water one of 0.1 m, where a straight line would be wrong by 32 mm. Beside an edge or where the
values are not evenly spaced it is the straight line; across more than `APART_MS` there is no prediction.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gateway.model import Change, Transition

APART_MS = 3 * 3_600_000
SEARCH_MS = 26 * 3_600_000  # a high water comes once in a lunar day at least
STEP_MS = 60_000


@dataclass(frozen=True, slots=True)
class HighWater:
    """When the tide is predicted to be highest, and how high, in the reference of the observations."""

    at_ms: int
    level: float


@dataclass(frozen=True, slots=True)
class Table:
    """Predicted levels by time: `times` UTC ms, rising; `levels` metres, as many. `highs`, where the publisher states
    them, are taken as they are. `digest` tells one content from another."""

    name: str
    digest: str
    times: Sequence[int] = field(repr=False, compare=False)
    levels: Sequence[float] = field(repr=False, compare=False)
    highs: Sequence[HighWater] = field(default=(), repr=False, compare=False)

    @property
    def ends_ms(self) -> int:
        return self.times[-1]

    def level(self, at_ms: int) -> float | None:
        """Metres; None where the table says nothing of that time."""
        times, levels = self.times, self.levels
        if not times[0] <= at_ms <= times[-1]:
            return None
        i = min(bisect_right(times, at_ms) - 1, len(times) - 2)
        step = times[i + 1] - times[i]
        if step > APART_MS:
            return levels[i] if at_ms == times[i] else None
        x = (at_ms - times[i]) / step
        even = 0 < i < len(times) - 2 and times[i] - times[i - 1] == step == times[i + 2] - times[i + 1]
        if not even:
            return levels[i] + x * (levels[i + 1] - levels[i])
        a, b, c, d = levels[i - 1 : i + 3]
        return (
            -a * x * (x - 1) * (x - 2) / 6
            + b * (x + 1) * (x - 1) * (x - 2) / 2
            - c * (x + 1) * x * (x - 2) / 2
            + d * (x + 1) * x * (x - 1) / 6
        )

    def next_high(self, at_ms: int) -> HighWater | None:
        """The next high water after a time; None where the table ends before it, or has a gap there."""
        stated = next((h for h in self.highs if h.at_ms > at_ms), None)
        if stated is not None and stated.at_ms - at_ms <= SEARCH_MS:
            return stated
        i = max(bisect_right(self.times, at_ms) - 1, 1)
        while i < len(self.times) - 1 and self.times[i] - at_ms <= SEARCH_MS:
            if self.levels[i - 1] < self.levels[i] >= self.levels[i + 1]:
                found = self._top(self.times[i - 1], self.times[i + 1])
                if found is not None and found.at_ms > at_ms:
                    return found
            i += 1
        return None

    def _top(self, from_ms: int, to_ms: int) -> HighWater | None:
        """The highest minute of a stretch."""
        known = ((x, at_ms) for at_ms in range(from_ms, to_ms + 1, STEP_MS) if (x := self.level(at_ms)) is not None)
        level, at_ms = max(known, key=lambda k: (k[0], -k[1]), default=(0.0, None))
        return None if at_ms is None else HighWater(at_ms, level)


@dataclass(frozen=True, slots=True)
class Tide:
    """The prediction of a channel, in the reference of its observations. A level that is reached while the observed
    one is no more than `margin` metres above the predicted one is reached by the tide alone."""

    table: Table
    margin: float
    offset: float = 0.0  # from the table's zero to that of the observations

    def astronomical(self, at_ms: int) -> float | None:
        level = self.table.level(at_ms)
        return None if level is None else level + self.offset

    def deviation(self, value: float, at_ms: int) -> float | None:
        """偏差: observed less astronomical, metres; None where nothing is predicted."""
        predicted = self.astronomical(at_ms)
        return None if predicted is None else round(value - predicted, 4)

    def alone(self, value: float | None, at_ms: int) -> bool:
        """Whether the tide alone explains an observed level."""
        found = None if value is None else self.deviation(value, at_ms)
        return found is not None and found <= self.margin

    def next_high(self, at_ms: int) -> HighWater | None:
        found = self.table.next_high(at_ms)
        return None if found is None else HighWater(found.at_ms, found.level + self.offset)


def hushed(t: Transition, tide: Tide) -> Transition:
    """A level below rank 3 that was reached, or left, by the tide alone rings nobody."""
    crossed = t.change in (Change.RISE, Change.FALL) and max(t.from_rank, t.to_rank) < 3
    return replace(t, rings=False) if crossed and tide.alone(t.value, t.at_ms) else t
