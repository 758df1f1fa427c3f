"""Words by which sensors are known to the kernel, where it has their bus. Each validator raises ValueError with what
would be right."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from gateway.fields import show, text


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


Pattern = Annotated[str, PlainValidator(pattern), WithJsonSchema({"type": "string", "pattern": "^[^/]"})]
