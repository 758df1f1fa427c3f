"""Quantities and their units. Every unit is a scale and an offset to the quantity's canonical unit, resolved when
a profile or station is loaded, so that nothing is looked up while sampling.

Unit symbols follow the SenML registry (RFC 8428, section 12.1) where it has one: m, Cel, %RH, hPa, V, lat, lon.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

Scale = tuple[float, float]  # canonical = value * scale + offset


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of measured thing; its name is the measurement in InfluxDB."""

    name: str
    unit: str
    accepts: dict[str, Scale]


_LENGTH = {"m": (1.0, 0.0), "cm": (0.01, 0.0), "mm": (0.001, 0.0)}
_SPEED = {"m/s": (1.0, 0.0), "km/h": (1 / 3.6, 0.0), "kn": (1852 / 3600, 0.0)}
_TEMPERATURE = {"Cel": (1.0, 0.0), "degC": (1.0, 0.0), "K": (1.0, -273.15), "degF": (5 / 9, -160 / 9)}
_TABLE: list[tuple[str, str, dict[str, Scale]]] = [
    ("water_level", "m", _LENGTH),
    ("distance", "m", _LENGTH),
    ("tide_deviation", "m", _LENGTH),
    ("rain", "mm", {"mm": (1.0, 0.0), "cm": (10.0, 0.0)}),
    ("rain_rate", "mm/h", {"mm/h": (1.0, 0.0)}),
    ("flow", "m3/s", {"m3/s": (1.0, 0.0), "l/s": (0.001, 0.0)}),
    ("velocity", "m/s", _SPEED),
    ("wind_speed", "m/s", _SPEED),
    ("wind_direction", "deg", {"deg": (1.0, 0.0)}),
    ("air_temperature", "Cel", _TEMPERATURE),
    ("water_temperature", "Cel", _TEMPERATURE),
    ("cpu_temperature", "Cel", _TEMPERATURE),
    ("humidity", "%RH", {"%RH": (1.0, 0.0), "%": (1.0, 0.0)}),
    ("air_pressure", "hPa", {"hPa": (1.0, 0.0), "Pa": (0.01, 0.0), "kPa": (10.0, 0.0)}),
    ("battery_voltage", "V", {"V": (1.0, 0.0), "mV": (0.001, 0.0)}),
    ("battery_level", "%EL", {"%EL": (1.0, 0.0), "%": (1.0, 0.0)}),
    ("latitude", "lat", {"lat": (1.0, 0.0), "deg": (1.0, 0.0)}),
    ("longitude", "lon", {"lon": (1.0, 0.0), "deg": (1.0, 0.0)}),
    ("contact", "/", {"/": (1.0, 0.0)}),
    ("count", "count", {"count": (1.0, 0.0)}),
    ("current", "A", {"A": (1.0, 0.0), "mA": (0.001, 0.0)}),
    ("direction", "deg", {"deg": (1.0, 0.0)}),
    ("duration", "s", {"s": (1.0, 0.0), "ms": (0.001, 0.0), "min": (60.0, 0.0), "h": (3600.0, 0.0)}),
    ("storage", "B", {"B": (1.0, 0.0), "kB": (1e3, 0.0), "MB": (1e6, 0.0)}),
]
QUANTITIES: dict[str, Quantity] = {name: Quantity(name, unit, accepts) for name, unit, accepts in _TABLE}

_NUMBER_UNIT = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# What people write -> the symbols they may mean; the first that fits is proposed.
_SPELLINGS = {
    "m": ("metre", "meter", "metres", "meters"),
    "cm": ("centimetre", "centimeter", "centimetres", "centimeters"),
    "mm": ("millimetre", "millimeter", "millimetres", "millimeters"),
    "m3/s": ("m^3/s", "m³/s", "cumec", "cumecs"),
    "Cel": ("c", "°c", "℃", "celsius"),
    "degF": ("f", "°f", "℉", "fahrenheit"),
    "hPa": ("mbar", "millibar", "hectopascal"),
    "V": ("volt", "volts"),
    "kn": ("kt", "kts", "knot", "knots"),
    "%": ("percent", "％"),
    "deg": ("°", "degree", "degrees"),
    "s": ("sec", "secs", "second", "seconds"),
    "min": ("m", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"),
    "d": ("day", "days"),
    "B": ("byte", "bytes"),
}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def scale_of(quantity: str, unit: str) -> Scale:
    """Scale and offset that take a value in `unit` to the canonical unit of `quantity`.

    Raises KeyError where the quantity does not know the unit.
    """
    return QUANTITIES[quantity].accepts[unit]


def canonical(value: float, scale: Scale) -> float:
    """The value in canonical unit, freed of the noise of binary fractions (nine decimals)."""
    return round(value * scale[0] + scale[1], 9)


def split(text: str) -> tuple[float, str]:
    """'2.00 m' -> (2.0, 'm'). Raises ValueError where there is no finite number."""
    found = _NUMBER_UNIT.fullmatch(text)
    if not found or not math.isfinite(float(found[1])):
        raise ValueError(f"{text!r} is not a number with a unit")
    return float(found[1]), found[2]


def unknown(unit: str, accepts: Iterable[str], whose: str = "") -> str:
    """What to say of a unit that is not among the accepted ones: the nearest of them and the whole list."""
    symbols = list(accepts)
    low = unit.lower()
    near = [s for s in symbols if low == s.lower() or low in _SPELLINGS.get(s, ())]
    near += difflib.get_close_matches(unit, symbols, 1)
    hint = f". Did you mean '{near[0]}'?" if near else ""
    return f"unknown unit '{unit}'{hint} ({whose + ' accepts' if whose else 'one of'} {', '.join(symbols)})"


def parse(text: str, quantity: str) -> float:
    """'200 cm' as water_level -> 2.0. Raises ValueError that says what would be right."""
    return canonical(*_amount(text, quantity))


def parse_difference(text: str, quantity: str) -> float:
    """The same for a difference of two values, where a unit's offset has no place: '0.5 K' is 0.5 Cel more."""
    value, scale = _amount(text, quantity)
    return canonical(value, (scale[0], 0.0))


def _amount(text: str, quantity: str) -> tuple[float, Scale]:
    known = QUANTITIES[quantity]
    value, unit = split(text)
    if not unit:
        raise ValueError(f"{text} has no unit. Did you mean '{text} {known.unit}'?")
    if unit not in known.accepts:
        raise ValueError(unknown(unit, known.accepts, quantity))
    return value, known.accepts[unit]


def parse_rate(text: str, quantity: str) -> float:
    """'1.5 m/10min' as water_level -> 9.0, canonical unit an hour. Raises ValueError."""
    amount, slash, time = text.rpartition("/")
    if not slash or (time.strip() and not time.strip()[-1].isalpha()):
        raise ValueError(f"{text} is not a rate. Write a quantity and a time, like '{rate_example(quantity)}'")
    span = seconds(time if any(c.isdigit() for c in time) else f"1 {time}")
    if span <= 0:
        raise ValueError(f"{text} is over no time at all. Write it like '{rate_example(quantity)}'")
    return round(parse_difference(amount, quantity) * 3600 / span, 9)


def rate_example(quantity: str) -> str:
    return f"1.5 {QUANTITIES[quantity].unit}/10min"


def _parse(text: str, table: dict[str, float] | dict[str, int], example: str) -> float:
    value, unit = split(text)
    if not unit:
        raise ValueError(f"{text} has no unit. Did you mean '{text}{example}'?")
    if unit not in table:
        raise ValueError(unknown(unit, table))
    return value * table[unit]


def seconds(text: str) -> float:
    """'5min' -> 300.0. Raises ValueError."""
    return round(_parse(text, _SECONDS, "s"), 9)


def nbytes(text: str) -> int:
    """'64MB' -> 64000000. Raises ValueError."""
    return round(_parse(text, _BYTES, "MB" if split(text)[0] < 10_000 else "B"))


def in_words(duration_s: float) -> str:
    """3720 -> '1 h 2 min'; for people, so at most two parts."""
    left = max(0, round(duration_s))
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def in_bytes(size: float) -> str:
    """512000000 -> '512 MB'; decimal, as configuration writes it."""
    for name, unit in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"
