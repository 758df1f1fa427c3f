"""One sample of several readings: their median, so that a wave or a stray echo counts for nothing. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median_low

from gateway.errors import FaultCode
from gateway.profiles import Decoded


def middle(readings: Sequence[Decoded], of: int) -> Decoded:
    """For each value the median of those that are values, where they are at least half of the `of` readings that were
    asked for; else the fault that was met most often. An even number gives the lower of the two in the middle, so that
    a sample is always something that the sensor said."""
    return {name: _middle([reading[name] for reading in readings], of) for name in readings[0]}


def _middle(found: Sequence[float | FaultCode], of: int) -> float | FaultCode:
    values = [x for x in found if not isinstance(x, FaultCode)]
    if 2 * len(values) >= of:
        return median_low(values)
    return Counter(x for x in found if isinstance(x, FaultCode)).most_common(1)[0][0]
