"""When a sample was read: true as far as the device's clock is, and rising strictly within a channel, so that a series
has one value a millisecond.

The clock may be set at any moment. Forwards is no question. A small step backwards, as time servers make, is bridged:
a millisecond a sample, until the clock has come up again. A larger one is a correction: before it the clock was wrong,
and to go on from there would make every later sample wrong too, for as long as the step was. So times begin anew at
what the clock shows now; what was sent stands as it is.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from gateway import units
from gateway.clock import Clock
from gateway.model import ClockState, Moment

log = logging.getLogger(__name__)

BRIDGED_MS = 5000  # steps backwards up to here are no correction
TOLD_MS = 1000  # of the wall clock against uptime; less is how time servers steer


@dataclass(frozen=True, slots=True)
class Stamp:
    """`moment` stands where the clock was not set: the time is then only what it showed."""

    observed_ms: int
    clk: ClockState
    moment: Moment | None = None


class Stamper:
    """One for a device; any thread may ask."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_ms: dict[str, int] = {}
        self._ahead_ms: int | None = None  # wall clock minus uptime
        self._was: ClockState | None = None

    def stamp(self, source: str) -> Stamp:
        """The time of a reading that begins now. `source` is what feeds a channel: a sensor, or the device itself."""
        with self._lock:
            # In this order: a clock set between the two questions is right already, and only called not set.
            clk = self._clock.sync_state()
            now, uptime = self._clock.now_ms(), self._clock.uptime_ms()
            self._tell(clk, now - uptime)
            last = self._last_ms.get(source)
            at = now if last is None or now > last or last - now > BRIDGED_MS else last + 1
            self._last_ms[source] = at
            unset = clk is ClockState.UNSYNCED
            return Stamp(at, clk, Moment(self._clock.boot, uptime) if unset else None)

    def _tell(self, clk: ClockState, ahead_ms: int) -> None:
        step = 0 if self._ahead_ms is None else ahead_ms - self._ahead_ms
        if abs(step) >= TOLD_MS:
            way = "forwards" if step > 0 else "backwards"
            log.warning("the device's clock was set %s by %s", way, units.in_words(abs(step) / 1000))
        self._ahead_ms = ahead_ms
        if clk is self._was:
            return
        if clk is ClockState.UNSYNCED:
            log.warning(
                "the device's clock is not set. Each sample waits a minute for it, then the bridge dates it and it "
                "alarms as unconfirmed. Mend time synchronisation, or say 'clock: {trust: always}' in edge.yaml "
                "if it is right"
            )
        elif self._was is ClockState.UNSYNCED:
            log.info("the device's clock is set now (%s)", clk)
        self._was = clk
