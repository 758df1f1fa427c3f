"""Quality tests as functions: (value, limits) -> flag. Pure; flags never delete anything.

Source: IOOS, Manual for Real-Time Quality Control of Water Level Data, version 2.1 (QARTOD), tests 1 (gap) and
4 (gross range). Difference: the manual fails (4) late data; here the missing slot is *missing* (9) and the
observation that ends the gap keeps the flag of its own value, because it was measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model import Flag
from gateway.stations import Contract, Limits

# When several tests spoke, the later in this order wins. Missing stands lowest: it speaks of another slot.
FLAG_ORDER = (Flag.MISSING, Flag.NOT_EVALUATED, Flag.GOOD, Flag.SUSPECT, Flag.FAIL)
_PLACE = {flag: i for i, flag in enumerate(FLAG_ORDER)}


def gross_range(value: float, limits: Limits) -> Flag:
    """Fail outside the sensor's physical span, suspect outside the operator's; bounds themselves are inside.
    Canonical unit. Not evaluated where neither span is known."""
    if limits.sensor and not limits.sensor[0] <= value <= limits.sensor[1]:
        return Flag.FAIL
    if limits.user and not limits.user[0] <= value <= limits.user[1]:
        return Flag.SUSPECT
    return Flag.GOOD if limits.sensor or limits.user else Flag.NOT_EVALUATED


def gap(previous_ms: int | None, at_ms: int, contract: Contract) -> Flag:
    """Missing where more time than interval and grace passed since the previous observation; not evaluated for the
    first. Looked at from `now` it judges the channel, from an observation the slot before it."""
    if previous_ms is None:
        return Flag.NOT_EVALUATED
    return Flag.MISSING if at_ms - previous_ms > contract.late_after_s * 1000 else Flag.GOOD


def overall(flags: Iterable[Flag]) -> Flag:
    """The flag of an observation from the flags of the tests applied to it; not evaluated where none was."""
    return max(flags, key=_PLACE.__getitem__, default=Flag.NOT_EVALUATED)
