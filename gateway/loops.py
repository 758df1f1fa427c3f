"""Threads that cannot die unseen, and whether every loop still comes round."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Loop(threading.Thread):
    """A thread of a service. What ends it unexpectedly is kept for the one that waits, so that what is in memory can
    still be committed before the process ends for it."""

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._body = body
        self.died: BaseException | None = None

    def run(self) -> None:
        try:
            self._body()
        except BaseException as e:  # noqa: BLE001 - handed to the thread that waits, which raises it
            self.died = e


class Pulse:
    """Each loop says on every round by when it comes round again; one that did not is stuck. Real seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._by: dict[str, float] = {}

    def beat(self, loop: str, within_s: float) -> None:
        self._by[loop] = self._now() + within_s

    def stuck(self) -> list[tuple[str, float]]:
        """(loop, for how many seconds it is overdue) of each that did not come round as it said."""
        now = self._now()
        return sorted((loop, now - by) for loop, by in list(self._by.items()) if by < now)

    def loops(self) -> list[str]:
        """The loops that have spoken."""
        return sorted(self._by)
