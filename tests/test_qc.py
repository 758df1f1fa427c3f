"""Quality tests as truth tables."""

from __future__ import annotations

from itertools import permutations

import pytest

from gateway import qc
from gateway.model import Flag
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
