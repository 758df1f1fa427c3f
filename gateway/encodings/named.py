"""Numbers that the bus gives by name: files of a kernel driver, a count of pulses, a contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Named = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class At:
    """number = raw[name] * raw[times] * factor; `times` names the driver's own scale, where there is one."""

    name: str = ""
    times: str = ""
    factor: float = 1.0


def opened(frame: object, raw: Any) -> Named | None:
    return raw if isinstance(raw, Mapping) else None


def number(at: At, named: Named) -> float | None:
    try:
        times = named[at.times] if at.times else 1.0
        return round(float(named[at.name]) * float(times) * at.factor, 9)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def assembled(frame: object, found: Iterable[tuple[At, float]]) -> dict[str, float]:
    """The driver's scales are 1."""
    named: dict[str, float] = {}
    for at, value in found:
        named[at.name] = value / at.factor
        if at.times:
            named[at.times] = 1.0
    return named
