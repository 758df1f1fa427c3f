"""Where a level is going: trend, rate of rise, and the time to the next threshold (for staff only, never published).
Pure.

`recent` is what a channel state keeps: its newest observation and earlier ones at least `SPACING_MS` apart, oldest
first, so that a few points cover the last hour also where a gauge reports every minute.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from statistics import median

MetresAt = tuple[int, float]  # milliseconds, canonical unit

RECENT = 13  # observations kept
SPACING_MS = 6 * 60_000
HOUR_MS = 3_600_000
SHORT_MS = 10 * 60_000

# A time to a threshold is said only where the last hour carries it.
LEAST_POINTS, LEAST_SPAN_MS = 4, 20 * 60_000
STALE_MS = 20 * 60_000
LEAST_PER_H = 0.05
LONGEST_MIN = 6 * 60.0


def kept(recent: tuple[MetresAt, ...], at_ms: int, value: float) -> tuple[MetresAt, ...]:
    """`recent` with a newer observation. It takes the place of the newest one where that stands too close to the one
    before it."""
    crowded = len(recent) >= 2 and recent[-1][0] - recent[-2][0] < SPACING_MS
    return (*(recent[:-1] if crowded else recent), (at_ms, value))[-RECENT:]


def within(recent: tuple[MetresAt, ...], span_ms: int) -> tuple[MetresAt, ...]:
    """What is not older than the newest by more than `span_ms`."""
    return tuple(x for x in recent if recent[-1][0] - x[0] <= span_ms) if recent else ()


def trend_per_hour(recent: tuple[MetresAt, ...]) -> float | None:
    """Canonical units an hour: the median of the slopes of all pairs (Theil 1950, Sen 1968), deaf to one outlier;
    None with fewer than three observations."""
    slopes = [(b - a) / (tb - ta) for (ta, a), (tb, b) in combinations(recent, 2) if tb > ta]
    return median(slopes) * HOUR_MS if len(recent) >= 3 and slopes else None


def change_over(recent: tuple[MetresAt, ...], span_ms: int) -> float | None:
    """By how much the newest stands above what was measured `span_ms` before it, between two observations in
    proportion. None where nothing is that old, or the two around that moment are more than an hour apart."""
    if not recent:
        return None
    now_ms, value = recent[-1]
    then_ms = now_ms - span_ms
    for (ta, a), (tb, b) in pairwise(recent):
        if ta <= then_ms <= tb and tb - ta <= HOUR_MS:
            return value - (a + (b - a) * (then_ms - ta) / max(1, tb - ta))
    return None


def minutes_to(level: float, recent: tuple[MetresAt, ...], now_ms: int) -> float | None:
    """Minutes from now until the level is reached if it goes on rising as in the last hour. None where that says
    nothing: too few or stale observations, no clear rise, already above, or more than six hours away."""
    hour = within(recent, HOUR_MS)
    if len(hour) < LEAST_POINTS or hour[-1][0] - hour[0][0] < LEAST_SPAN_MS or now_ms - hour[-1][0] > STALE_MS:
        return None
    at_ms, value = hour[-1]
    if value >= level or value < hour[0][1]:
        return None
    per_hour = trend_per_hour(hour)
    if per_hour is None or per_hour < LEAST_PER_H:
        return None
    left = (level - value) / per_hour * 60 - (now_ms - at_ms) / 60_000
    return max(0.0, left) if left <= LONGEST_MIN else None
