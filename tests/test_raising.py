"""When a sensor is read more often, and when no longer."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.edge.raising import BLIND_S, Raising
from gateway.errors import FaultCode
from gateway.profiles import Profile
from gateway.settings import Raised, Trigger
from tests.clocks import HOUR, S, SetClock
from tests.test_sampling import PROFILE, FakeBus, sample_all, sensor

ABOVE = Trigger("water_level", 1.50, 1.45)
BELOW = Trigger("water_level", 2.00, 2.05, upwards=False)  # as for a distance to the water
NO_ECHO, OVER = FaultCode.NO_ECHO, FaultCode.ABOVE_SPAN


@pytest.mark.parametrize(
    ("what", "trigger", "read", "expected"),
    [
        ("calm", ABOVE, [1.0, 1.2, 1.49], "..."),
        ("at the level", ABOVE, [1.49, 1.50], ".#"),
        ("three calm readings end it", ABOVE, [1.5, 1.45, 1.44, 1.43, 1.4], "###.."),
        ("a wave does not", ABOVE, [1.5, 1.4, 1.4, 1.46, 1.4, 1.4, 1.4], "######."),
        ("between the levels it stays", ABOVE, [1.6, *[1.47] * 20], "#" * 21),
        ("a fault raises nothing", ABOVE, [1.0, NO_ECHO, NO_ECHO, 1.0], "...."),
        ("a sensor that dies at the crest", ABOVE, [1.6, *[NO_ECHO] * 20], "#" * 21),
        ("a fault counts for nothing", ABOVE, [1.6, 1.4, 1.4, NO_ECHO, 1.4, 1.4, 1.4], "######."),
        ("above what can be measured is high", ABOVE, [1.0, OVER, NO_ECHO], ".##"),
        ("beyond the sensor's span is a wild reading", ABOVE, [1.0, 99.0, 1.0], "..."),
        ("and at the crest no sign of calm", ABOVE, [1.6, *[-99.0] * 5], "#" * 6),
        ("a distance that shrinks", BELOW, [3.0, 2.01, 2.0, 2.04, 2.05, 2.1, 2.2], "..####."),
        ("water up to the sensor's face", BELOW, [3.0, OVER], ".#"),
    ],
)
def test_raising(what: str, trigger: Trigger, read: list[float | FaultCode], expected: str) -> None:
    """Each reading, ten seconds after the one before: # raised from here on, . not."""
    raising = Raising(Raised(10.0, (trigger,)), with_span(PROFILE))
    found = [raising.advance({"water_level": value}, i * 10 * S) for i, value in enumerate(read)]
    assert "".join(".#"[r] for r in found) == expected, what


RISING = Trigger("water_level", 0.60, 0.30, rate=True)  # metres an hour
FALLING = Trigger("water_level", 0.60, 0.30, upwards=False, rate=True)  # a distance to the water, which rises


@pytest.mark.parametrize(
    ("what", "trigger", "read", "expected"),
    [
        ("nothing to compare with", RISING, [1.0, 1.5, 1.6, 1.7, 1.8], "....."),
        ("the last digit is no rise", RISING, [1.00, 1.01] * 6, "............"),
        ("five minutes of it are", RISING, [1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06], ".....##"),
        ("as high, and still", RISING, [9.0] * 10, ".........."),
        ("a fall is no rise", RISING, [2.0 - i / 10 for i in range(10)], ".........."),
        ("a distance that shrinks is one", FALLING, [5.0, 4.99, 4.98, 4.97, 4.96, 4.95], ".....#"),
        ("it stops", RISING, [*(1 + i / 100 for i in range(7)), *[1.06] * 7], ".....######..."),
        (
            "a sensor that dies in the rise",
            RISING,
            [*(1 + i / 50 for i in range(7)), *[NO_ECHO] * 9],
            "....." + "#" * 11,
        ),
        ("at its limit nobody sees a rise", RISING, [OVER] * 9, "........."),
    ],
)
def test_raised_by_a_rate(what: str, trigger: Trigger, read: list[float | FaultCode], expected: str) -> None:
    """Each reading, a minute after the one before: the change over five minutes raises, whatever the level."""
    raising = Raising(Raised(10.0, (trigger,)), with_span(PROFILE))
    found = [raising.advance({"water_level": value}, i * 60 * S) for i, value in enumerate(read)]
    assert "".join(".#"[r] for r in found) == expected, what


def test_a_rate_of_sparse_readings_is_between_two_of_them() -> None:
    """Read each half hour, half a metre more is a metre an hour; after a day without a value nothing is known."""
    raising = Raising(Raised(10.0, (RISING,)), PROFILE)
    assert not raising.advance({"water_level": 1.0}, 0)
    assert raising.advance({"water_level": 1.5}, 1800 * S)
    again = Raising(Raised(10.0, (RISING,)), PROFILE)
    again.advance({"water_level": 1.0}, 0)
    assert not again.advance({"water_level": 99.0}, 24 * HOUR)


def with_span(profile: Profile) -> Profile:
    values = tuple(replace(v, span=(-5.0, 15.0)) if v.name == "water_level" else v for v in profile.values)
    return replace(profile, values=values)


def test_two_triggers_must_both_be_calm() -> None:
    """Either raises; it ends when neither holds."""
    both = Raised(10.0, (ABOVE, Trigger("battery_voltage", 11.0, 11.55, upwards=False)))
    raising = Raising(both, PROFILE)
    read = [(1.0, 12.0), (1.0, 10.9), (1.6, 12.0), *[(1.0, 11.2)] * 4, *[(1.0, 12.0)] * 3]
    found = [raising.advance({"water_level": a, "battery_voltage": b}, 0) for a, b in read]
    assert found == [False, *[True] * 8, False]


def test_nothing_but_faults_does_not_raise_for_ever() -> None:
    """A dead sensor is asked often for some hours, not for weeks: its faults would fill the spool."""
    raising = Raising(Raised(10.0, (ABOVE,)), PROFILE)
    raising.advance({"water_level": 1.6}, 0)
    assert raising.advance({"water_level": NO_ECHO}, round(BLIND_S * S))
    assert not raising.advance({"water_level": NO_ECHO}, round(BLIND_S * S) + 1)


def test_a_sensor_without_raised_interval_is_never_raised() -> None:
    """Whatever it reads."""
    assert not Raising(None, PROFILE).advance({"water_level": OVER}, 0)


def test_a_flood_is_read_every_ten_seconds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every minute until the level is reached, every ten seconds while it stands, every minute again after three calm
    readings; the samples of the raised interval say so on the card, and both turns are told."""
    caplog.set_level("INFO")
    clock = SetClock(end_ms=HOUR)

    def level(_: int) -> float:
        return 2.0 if 20 * 60 * S <= clock.uptime_ms() < 30 * 60 * S else 1.0

    bus = FakeBus(clock, level=level)
    samples = sample_all(clock, bus, tmp_path / "spool.db", [sensor(60.0, raised=Raised(10.0, (ABOVE,)))])
    ups = [up for _, _, up in bus.read_at]
    gaps = [b - a for a, b in pairwise(ups)]
    raised = [s.raised for s in samples]
    assert gaps == [60 * S] * 19 + [10 * S] * 62 + [60 * S] * 29
    assert raised == [False] * 19 + [True] * 62 + [False] * 30
    assert [r.getMessage() for r in caplog.records] == [
        "sensor level at kasuga-bridge is read every 10 s from now on",
        "sensor level at kasuga-bridge is read every 1 min from now on",
    ]
