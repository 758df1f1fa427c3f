"""What was done to the sensor of a channel, with its dates: calibrations and replacements. Pure.

A calibration holds from its time on, by the time at which a sample was observed; before the first one the readings
stand as they are. The raw reading is stored beside the observation, so no calibration loses anything. A replacement
parts the series: nothing is compared across it, for another sensor stands elsewhere by a little, and counts from zero.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """From `from_ms` (included) until the next one: calibrated = reading * scale + offset, in canonical unit. `by`
    whom and on what `basis` (a levelling, a certificate) it was found."""

    from_ms: int
    scale: float
    offset: float
    by: str
    basis: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """The sensor `old` was replaced by `new` (serial numbers). `checked`: somebody compared the new one's zero, so that
    its levels are those of the old one; else they are no more trusted than after a gap of hours."""

    at_ms: int
    old: str
    new: str
    why: str
    checked: bool


@dataclass(frozen=True, slots=True)
class Equipment:
    """Of one channel, each list in the order of time."""

    calibrations: tuple[Calibration, ...] = ()
    replaced: tuple[Replacement, ...] = ()

    def calibration(self, at_ms: int | None) -> Calibration | None:
        """The one in force at a time; None for the newest."""
        known = self.calibrations
        i = len(known) if at_ms is None else bisect_right(known, at_ms, key=lambda x: x.from_ms)
        return known[i - 1] if i else None

    def replacements(self, before_ms: int, at_ms: int) -> tuple[Replacement, ...]:
        """Those between two observations, in whatever order these stand: after the earlier one, up to the later."""
        first, last = sorted((before_ms, at_ms))
        return tuple(x for x in self.replaced if first < x.at_ms <= last)

    def parted(self, before_ms: int, at_ms: int) -> bool:
        """Whether two observations cannot be compared step by step: another sensor, or another calibration."""
        if not self.calibrations and not self.replaced:
            return False
        other = self.calibration(before_ms) is not self.calibration(at_ms)
        return other or bool(self.replacements(before_ms, at_ms))

    def events(self, until_ms: int) -> Iterator[tuple[int, Mapping[str, object]]]:
        """(when, plain values) of everything that has come into force."""
        for c in self.calibrations:
            if c.from_ms <= until_ms:
                yield (
                    c.from_ms,
                    {"event": "calibrated", "scale": c.scale, "offset": c.offset, "basis": c.basis, "by": c.by},
                )
        for r in self.replaced:
            if r.at_ms <= until_ms:
                facts = {"old": r.old, "new": r.new, "why": r.why, "zero_checked": r.checked}
                yield r.at_ms, {"event": "replaced", **facts}


AS_IT_WAS = Equipment()
