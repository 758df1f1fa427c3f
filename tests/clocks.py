"""A clock in the hands of a test: uptime passes when somebody waits for it, and the wall clock is set as told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model import ClockState
from tests.world import T0

BOOT = "5c2a7f"
S = 1000
HOUR, YEAR = 3600 * S, 365 * 86400 * S


@dataclass(frozen=True, slots=True)
class Set:
    """At this uptime the wall clock is moved by so many milliseconds, and is in this state from then on."""

    at_ms: int
    by_ms: int
    state: ClockState = ClockState.SYNCED


class SetClock:
    """Begins at an uptime of a minute. `true_ms` is what a clock that nobody sets wrongly would show. Waiting costs no
    real time; after `end_ms` of uptime every wait ends with a stop."""

    def __init__(
        self, sets: Sequence[Set] = (), ahead_ms: int = 0, state: ClockState = ClockState.SYNCED, end_ms: int = HOUR
    ) -> None:
        self.boot = BOOT
        self._sets, self._ahead_ms, self._state, self._end_ms = sets, ahead_ms, state, end_ms
        self.up_ms = 60 * S
        self.lock = threading.Lock()

    def true_ms(self) -> int:
        return T0 + self.up_ms

    def pass_(self, ms: int) -> None:
        with self.lock:
            self.up_ms += ms

    def now_ms(self) -> int:
        return self.true_ms() + self._ahead_ms + sum(s.by_ms for s in self._sets if s.at_ms <= self.up_ms)

    def uptime_ms(self) -> int:
        return self.up_ms

    def wait_uptime(self, at_ms: int, stop: threading.Event) -> bool:
        if at_ms > self._end_ms or stop.is_set():
            stop.set()
            return False
        with self.lock:
            self.up_ms = max(self.up_ms, at_ms)
        return True

    def sync_state(self) -> ClockState:
        return next((s.state for s in reversed(self._sets) if s.at_ms <= self.up_ms), self._state)

    def offset_s(self) -> float | None:
        return 0.25 if self.sync_state() is ClockState.SYNCED else None
