"""When a sensor is read more often: while the water is high, and while nobody can see whether it still is.

A reading at a trigger's level raises; three readings in a row at or below the level to fall back to end it, so that a
wave does not make it flap. A fault in between counts for nothing: a sensor that dies at the crest is asked at the
raised interval still, for as long as an answer would matter.
"""

from __future__ import annotations

from gateway import settings
from gateway.errors import FaultCode
from gateway.profiles import Decoded, Profile

CALM_READINGS = 3  # in a row, to end it
BLIND_S = 6 * 3600.0  # raised by nothing but faults no longer than this: they would fill the spool


class Raising:
    """The state of one sensor. Pure: time is given."""

    def __init__(self, raised: settings.Raised | None, profile: Profile) -> None:
        self._triggers = raised.triggers if raised else ()
        self._spans = {value.name: value.span for value in profile.values}
        self._calm = 0
        self._seen_ms = 0  # when every trigger's value could last be read
        self.raised = False

    def advance(self, values: Decoded, uptime_ms: int) -> bool:
        """Whether the sensor is to be read at the raised interval from this reading on."""
        found = [self._judge(trigger, values.get(trigger.value)) for trigger in self._triggers]
        if None not in found:
            self._seen_ms = uptime_ms
        if "high" in found:
            self.raised, self._calm, self._seen_ms = True, 0, uptime_ms
        elif self.raised:
            self._calm = self._calm + 1 if all(f == "calm" for f in found) else 0
            self.raised = self._calm < CALM_READINGS and uptime_ms - self._seen_ms <= BLIND_S * 1000
        return self.raised

    def _judge(self, trigger: settings.Trigger, value: float | FaultCode | None) -> str | None:
        """`high`, `calm`, `between` the two levels; None where the value says nothing about the water."""
        if value is FaultCode.ABOVE_SPAN:
            return "high"
        span = self._spans[trigger.value]
        if value is None or isinstance(value, FaultCode) or (span is not None and not span[0] <= value <= span[1]):
            return None
        sign = 1 if trigger.upwards else -1
        if sign * (value - trigger.at) >= 0:
            return "high"
        return "calm" if sign * (value - trigger.back) <= 0 else "between"
