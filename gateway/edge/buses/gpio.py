"""Contacts at the lines of a GPIO chip: pulses that are counted (a tipping bucket), levels that are read and
whose changes are told at once (float switches, electrodes).

Each sensor has its lines opened for itself, and a thread that takes the edges from the kernel's queue as they come: a
line that another program holds is one sensor's fault only, and a reading, however late, finds every edge counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway import settings
from gateway.edge import gpiolines
from gateway.edge.changes import Changes
from gateway.edge.gpiolines import Lines, Open
from gateway.edge.tips import Tips
from gateway.errors import FaultCode
from gateway.profiles import Asked, Profile

log = logging.getLogger(__name__)

TURN_S = 0.5  # of waiting for edges, so that a thread ends when it is to
AT_ONCE = 64  # rounds of taking edges from the queue before somebody else's turn
END_S = 5.0


class Gpio:
    """A bus. `read` not for several threads at once."""

    def __init__(self, bus: settings.Gpio, open_lines: Open = gpiolines.opened) -> None:
        self.where = bus.chip
        self._open = open_lines
        self._watched: dict[str, _Watched] = {}
        self._ring: Callable[[], None] = lambda: None

    def patience_s(self, profile: Profile) -> float:
        """A reading waits for nothing; opening lines takes moments."""
        return 5.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> Mapping[str, float] | FaultCode:
        """The count with what it is worth, or the level of each line; by the names of the profile's inputs."""
        watched = self._watched.get(sensor.name)
        if watched is None:
            watched = self._watched[sensor.name] = _Watched(self.where, sensor, profile.asked, self._open, self._ring)
        try:
            return watched.read()
        except OSError as e:
            watched.failed(e)
            return FaultCode.BUS_ERROR

    def on_change(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def changed(self) -> list[str]:
        """The sensors at which a contact has changed; to be read now, which may be more than once."""
        return [name for name, watched in self._watched.items() if watched.due()]

    def close(self) -> None:
        for watched in self._watched.values():
            watched.close()


class _Watched:
    """The lines of one sensor, and the thread that takes their edges."""

    def __init__(
        self, chip: str, sensor: settings.Sensor, asked: Asked, open_lines: Open, ring: Callable[[], None]
    ) -> None:
        self._chip, self._name, self._open, self._ring = chip, sensor.name, open_lines, ring
        self._wanted = [
            replace(line, debounce_s=asked.debounce_s if line.debounce_s is None else line.debounce_s)
            for line in sensor.lines
        ]
        self._tips = Tips(asked.between_s) if asked.gpio == "count" else None
        self._changes = Changes()
        self._lock = threading.Lock()  # over the lines and what is known of them
        self._lines: Lines | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._died: OSError | None = None
        self._lost = self._dropped = 0
        self._chatters, self._why = False, ""

    def read(self) -> dict[str, float]:
        """Raises OSError; the lines are opened anew at the next reading."""
        with self._lock:
            if self._died is not None:
                raise self._died
            lines = self._lines or self._begin()
            self._drain(lines)
            found = self._changes.read(lines.levels()) if self._tips is None else self._tips.read()
            self._tell_losses()
        if self.due():
            self._ring()  # for the change after this one
        return found

    def due(self) -> bool:
        with self._lock:
            return self._lines is not None and self._changes.due(time.monotonic())

    def _begin(self) -> Lines:
        lines = self._open(self._chip, self._wanted, self._tips is None)
        self._lines, self._stop, self._why = lines, threading.Event(), ""
        if self._tips is not None:
            self._tips.opened()
        else:
            self._changes.opened(lines.levels())
        self._thread = threading.Thread(
            target=self._watch, args=(lines, self._stop), name=f"lines {self._name}", daemon=True
        )
        self._thread.start()
        return lines

    def _watch(self, lines: Lines, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                if lines.wait(TURN_S):
                    with self._lock:
                        self._drain(lines)
                if self.due():
                    self._ring()
        except OSError as e:
            self._died = e

    def _drain(self, lines: Lines) -> None:
        """Take the edges that wait; a line that never rests leaves the rest to the next turn."""
        for _ in range(AT_ONCE):
            if not lines.wait(0.0):
                return
            for edge in lines.edges():
                if self._tips is not None:
                    self._tips.take(edge)
                else:
                    self._changes.take(edge, time.monotonic())

    def _tell_losses(self) -> None:
        lost, dropped = self._changes.lost, self._changes.dropped
        if self._tips is not None:
            lost = self._tips.lost
        if lost > self._lost:
            then = "how they stand was read anew" if self._tips is None else "its count begins again"
            log.warning("sensor %s: the kernel lost %d edges of its lines; %s", self._name, lost - self._lost, then)
        if dropped > self._dropped and not self._chatters:
            log.warning("sensor %s: a contact chatters; how it stands is told every few seconds", self._name)
        elif dropped == self._dropped and self._chatters:
            log.info("sensor %s: its contacts are calm; %d changes were not told since the start", self._name, dropped)
        self._chatters = dropped > self._dropped
        self._lost, self._dropped = lost, dropped

    def failed(self, why: OSError) -> None:
        """Say it once, and let go of the lines."""
        if str(why) != self._why:
            log.warning("sensor %s at %s: %s", self._name, self._chip, why)
        self.close()
        self._why, self._died = str(why), None

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(END_S)
        lines, self._lines, self._thread = self._lines, None, None
        if lines is not None:
            lines.close()
