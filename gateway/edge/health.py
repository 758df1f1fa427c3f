"""What a device says of itself, as ordinary channels under its own name. What a machine cannot tell is left out."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.clock import Clock
from gateway.edge.sampling import Take
from gateway.edge.spool import Spool
from gateway.edge.stamping import Stamper
from gateway.model import ClockState, Reading
from gateway.ranges import RangeSet
from gateway.stations import HEALTH_CHANNELS
from gateway.units import QUANTITIES

FIRST_S = 60.0  # after the start, when the first receipt has said what is settled
PATIENCE_S = 120.0  # a card asked for its depth may stall
SOURCE = "health"  # whose times rise strictly
_CPU = ("cpu", "soc", "pkg")  # in the names of thermal zones: cpu-thermal, soc_thermal, x86_pkg_temp


class Health:
    """`thermal` is where the kernel shows its thermal zones."""

    def __init__(
        self, device: str, spool: Spool, card: Path, clock: Clock, thermal: Path = Path("/sys/class/thermal")
    ) -> None:
        self._device, self._spool, self._card = device, spool, card
        self._clock, self._thermal = clock, thermal

    def run(
        self, every_s: float, stamper: Stamper, take: Take, stop: threading.Event, beat: Callable[[float], None]
    ) -> None:
        """One sample each `every_s`, until stopped."""
        step = round(every_s * 1000)
        due = self._clock.uptime_ms() + min(step, round(FIRST_S * 1000))
        while not stop.is_set():
            beat(max(0, due - self._clock.uptime_ms()) / 1000 + PATIENCE_S)
            if not self._clock.wait_uptime(due, stop):
                break
            beat(PATIENCE_S)
            late = self._clock.uptime_ms() - due
            take(stamper.stamp(SOURCE), self.readings(), False)
            due += step * max(1, late // step + 1)

    def readings(self) -> Sequence[Reading]:
        found = {
            "spool_depth": self._depth(),
            "oldest_unsettled": self._oldest(),
            "disk_free": self._free(),
            "cpu_temperature": self._temperature(),
            "clock_offset": self._clock.offset_s(),
            "uptime": self._clock.uptime_ms() / 1000,
        }
        return [
            Reading(self._device, name, QUANTITIES[HEALTH_CHANNELS[name]].unit, value)
            for name, value in found.items()
            if value is not None
        ]

    def _depth(self) -> float | None:
        """Samples that the bridge has not settled."""
        try:
            return float(self._spool.depth()[0])
        except sqlite3.Error:  # a card that refuses is told of where it is written
            return None

    def _oldest(self) -> float | None:
        """Age of the oldest sample that the bridge has not settled, 0 without one; None where nobody can tell it."""
        now_ms, set_ = self._clock.now_ms(), self._clock.sync_state() is not ClockState.UNSYNCED
        try:
            held = (s for name in self._spool.logs() for s in self._spool.unsettled(name, 1, RangeSet()))
            oldest = next(held, None)
        except sqlite3.Error:
            return None
        if oldest is None:
            return 0.0
        if oldest.moment is None:
            return max(0.0, (now_ms - oldest.observed_ms) / 1000) if set_ else None
        same_boot = oldest.moment.boot == self._clock.boot
        return (self._clock.uptime_ms() - oldest.moment.uptime_ms) / 1000 if same_boot else None

    def _free(self) -> float | None:
        try:
            disk = os.statvfs(self._card)
        except OSError:
            return None
        return float(disk.f_bavail * disk.f_frsize)

    def _temperature(self) -> float | None:
        """Of the hottest zone that is the processor's."""
        found = []
        for zone in sorted(self._thermal.glob("thermal_zone*")):
            try:
                if any(word in (zone / "type").read_text().lower() for word in _CPU):
                    found.append(int((zone / "temp").read_text()) / 1000)
            except (OSError, ValueError):
                continue
        return max(found, default=None)
