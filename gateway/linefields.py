"""The kinds of value that say how a line of a GPIO chip is wired."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator

from gateway import fields as f

LONGEST_S = 10.0


def _short(seconds: float) -> float:
    """A float switch in waves may need a second; no contact more than ten."""
    if seconds > LONGEST_S:
        raise ValueError(f"{seconds:g} s is longer than any contact bounces. Write at most '{LONGEST_S:g}s'")
    return seconds


def line(value: Any) -> str:
    """A line of a GPIO chip: its number, or its name in the device tree."""
    word = f.text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    if word.startswith("-") or (word.isdecimal() and int(word) > 1023):
        raise ValueError(f"{f.show(value)} is no line of a chip. Write its number there, or its name, like GPIO17")
    return word


Debounce = Annotated[f.Wait, AfterValidator(_short)]
Line = Annotated[str, PlainValidator(line)]
