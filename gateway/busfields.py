"""Words by which sensors are known to the kernel, where it has their bus. Each validator raises ValueError with what
would be right."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from gateway.fields import show, text

FIRST, LAST = 0x03, 0x77  # of I2C; the rest of seven bits is reserved (UM10204, section 3.1.12; i2cdetect's range)


def pattern(value: Any) -> str:
    """Folders under the root of a tree of the kernel, with `*` for what changes."""
    word = text(value)
    hint = word.removeprefix("/sys").strip("/")
    if word != hint:
        raise ValueError(f"{show(word)} does not begin under /sys. Did you mean '{hint or 'bus/iio/devices/*'}'?")
    if "**" in word or set(word.split("/")) & {"", ".", ".."}:
        raise ValueError(f"{show(word)} are no folders under /sys. Write them like bus/iio/devices/iio:device*")
    return word


def device(value: Any) -> str:
    """By which word a device of the kernel is known that stays the same: its name, label, or a part of its place."""
    word = text(value)
    if "/" in word:
        last = word.rstrip("/").rpartition("/")[2]
        raise ValueError(f"{show(word)} is a path, and a device is known by one part of it. Did you mean '{last}'?")
    if re.fullmatch(r"(iio:device|hwmon)[0-9]*", word):
        raise ValueError(
            f"{show(word)} changes with every start. Write what stays: its name (bme280) or its place (1-0076)"
        )
    return word


def i2c_address(value: Any) -> str:
    """At the sensor in edge.yaml: '0x44', as tools show it with 0x before it."""
    word = text(value)
    if not re.fullmatch(r"0x[0-9a-fA-F]{2}", word):
        hint = f"Did you mean '0x{word}'?" if re.fullmatch(r"[0-7][0-9a-fA-F]", word) else "Write it like '0x44'"
        raise ValueError(f"{show(word)} is no address of I2C in hexadecimal. {hint}")
    return _i2c(int(word, 16))


def _i2c_number(value: Any) -> str:
    """In a profile: 0x44, which YAML reads as a number."""
    if type(value) is not int:
        raise ValueError(f"{show(value)} is no number. Write addresses like [0x44, 0x45]")
    return _i2c(value)


def _i2c(number: int) -> str:
    if not FIRST <= number <= LAST:
        raise ValueError(f"0x{number:02x} is reserved. Addresses of I2C are 0x{FIRST:02x} to 0x{LAST:02x}")
    return f"0x{number:02x}"


I2cAddress = Annotated[
    str, PlainValidator(_i2c_number), WithJsonSchema({"type": "integer", "minimum": FIRST, "maximum": LAST})
]
Pattern = Annotated[str, PlainValidator(pattern), WithJsonSchema({"type": "string", "pattern": "^[^/]"})]
