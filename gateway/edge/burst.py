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
    a sample is always something that the sensor said. A value that some readings leave out is that of the others."""
    names = dict.fromkeys(name for reading in readings for name in reading)
    return {name: _middle([reading[name] for reading in readings if name in reading], of) for name in names}


def _middle(found: Sequence[float | FaultCode], of: int) -> float | FaultCode:
    values = [x for x in found if not isinstance(x, FaultCode)]
    faults = Counter(x for x in found if isinstance(x, FaultCode))
    if not faults or 2 * len(values) >= of:
        return median_low(values)
    return faults.most_common(1)[0][0]
