"""What was ordered from afar of the sensors of a device: a reading now, another interval for a time. The thread of a
bus asks here before it waits, and is woken."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from gateway.model import Reading


class Orders:
    """Of one device. Times in ms of uptime."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: set[str] = set()
        self._found: dict[str, Sequence[Reading]] = {}
        self._intervals: dict[str, tuple[float, int]] = {}
        self._bells: list[threading.Event] = []

    def bell(self) -> threading.Event:
        """Rings when there is something to ask for; one for each bus."""
        self._bells.append(threading.Event())
        return self._bells[-1]

    def ring(self) -> None:
        for bell in self._bells:
            bell.set()

    def sample(self, sensors: Collection[str]) -> None:
        with self._lock:
            self._now |= set(sensors)
            for name in sensors:
                self._found.pop(name, None)
        self.ring()

    def due(self, sensors: Collection[str]) -> list[str]:
        """Those that are to be read now."""
        with self._lock:
            return [name for name in sensors if name in self._now]

    def sampled(self, sensor: str, readings: Sequence[Reading]) -> None:
        with self._lock:
            if sensor in self._now:
                self._now.discard(sensor)
                self._found[sensor] = readings

    def found(self, sensors: Collection[str]) -> dict[str, Sequence[Reading]]:
        """What was read of them since it was ordered."""
        with self._lock:
            return {name: self._found[name] for name in sensors if name in self._found}

    def read_every(self, sensors: Collection[str], interval_s: float, until_ms: int) -> None:
        """Until then; an interval that is raised by the water itself, and shorter, still goes before it."""
        with self._lock:
            self._intervals |= dict.fromkeys(sensors, (interval_s, until_ms))
            self._now |= set(sensors)  # the new interval begins with a reading
        self.ring()

    def interval_s(self, sensor: str, own_s: float, raised: bool, now_ms: int) -> float:
        """How long until the next reading: as ordered, while that holds."""
        with self._lock:
            ordered = self._intervals.get(sensor)
            if ordered is None:
                return own_s
            if now_ms >= ordered[1]:
                del self._intervals[sensor]
                return own_s
            return min(own_s, ordered[0]) if raised else ordered[0]
