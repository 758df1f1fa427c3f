"""Units: what is accepted, what it becomes, and what is said of what is not."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import units


@pytest.mark.parametrize(
    ("text", "quantity", "value"),
    [
        ("2.00 m", "water_level", 2.0),
        ("200cm", "water_level", 2.0),
        ("-1234 mm", "water_level", -1.234),
        (".5 m", "distance", 0.5),
        ("1e2 cm", "distance", 1.0),
        ("20 K", "air_temperature", -253.15),
        ("212 degF", "air_temperature", 100.0),
        ("12610 mV", "battery_voltage", 12.61),
        ("1.5 cm", "rain", 15.0),
        ("1013.25 hPa", "air_pressure", 1013.25),
        ("36 km/h", "wind_speed", 10.0),
        ("2 h", "duration", 7200.0),
    ],
)
def test_amounts(text: str, quantity: str, value: float) -> None:
    """A number with a unit becomes the canonical value of its quantity, free of binary noise."""
    assert units.parse(text, quantity) == value


def test_differences_have_no_offset() -> None:
    """A correction of 0.5 K is half a degree more, not half a degree above absolute zero."""
    assert units.parse_difference("0.5 K", "air_temperature") == 0.5
    assert units.parse_difference("9 degF", "air_temperature") == 5.0
    assert units.parse_difference("-5 cm", "water_level") == -0.05


@pytest.mark.parametrize(
    ("text", "quantity", "message"),
    [
        ("2.00", "water_level", "2.00 has no unit. Did you mean '2.00 m'?"),
        ("2 metre", "water_level", "unknown unit 'metre'. Did you mean 'm'? (water_level accepts m, cm, mm)"),
        ("2 MM", "water_level", "unknown unit 'MM'. Did you mean 'mm'? (water_level accepts m, cm, mm)"),
        ("2 ft", "water_level", "unknown unit 'ft' (water_level accepts m, cm, mm)"),
        ("9 °C", "humidity", "unknown unit '°C' (humidity accepts %RH, %)"),
        ("3 m³/s", "flow", "unknown unit 'm³/s'. Did you mean 'm3/s'? (flow accepts m3/s, l/s)"),
        (
            "9 ℃",
            "air_temperature",
            "unknown unit '℃'. Did you mean 'Cel'? (air_temperature accepts Cel, degC, K, degF)",
        ),
        ("two m", "water_level", "'two m' is not a number with a unit"),
        ("1 m 20", "water_level", "'1 m 20' is not a number with a unit"),
        ("1e999 m", "water_level", "'1e999 m' is not a number with a unit"),
        ("nan m", "water_level", "'nan m' is not a number with a unit"),
        ("", "water_level", "'' is not a number with a unit"),
    ],
)
def test_wrong_amounts(text: str, quantity: str, message: str) -> None:
    """What is wrong with an amount is said with the remedy."""
    with pytest.raises(ValueError) as raised:
        units.parse(text, quantity)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60s", 60.0),
        ("5min", 300.0),
        ("5 min", 300.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("2d", 172800.0),
        ("0s", 0.0),
    ],
)
def test_durations(text: str, value: float) -> None:
    """A duration carries its unit and becomes seconds."""
    assert units.seconds(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("60", "60 has no unit. Did you mean '60s'?"),
        ("5m", "unknown unit 'm'. Did you mean 'min'? (one of ms, s, min, h, d)"),
        ("10 seconds", "unknown unit 'seconds'. Did you mean 's'? (one of ms, s, min, h, d)"),
        ("1 week", "unknown unit 'week' (one of ms, s, min, h, d)"),
    ],
)
def test_wrong_durations(text: str, message: str) -> None:
    """A bare number is no duration, and an m could be minutes or metres."""
    with pytest.raises(ValueError) as raised:
        units.seconds(text)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "value"),
    [("64MB", 64_000_000), ("256KiB", 262_144), ("1.5 kB", 1500), ("0.1GB", 100_000_000), ("10B", 10)],
)
def test_sizes(text: str, value: int) -> None:
    """A size is whole bytes; MB and MiB are different things."""
    assert units.nbytes(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("64", "64 has no unit. Did you mean '64MB'?"),
        ("64000000", "64000000 has no unit. Did you mean '64000000B'?"),
        ("64M", "unknown unit 'M'. Did you mean 'MB'? (one of B, kB, MB, GB, KiB, MiB, GiB)"),
        ("64mb", "unknown unit 'mb'. Did you mean 'MB'? (one of B, kB, MB, GB, KiB, MiB, GiB)"),
    ],
)
def test_wrong_sizes(text: str, message: str) -> None:
    """A size without one of the known units is refused with the nearest of them."""
    with pytest.raises(ValueError) as raised:
        units.nbytes(text)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3720, "1 h 2 min"), (90061, "1 d 1 h"), (-5, "0 s")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    """People read the two largest parts of a duration."""
    assert units.in_words(seconds) == words


@pytest.mark.parametrize("quantity", units.QUANTITIES.values(), ids=lambda quantity: quantity.name)
def test_the_table(quantity: units.Quantity) -> None:
    """Each quantity accepts its canonical unit unchanged, and every scale can be undone."""
    assert quantity.accepts[quantity.unit] == (1.0, 0.0)
    assert all(
        scale > 0 and math.isfinite(scale) and math.isfinite(offset) for scale, offset in quantity.accepts.values()
    )


UNITS = st.sampled_from([(q.name, unit) for q in units.QUANTITIES.values() for unit in q.accepts])


@given(UNITS, st.decimals(-100_000, 100_000, places=3))
def test_a_unit_can_be_undone(unit: tuple[str, str], number: float) -> None:
    """canonical = number * scale + offset, and back."""
    quantity, symbol = unit
    scale, offset = units.scale_of(quantity, symbol)
    value = units.parse(f"{number} {symbol}", quantity)
    assert math.isclose((value - offset) / scale, float(number), rel_tol=1e-9, abs_tol=1e-5)


@given(UNITS, st.text(max_size=8))
def test_any_text_is_an_amount_or_a_sentence(unit: tuple[str, str], text: str) -> None:
    """Nothing but ValueError leaves the parser, and what it accepts is finite."""
    for candidate in (text, f"1 {text}"):
        with contextlib.suppress(ValueError):
            assert math.isfinite(units.parse(candidate, unit[0]))
