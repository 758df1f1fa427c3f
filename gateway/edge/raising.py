"""When a sensor is read more often: while the water is high or rises fast, and while nobody sees whether it still does.

A reading at a trigger's level or rate raises; three readings in a row at or below where to fall back end it, so that a
wave does not make it flap. A fault in between counts for nothing: a sensor that dies at the crest is asked at the
raised interval still, for as long as an answer would matter. A rate is taken over five minutes or one interval,
whichever is longer: between two readings ten seconds apart the last digit alone would be metres an hour.
"""

from __future__ import annotations

from collections import deque

from gateway import settings
from gateway.errors import FaultCode
from gateway.profiles import Decoded, Profile

CALM_READINGS = 3  # in a row, to end it
BLIND_S = 6 * 3600.0  # raised by nothing but faults no longer than this: they would fill the spool
RATE_S = 300.0  # a rate is over at least so long
KEPT_EVERY_S = 15.0  # a denser series is not kept denser for it


class Rate:
    """How fast one value changes, an hour, from the newest reading that is at least RATE_S old to the present one."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, float]] = deque()  # uptime ms and value, the oldest first

    def of(self, value: float, uptime_ms: int) -> float | None:
        """None while nothing is old enough to compare with, or everything too old."""
        while len(self._kept) > 1 and uptime_ms - self._kept[1][0] >= RATE_S * 1000:
            self._kept.popleft()
        if not self._kept or uptime_ms - self._kept[-1][0] >= KEPT_EVERY_S * 1000:
            self._kept.append((uptime_ms, value))
        at_ms, base = self._kept[0]
        age_s = (uptime_ms - at_ms) / 1000
        return round((value - base) * 3600 / age_s, 6) if RATE_S <= age_s <= BLIND_S else None


class Raising:
    """The state of one sensor. Pure: time is given."""

    def __init__(self, raised: settings.Raised | None, profile: Profile) -> None:
        self._triggers = raised.triggers if raised else ()
        self._spans = {value.name: value.span for value in profile.values}
        self._rates = [Rate() for _ in self._triggers]
        self._calm = 0
        self._seen_ms = 0  # when every trigger's value could last be read
        self.raised = False

    def advance(self, values: Decoded, uptime_ms: int) -> bool:
        """Whether the sensor is to be read at the raised interval from this reading on."""
        judged = zip(self._triggers, self._rates, strict=True)
        found = [self._judge(trigger, rate, values.get(trigger.value), uptime_ms) for trigger, rate in judged]
        if None not in found:
            self._seen_ms = uptime_ms
        if "high" in found:
            self.raised, self._calm, self._seen_ms = True, 0, uptime_ms
        elif self.raised:
            self._calm = self._calm + 1 if all(f == "calm" for f in found) else 0
            self.raised = self._calm < CALM_READINGS and uptime_ms - self._seen_ms <= BLIND_S * 1000
        return self.raised

    def _judge(
        self, trigger: settings.Trigger, rate: Rate, value: float | FaultCode | None, uptime_ms: int
    ) -> str | None:
        """`high`, `calm`, `between` the two; None where the value says nothing about the water."""
        if value is FaultCode.ABOVE_SPAN:
            return None if trigger.rate else "high"
        span = self._spans[trigger.value]
        if value is None or isinstance(value, FaultCode) or (span is not None and not span[0] <= value <= span[1]):
            return None
        measured = rate.of(value, uptime_ms) if trigger.rate else value
        if measured is None:
            return None
        sign = 1 if trigger.upwards else -1
        at, back = (trigger.at, trigger.back) if not trigger.rate else (sign * trigger.at, sign * trigger.back)
        if sign * (measured - at) >= 0:
            return "high"
        return "calm" if sign * (measured - back) <= 0 else "between"
