"""Quality tests as functions: what was measured and its limits -> flag. Pure; flags never delete anything. The
signature of a test is its configuration; what must be remembered between two observations is in `quality`.

Source: IOOS, Manual for Real-Time Quality Control of Water Level Data, version 2.1 (QARTOD), tests 1 (gap), 4 (gross
range), 5 (climatology), 6 (spike), 7 (rate of change), 8 (flat line), 9 (multi-variate), 10 (attenuated signal) and
11 (neighbour). Syntax and location (2, 3) are no tests here: what is malformed or of another's station never becomes
an observation. Where a test differs from the manual or from ioos-qc, ALARM.md says why.

Units: values canonical, times UTC milliseconds, durations seconds, rates canonical unit an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from gateway.model import Flag
from gateway.qualitylimits import Attenuated, FlatLine, MultiVariate, Neighbour, Season, Spike
from gateway.stations import Contract, Limits

Sample = tuple[int, float]  # (observed_ms, value)

# When several tests spoke, the later in this order wins. Missing stands lowest: it speaks of another slot.
FLAG_ORDER = (Flag.MISSING, Flag.NOT_EVALUATED, Flag.GOOD, Flag.SUSPECT, Flag.FAIL)
_PLACE = {flag: i for i, flag in enumerate(FLAG_ORDER)}

NOISE = 1e-9  # of binary fractions: 1.3 - 1.0 is not more than 0.3
SHORTEST_S = 180.0  # a rate is not reckoned over less: waves, and the front of a flood, come within a minute


def gross_range(value: float, limits: Limits) -> Flag:
    """Fail outside the sensor's physical span, suspect outside the operator's; bounds themselves are inside.
    Canonical unit. Not evaluated where neither span is known."""
    if limits.sensor and not limits.sensor[0] <= value <= limits.sensor[1]:
        return Flag.FAIL
    if limits.user and not limits.user[0] <= value <= limits.user[1]:
        return Flag.SUSPECT
    return Flag.GOOD if limits.sensor or limits.user else Flag.NOT_EVALUATED


def gap(previous_ms: int | None, at_ms: int, contract: Contract, before: float | None = None) -> Flag:
    """Missing where more time passed since the previous observation than its contract allows after the value `before`:
    interval and grace, above `raised_above` those of the raised interval, and of a crisis-management gauge at rest its
    heartbeat. Not evaluated for the first. From `now` it judges the channel, from an observation the slot before it."""
    if previous_ms is None:
        return Flag.NOT_EVALUATED
    return Flag.MISSING if at_ms - previous_ms > contract.fresh_for_s(before) * 1000 else Flag.GOOD


def climatology(value: float, at_ms: int, seasons: Sequence[Season]) -> Flag:
    """Suspect outside the span of the season that the time lies in, bounds inside; of several seasons the last that
    has the month. Not evaluated in a month that no season has."""
    month = datetime.fromtimestamp(at_ms / 1000, UTC).month
    flag = Flag.NOT_EVALUATED
    for season in seasons:
        within = season.first <= month <= season.last
        if season.first > season.last:  # over the turn of the year
            within = month >= season.first or month <= season.last
        if within:
            flag = Flag.GOOD if season.span[0] <= value <= season.span[1] else Flag.SUSPECT
    return flag


def spike(before: float, value: float, after: float, limits: Spike) -> Flag:
    """How far a value stands from the mean of its two neighbours: |v(n-1) - (v(n-2) + v(n)) / 2|. Only a value that
    stands out from *both*, on the same side, by half of that or more is a spike: neither the foot of a rise nor the
    value beside a spike is one."""
    up, down = value - before, value - after
    if up * down <= 0:
        return Flag.GOOD
    height, least = abs(up + down) / 2, min(abs(up), abs(down))
    if 2 * least < height:
        return Flag.GOOD
    if limits.fail is not None and height > limits.fail + NOISE:
        return Flag.FAIL
    return Flag.SUSPECT if height > limits.suspect + NOISE else Flag.GOOD


def rate_of_change(before: Sample, now: Sample, limits: Limits) -> Flag:
    """Suspect where the value rose or fell faster than the site can, from an earlier sample to this one; each way has
    its own limit. Over less than SHORTEST_S as much is allowed as in that time. Not evaluated without a limit."""
    change = now[1] - before[1]
    per_h = limits.rise_per_h if change >= 0 else limits.fall_per_h
    if per_h is None:
        return Flag.NOT_EVALUATED if limits.rise_per_h is None and limits.fall_per_h is None else Flag.GOOD
    allowed = per_h * max((now[0] - before[0]) / 3_600_000, SHORTEST_S / 3600)
    return Flag.SUSPECT if abs(change) > allowed + NOISE else Flag.GOOD


def flat_line(since_ms: int, at_ms: int, limits: FlatLine) -> Flag:
    """Suspect, then fail, where all values since then have stayed within the tolerance of each other for too long.
    `Run` in `quality` knows since when."""
    still_s = (at_ms - since_ms) / 1000
    if limits.fail_s is not None and still_s >= limits.fail_s:
        return Flag.FAIL
    return Flag.SUSPECT if limits.suspect_s is not None and still_s >= limits.suspect_s else Flag.GOOD


def attenuated(measure: float, limits: Attenuated) -> Flag:
    """Suspect, or fail, where range or standard deviation of a full window is too small."""
    if limits.fail is not None and measure < limits.fail:
        return Flag.FAIL
    return Flag.SUSPECT if measure < limits.suspect else Flag.GOOD


def multi_variate(
    value: float, rise_per_h: float | None, other: float | None, other_per_h: float | None, limits: MultiVariate
) -> Flag:
    """This channel against another of the same station: suspect where it rises and the other does not, or where the
    two differ too much. `other` and the rates are None where they are not known now; what is not known judges
    nothing."""
    flag = Flag.NOT_EVALUATED
    if limits.differs is not None and other is not None:
        flag = Flag.SUSPECT if abs(value - other) > limits.differs + NOISE else Flag.GOOD
    if limits.rise_per_h is not None and rise_per_h is not None and other_per_h is not None:
        alone = rise_per_h > limits.rise_per_h and other_per_h < (limits.least_per_h or 0.0)
        flag = Flag.SUSPECT if alone else overall((flag, Flag.GOOD))
    return flag


def neighbour(rise_per_h: float | None, others_per_h: Sequence[float], limits: Neighbour) -> Flag:
    """This station against those that its river or its rain connect it with: suspect where it rises alone, or stands
    still alone. Not evaluated where too few of them have fresh data."""
    if rise_per_h is None or len(others_per_h) < limits.reporting:
        return Flag.NOT_EVALUATED
    alone = rise_per_h > limits.rise_per_h and max(others_per_h) < limits.least_per_h
    stuck = abs(rise_per_h) < limits.still_per_h and min(others_per_h) > limits.rise_per_h
    return Flag.SUSPECT if alone or stuck else Flag.GOOD


def overall(flags: Iterable[Flag]) -> Flag:
    """The flag of an observation from the flags of the tests applied to it; not evaluated where none was."""
    return max(flags, key=_PLACE.__getitem__, default=Flag.NOT_EVALUATED)
