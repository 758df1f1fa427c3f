"""What the quality tests of a channel go by: which are applied, and with which limits. Canonical units, seconds.

A test that is None is not applied. `defaults` is what holds where nobody configured anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

HOUR_S = 3600.0
BUCKETS = 12  # that a window of the attenuated signal is divided into

# From memory, to be verified: the Toga (Kobe) rose 1.34 m in ten minutes on 2008-07-28. A small gauge in a storm fell
# 2.87 m in 70 minutes (2.46 m/h), which was its fault. Steeper places state their own.
RISE_PER_H = 9.0  # 1.5 m in ten minutes
FALL_PER_H = 2.4  # 0.4 m in ten minutes


@dataclass(frozen=True, slots=True)
class Season:
    """Months in which values are expected within `span`: `first` to `last`, 1 to 12, both included; 11 to 3 is winter.
    Months of UTC."""

    first: int
    last: int
    span: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Spike:
    """How far a value may stand out from both of its neighbours: beyond `suspect` 3, beyond `fail` 4."""

    suspect: float
    fail: float | None = None


@dataclass(frozen=True, slots=True)
class FlatLine:
    """For how long values may stay within `tolerance` of each other: from `suspect_s` on 3, from `fail_s` on 4."""

    tolerance: float
    suspect_s: float | None
    fail_s: float | None = None


@dataclass(frozen=True, slots=True)
class Attenuated:
    """Range or standard deviation of what was measured in `window_s`: below `suspect` 3, below `fail` 4."""

    measure: Literal["range", "std"]
    window_s: float
    suspect: float
    fail: float | None = None


@dataclass(frozen=True, slots=True)
class MultiVariate:
    """Another channel of the station, and what this one may not do alone: rise by more than `rise_per_h` while the
    other rises by less than `least_per_h`; or differ from it by more than `differs`. Either may be None."""

    channel: str
    rise_per_h: float | None = None
    least_per_h: float | None = None
    differs: float | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A rise above `rise_per_h` is suspect while none of the neighbours rises by `least_per_h`; and so is to stand
    still (less than `still_per_h` either way) while all of them rise above `rise_per_h`. At least `reporting` of them
    must have fresh data."""

    rise_per_h: float
    least_per_h: float
    still_per_h: float = 0.0
    reporting: int = 2


@dataclass(frozen=True, slots=True)
class QualityTests:
    """The quality tests of one channel beside gap, gross range and rate of change, whose limits stand in its contract
    and limits. Below `dry` the flat line does not speak. `kept`: other channels are judged by this one's course."""

    climatology: tuple[Season, ...] = ()
    spike: Spike | None = None
    flat_line: FlatLine | None = None
    attenuated: Attenuated | None = None
    multi_variate: tuple[MultiVariate, ...] = ()
    neighbour: Neighbour | None = None
    dry: float | None = None
    kept: bool = False

    def without(self, test: str) -> QualityTests:
        """The same with one test not applied, by its name as in `Observation.tests`."""
        return replace(
            self,
            climatology=() if test == "climatology" else self.climatology,
            spike=None if test == "spike" else self.spike,
            flat_line=None if test == "flat_line" else self.flat_line,
            attenuated=None if test == "attenuated" else self.attenuated,
            multi_variate=() if test == "multi_variate" else self.multi_variate,
            neighbour=None if test == "neighbour" else self.neighbour,
        )


NO_TESTS = QualityTests()
_LEVEL = QualityTests(
    spike=Spike(0.30, 1.00),
    flat_line=FlatLine(0.0, 3 * HOUR_S, 6 * HOUR_S),
    neighbour=Neighbour(1.0, 0.03, 0.01),
)


def defaults(quantity: str) -> QualityTests:
    """What is applied to a channel of this quantity without any configuration. None of it makes a true rise suspect:
    the spike test speaks of values that fell back again, the flat line of a value that does not change at all."""
    return _LEVEL if quantity == "water_level" else NO_TESTS
