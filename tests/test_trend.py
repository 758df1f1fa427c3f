"""Where a level is going: what is kept, the trend, the rate of rise, the time to the next threshold."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import trend
from gateway.trend import MetresAt, change_over, kept, minutes_to, trend_per_hour
from tests.places import MINUTE, T0


def line(*values: float, every: float = 10) -> tuple[MetresAt, ...]:
    return tuple((T0 + round(i * every * MINUTE), value) for i, value in enumerate(values))


@pytest.mark.parametrize(
    ("what", "values", "per_hour"),
    [
        ("two are no trend", [1.0, 2.0], None),
        ("a steady rise", [1.0, 1.1, 1.2], 0.6),
        ("a fall", [2.0, 1.9, 1.8, 1.7], -0.6),
        ("one outlier is not heard", [1.0, 1.1, 9.9, 1.3, 1.4], 0.6),
        ("at rest", [1.0, 1.0, 1.0], 0.0),
    ],
)
def test_trend(what: str, values: list[float], per_hour: float | None) -> None:
    """The trend is the median slope of all pairs, in units an hour."""
    assert trend_per_hour(line(*values)) == (pytest.approx(per_hour) if per_hour is not None else None), what


@pytest.mark.parametrize(
    ("what", "recent", "minutes", "expected"),
    [
        ("of ten minutes", line(1.0, 1.1, 1.3), 10, 0.2),
        ("of an hour", line(1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7), 60, 0.7),
        ("between two observations", line(1.0, 1.1, 1.3), 15, 0.25),
        ("nothing is that old", line(1.0, 1.1, 1.3), 30, None),
        ("too far apart to say", line(1.0, 2.0, every=90), 60, None),
        ("nothing at all", (), 10, None),
    ],
)
def test_change_over(what: str, recent: tuple[MetresAt, ...], minutes: int, expected: float | None) -> None:
    """The rise of the last minutes, between two observations in proportion."""
    got = change_over(recent, minutes * MINUTE)
    assert got == (pytest.approx(expected) if expected is not None else None), what


RISING = line(1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)  # 0.6 m/h


@pytest.mark.parametrize(
    ("what", "recent", "level", "age", "expected"),
    [
        ("a steady rise", RISING, 1.9, 0, 30),
        ("its age is taken off", RISING, 1.9, 5, 25),
        ("it should be there by now", RISING, 1.65, 10, 0),
        ("one outlier is not heard", line(1.0, 1.1, 1.2, 0.3, 1.4, 1.5, 1.6), 1.9, 0, 30),
        ("too few", line(1.0, 1.1, 1.2), 1.9, 0, None),
        ("too short a time", line(1.0, 1.1, 1.2, 1.3, every=5), 1.9, 0, None),
        ("stale", RISING, 1.9, 21, None),
        ("falling", line(1.6, 1.5, 1.4, 1.3), 1.9, 0, None),
        ("at rest", line(1.6, 1.6, 1.61, 1.6), 1.9, 0, None),
        ("already there", RISING, 1.6, 0, None),
        ("further than six hours", RISING, 5.3, 0, None),
        ("only the last hour counts", line(0.1, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), 1.9, 0, None),
    ],
)
def test_minutes_to(what: str, recent: tuple[MetresAt, ...], level: float, age: float, expected: float | None) -> None:
    """A time is said only where the last hour carries it; it is never negative."""
    got = minutes_to(level, recent, recent[-1][0] + round(age * MINUTE))
    assert got == (pytest.approx(expected) if expected is not None else None), what


@given(st.lists(st.tuples(st.integers(1, 30 * MINUTE), st.floats(-1, 9)), max_size=200))
def test_what_is_kept(steps: list[tuple[int, float]]) -> None:
    """However often a gauge reports: a bounded number, in order, the newest last, the others spaced."""
    recent: tuple[MetresAt, ...] = ()
    at_ms = T0
    for after, value in steps:
        at_ms += after
        recent = kept(recent, at_ms, value)
        assert recent[-1] == (at_ms, value)
    times = [at for at, _ in recent]
    assert len(recent) <= trend.RECENT
    assert all(b - a >= trend.SPACING_MS for a, b in pairwise(times[:-1]))


def test_a_gauge_that_reports_every_minute_has_an_hour() -> None:
    """What is kept covers the last hour."""
    recent: tuple[MetresAt, ...] = ()
    for minute in range(200):
        recent = kept(recent, T0 + minute * MINUTE, minute / 100)
    assert recent[-1][0] - recent[0][0] >= trend.HOUR_MS
    assert change_over(recent, trend.HOUR_MS) == pytest.approx(0.6)
