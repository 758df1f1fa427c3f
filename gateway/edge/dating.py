"""In which time a sample travels whose clock was not set when it was read (wire contract, `clk`).

Once the clock is set, its true time follows from the time since it was read; it is frozen then, on the card, so that
a later boot still has it. Until then it waits, up to a minute; after that, and at once where it is of the raised
interval, it carries its age, and the bridge dates it. Of an earlier boot no age is known: its own clock's time, marked
as not set, is all there is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from gateway.edge.spool import Spool
from gateway.model import ClockState, Moment, Sample
from gateway.ranges import RangeSet

WAIT_S = 60.0
AT_ONCE = 2000  # rows dated in one go, when the clock was set
LOOK_EVERY_S = 1.0
LOOK_FOR_S = 120.0  # after the clock was set: samples that were read before may still be on their way to the card


class Dating(Protocol):
    """What the uplink needs of the device's clock."""

    @property
    def boot(self) -> str:
        """Which counting of `uptime_ms` this is."""
        ...

    def uptime_ms(self) -> int: ...

    def now_ms(self) -> int: ...

    def sync_state(self) -> ClockState: ...


class Dates:
    """`clock` None: nothing is ever undated."""

    def __init__(self, clock: Dating | None, spool: Spool) -> None:
        self._clock, self._spool = clock, spool
        self._look_at, self._look_until = 0.0, 0.0
        self._was_set = False

    def here(self) -> Moment | None:
        """This boot and how long it has lasted: samples of it without a date are encoded with their age."""
        return Moment(self._clock.boot, self._clock.uptime_ms()) if self._clock else None

    def is_set(self) -> bool:
        return self._clock is not None and self._clock.sync_state() is not ClockState.UNSYNCED

    def relative(self, sample: Sample) -> bool:
        """Whether it would be sent with its age now."""
        return sample.moment is not None and self._clock is not None and sample.moment.boot == self._clock.boot

    def dated(self, sample: Sample) -> Sample:
        """With its true time where that is known now; then it is frozen."""
        if sample.moment is None or self._clock is None or not self.relative(sample):
            return sample
        # In this order: a clock that is set between the questions is right already, and only called not set.
        clk = self._clock.sync_state()
        if clk is ClockState.UNSYNCED:
            return sample
        observed_ms = self._clock.now_ms() - (self._clock.uptime_ms() - sample.moment.uptime_ms)
        self._spool.date(sample.log, sample.seq, observed_ms, clk)
        return replace(sample, observed_ms=observed_ms, clk=clk, moment=None)

    def waits_s(self, sample: Sample) -> float:
        """For how long it should still wait for the clock to be set; 0: it may go."""
        if sample.moment is None or self._clock is None or sample.raised or not self.relative(sample):
            return 0.0
        return max(0.0, WAIT_S - (self._clock.uptime_ms() - sample.moment.uptime_ms) / 1000)

    def freeze(self, now: float) -> None:
        """After the clock was set: date what the card holds of this boot, before another boot makes it undatable."""
        if self._clock is None or now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        was_set, self._was_set = self._was_set, self.is_set()
        if not self._was_set:
            return
        if not was_set:
            self._look_until = now + LOOK_FOR_S
        if now > self._look_until:
            return
        for name in self._spool.logs():
            for sample in self._spool.undated(name, AT_ONCE, RangeSet(), self._clock.boot):
                self.dated(sample)
                self._look_until = now + LOOK_FOR_S
