"""Quality tests as truth tables."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest

from gateway import qc
from gateway.model import Flag
from gateway.qualitylimits import Attenuated, FlatLine, MultiVariate, Neighbour, Season, Spike
from gateway.stations import Contract, Limits

GOOD, NOT_EVALUATED, SUSPECT, FAIL, MISSING = Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL, Flag.MISSING

BOTH = Limits(sensor=(-1.0, 10.0), user=(0.0, 6.0))
SENSOR = Limits(sensor=(-1.0, 10.0))
USER = Limits(user=(0.0, 6.0))
WIDE_USER = Limits(sensor=(-1.0, 10.0), user=(-5.0, 20.0))


@pytest.mark.parametrize(
    ("what", "limits", "value", "flag"),
    [
        ("inside both", BOTH, 3.0, GOOD),
        ("on the operator's lower bound", BOTH, 0.0, GOOD),
        ("on the operator's upper bound", BOTH, 6.0, GOOD),
        ("just below the operator's", BOTH, -0.001, SUSPECT),
        ("just above the operator's", BOTH, 6.001, SUSPECT),
        ("on the sensor's lower bound", BOTH, -1.0, SUSPECT),
        ("on the sensor's upper bound", BOTH, 10.0, SUSPECT),
        ("below the sensor's", BOTH, -1.001, FAIL),
        ("above the sensor's", BOTH, 10.001, FAIL),
        ("inside the only span", SENSOR, 9.0, GOOD),
        ("outside the only span", SENSOR, 11.0, FAIL),
        ("inside the operator's alone", USER, 6.0, GOOD),
        ("far outside the operator's alone", USER, 1e9, SUSPECT),
        ("the sensor's span judges first", WIDE_USER, 15.0, FAIL),
        ("no span is known", Limits(), 3.0, NOT_EVALUATED),
        ("no span is known of the absurd", Limits(), 1e30, NOT_EVALUATED),
    ],
)
def test_gross_range(what: str, limits: Limits, value: float, flag: Flag) -> None:
    """Outside the sensor's span fails, outside the operator's is suspect, a bound itself is inside."""
    assert qc.gross_range(value, limits) is flag, what


CONTRACT = Contract(interval_s=600.0, grace_s=300.0)


@pytest.mark.parametrize(
    ("what", "previous_ms", "at_ms", "flag"),
    [
        ("the first observation", None, 5_000_000, NOT_EVALUATED),
        ("one interval later", 0, 600_000, GOOD),
        ("on the last moment of grace", 0, 900_000, GOOD),
        ("a millisecond later", 0, 900_001, MISSING),
        ("hours later", 0, 36_000_000, MISSING),
        ("at the same time", 600_000, 600_000, GOOD),
        ("an earlier one that comes late", 600_000, 0, GOOD),
    ],
)
def test_gap(what: str, previous_ms: int | None, at_ms: int, flag: Flag) -> None:
    """A slot is missing where more than interval and grace passed since the previous observation."""
    assert qc.gap(previous_ms, at_ms, CONTRACT) is flag, what


CRISIS = Contract(600.0, 300.0, "crisis", raised_above=1.8, heartbeat_s=86_400.0)
RAISES = Contract(600.0, 300.0, raised_above=1.5, interval_raised_s=60.0)


@pytest.mark.parametrize(
    ("what", "contract", "before", "minutes", "flag"),
    [
        ("a crisis gauge at rest owes its heartbeat", CRISIS, 0.4, 24 * 60 + 5, GOOD),
        ("and no more than that", CRISIS, 0.4, 24 * 60 + 5.1, MISSING),
        ("of one whose level is not known nothing else is known", CRISIS, None, 24 * 60, GOOD),
        ("above its start level it owes its interval", CRISIS, 1.8, 15, GOOD),
        ("and no less", CRISIS, 1.8, 15.1, MISSING),
        ("a gauge in flood mode owes the raised interval", RAISES, 1.5, 6.1, MISSING),
        ("below it the calm one", RAISES, 1.4, 15, GOOD),
    ],
)
def test_a_gap_goes_by_the_mode_of_the_contract(
    what: str, contract: Contract, before: float | None, minutes: float, flag: Flag
) -> None:
    """What was due after the value before, not what the gauge owes in another mode."""
    assert qc.gap(0, round(minutes * 60_000), contract, before) is flag, what


@pytest.mark.parametrize(
    ("what", "flags", "flag"),
    [
        ("no test applied", [], NOT_EVALUATED),
        ("one good", [GOOD], GOOD),
        ("good before not evaluated", [NOT_EVALUATED, GOOD], GOOD),
        ("suspect before good", [GOOD, SUSPECT, GOOD], SUSPECT),
        ("fail before all", [SUSPECT, FAIL, GOOD, MISSING, NOT_EVALUATED], FAIL),
        ("missing stands lowest", [MISSING, NOT_EVALUATED], NOT_EVALUATED),
        ("nothing but missing", [MISSING], MISSING),
    ],
)
def test_overall(what: str, flags: list[Flag], flag: Flag) -> None:
    """The overall flag follows the order 9 < 2 < 1 < 3 < 4, however the tests are listed."""
    for order in permutations(flags):
        assert qc.overall(order) is flag, what


def test_order_of_the_flags() -> None:
    """The order is QARTOD's as the design states it, and names every flag once."""
    assert [int(flag) for flag in qc.FLAG_ORDER] == [9, 2, 1, 3, 4]
    assert set(qc.FLAG_ORDER) == set(Flag)


# --- one value and those beside it


def month(m: int) -> int:
    return round(datetime(2026, m, 15, tzinfo=UTC).timestamp() * 1000)


SUMMER, WINTER, MARCH = Season(6, 9, (0.5, 4.0)), Season(11, 3, (0.2, 1.0)), Season(3, 3, (0.0, 9.0))


@pytest.mark.parametrize(
    ("what", "value", "at", "seasons", "flag"),
    [
        ("inside", 2.0, 7, (SUMMER, WINTER), GOOD),
        ("on a bound", 4.0, 9, (SUMMER, WINTER), GOOD),
        ("above", 4.01, 6, (SUMMER, WINTER), SUSPECT),
        ("below", 0.4, 6, (SUMMER, WINTER), SUSPECT),
        ("far above is suspect all the same", 99.0, 6, (SUMMER,), SUSPECT),
        ("over the turn of the year, before it", 2.0, 12, (SUMMER, WINTER), SUSPECT),
        ("over the turn of the year, after it", 0.5, 1, (SUMMER, WINTER), GOOD),
        ("in a month of no season", 99.0, 10, (SUMMER, WINTER), NOT_EVALUATED),
        ("the last of several seasons judges", 5.0, 3, (WINTER, MARCH), GOOD),
        ("no season", 5.0, 3, (), NOT_EVALUATED),
    ],
)
def test_climatology(what: str, value: float, at: int, seasons: tuple[Season, ...], flag: Flag) -> None:
    """Suspect outside the span of the season, never more; not evaluated outside of all seasons."""
    assert qc.climatology(value, month(at), seasons) is flag, what


@pytest.mark.parametrize(
    ("what", "before", "value", "after", "flag"),
    [
        ("a straight line", 1.0, 1.1, 1.2, GOOD),
        ("a value that stands out", 1.0, 1.4, 1.0, SUSPECT),
        ("and far out", 1.0, 2.1, 1.0, FAIL),
        ("downwards", 1.0, -0.5, 1.0, FAIL),
        ("on the threshold", 1.0, 1.25, 1.0, GOOD),
        ("a true rise 0, 1.0, 1.5", 0.0, 1.0, 1.5, GOOD),
        ("a rise that slows down", 0.0, 3.0, 4.0, GOOD),
        ("the foot of a rise", 0.0, 0.0, 2.0, GOOD),
        ("the shoulder of a rise", 0.0, 2.0, 2.0, GOOD),
        ("a rise that settles", 0.0, 2.0, 1.9, GOOD),
        ("the value beside a spike", 3.0, 1.0, 1.01, GOOD),
        ("a crest of one sample on a slope", 1.0, 2.0, 1.6, SUSPECT),
        ("a crest that is steep on one side alone", 0.0, 2.0, 1.4, GOOD),
    ],
)
def test_spike(what: str, before: float, value: float, after: float, flag: Flag) -> None:
    """The distance from the mean of both neighbours, of a value that stands out from both on one side."""
    assert qc.spike(before, value, after, Spike(0.25, 1.0)) is flag, what


def test_a_spike_without_a_limit_to_fail() -> None:
    """Then it is suspect however far it stands out."""
    assert qc.spike(0.0, 99.0, 0.0, Spike(0.25)) is SUSPECT


SITE = Limits(rise_per_h=6.0, fall_per_h=1.2)  # 1 m in ten minutes, and 20 cm
MIN = 60_000


@pytest.mark.parametrize(
    ("what", "minutes", "change", "limits", "flag"),
    [
        ("nothing", 10, 0.0, SITE, GOOD),
        ("as fast as the site can rise", 10, 1.0, SITE, GOOD),
        ("faster", 10, 1.01, SITE, SUSPECT),
        ("as fast as it can fall", 10, -0.2, SITE, GOOD),
        ("falling faster", 10, -0.21, SITE, SUSPECT),
        ("after an hour more is plausible", 60, 5.9, SITE, GOOD),
        ("within a minute as much as within three", 1, 0.3, SITE, GOOD),
        ("and no more", 1, 0.31, SITE, SUSPECT),
        ("ten seconds of waves", 1 / 6, 0.1, SITE, GOOD),
        ("only the rise is limited, rising", 10, 1.01, Limits(rise_per_h=6.0), SUSPECT),
        ("only the rise is limited, falling", 10, -9.0, Limits(rise_per_h=6.0), GOOD),
        ("only the fall is limited, rising", 10, 9.0, Limits(fall_per_h=6.0), GOOD),
        ("nothing is limited", 10, 9.0, Limits(), NOT_EVALUATED),
    ],
)
def test_rate_of_change(what: str, minutes: float, change: float, limits: Limits, flag: Flag) -> None:
    """Each way has its limit, an hour; what may come in three minutes may come at once."""
    assert qc.rate_of_change((0, 1.0), (round(minutes * MIN), 1.0 + change), limits) is flag, what


@pytest.mark.parametrize(
    ("what", "minutes", "limits", "flag"),
    [
        ("not long", 179, FlatLine(0.0, 10_800, 21_600), GOOD),
        ("three hours", 180, FlatLine(0.0, 10_800, 21_600), SUSPECT),
        ("almost six", 359, FlatLine(0.0, 10_800, 21_600), SUSPECT),
        ("six hours", 360, FlatLine(0.0, 10_800, 21_600), FAIL),
        ("a week without a limit to fail", 10_080, FlatLine(0.0, 10_800), SUSPECT),
        ("only fail", 200, FlatLine(0.0, None, 21_600), GOOD),
    ],
)
def test_flat_line(what: str, minutes: int, limits: FlatLine, flag: Flag) -> None:
    """By duration, not by a number of samples."""
    assert qc.flat_line(0, minutes * MIN, limits) is flag, what


@pytest.mark.parametrize(
    ("measure", "flag"),
    [(0.02, GOOD), (0.01, GOOD), (0.009, SUSPECT), (0.005, SUSPECT), (0.004, FAIL), (0.0, FAIL)],
)
def test_attenuated(measure: float, flag: Flag) -> None:
    """Below a limit the signal is too weak."""
    assert qc.attenuated(measure, Attenuated("range", 3600, 0.01, 0.005)) is flag


# --- against other channels and stations, where no oracle has the test

RAIN = MultiVariate("rain", rise_per_h=0.5, least_per_h=1.0)
SECOND = MultiVariate("second", differs=0.10)
BOTH_WAYS = MultiVariate("second", 0.5, 0.1, 0.10)


@pytest.mark.parametrize(
    ("what", "rise", "other", "other_rise", "limits", "flag"),
    [
        ("rises with the rain", 0.8, 20.0, 12.0, RAIN, GOOD),
        ("rises without rain", 0.8, 20.0, 0.5, RAIN, SUSPECT),
        ("rises slowly without rain", 0.5, 20.0, 0.0, RAIN, GOOD),
        ("falls without rain", -2.0, 20.0, 0.0, RAIN, GOOD),
        ("rain just enough", 0.8, 20.0, 1.0, RAIN, GOOD),
        ("no rain gauge reports", 0.8, None, None, RAIN, NOT_EVALUATED),
        ("the rain gauge is new", 0.8, 20.0, None, RAIN, NOT_EVALUATED),
        ("this channel is new", None, 20.0, 0.0, RAIN, NOT_EVALUATED),
        ("two sensors agree", None, 1.05, None, SECOND, GOOD),
        ("on the limit", None, 1.10, None, SECOND, GOOD),
        ("two sensors differ", None, 1.11, None, SECOND, SUSPECT),
        ("the other one is silent", 9.0, None, None, SECOND, NOT_EVALUATED),
        ("they agree, but this one rises alone", 0.8, 1.0, 0.0, BOTH_WAYS, SUSPECT),
        ("they rise together, but differ", 0.8, 2.0, 0.8, BOTH_WAYS, SUSPECT),
        ("they rise together and agree", 0.8, 1.0, 0.8, BOTH_WAYS, GOOD),
    ],
)
def test_multi_variate(
    what: str, rise: float | None, other: float | None, other_rise: float | None, limits: MultiVariate, flag: Flag
) -> None:
    """A value of 1.0 against another channel; what is not known judges nothing."""
    assert qc.multi_variate(1.0, rise, other, other_rise, limits) is flag, what


NEAR = Neighbour(rise_per_h=1.0, least_per_h=0.03, still_per_h=0.01, reporting=2)


@pytest.mark.parametrize(
    ("what", "rise", "others", "flag"),
    [
        ("all rise", 1.5, (0.8, 1.2), GOOD),
        ("one of them rises a little", 1.5, (0.0, 0.03), GOOD),
        ("this one rises alone", 1.5, (0.0, 0.02), SUSPECT),
        ("while they fall", 1.5, (-0.5, -0.1), SUSPECT),
        ("rises alone, but slowly", 1.0, (0.0, 0.0), GOOD),
        ("stands still while all rise", 0.0, (1.1, 2.0), SUSPECT),
        ("stands still while one rises", 0.0, (0.9, 2.0), GOOD),
        ("falls a little while all rise", -0.02, (1.1, 2.0), GOOD),
        ("only one of them reports", 1.5, (0.0,), NOT_EVALUATED),
        ("none reports", 1.5, (), NOT_EVALUATED),
        ("this one is new", None, (0.0, 0.0), NOT_EVALUATED),
    ],
)
def test_neighbour(what: str, rise: float | None, others: tuple[float, ...], flag: Flag) -> None:
    """Alone against at least two that have fresh data, rising or standing still; metres an hour."""
    assert qc.neighbour(rise, others, NEAR) is flag, what
