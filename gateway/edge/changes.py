"""Levels of a sensor's lines, and which of their changes are told at once. Pure; times are given.

A change is a reading of its own, with the levels as they were then, so that a contact that was wet for a moment was
wet. A few are told as they come; a contact that chatters is told every few seconds how it stands, and what came and
went in between is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from gateway.edge.gpiolines import Edge
from gateway.edge.tips import NUMBERS

AT_ONCE = 4  # changes, one after the other
EVERY_S = 5.0  # and from then on


class Changes:
    """Of one sensor, for as long as the process lives."""

    def __init__(self) -> None:
        self._levels: dict[str, bool] = {}
        self._next: dict[str, int] = {}
        self._waiting: deque[dict[str, bool]] = deque()  # as it stood after each change that is to be told
        self._may, self._filled_s = float(AT_ONCE), 0.0
        # A change waits until it may be told; edges were lost, so the levels are to be read anew; that is due now.
        self._behind = self._unsure = self._anew = False
        self.dropped = self.lost = 0  # changes never told, and edges that the kernel threw away

    def opened(self, levels: Mapping[str, bool]) -> None:
        """What stood before is known no more."""
        self._levels, self._next = dict(levels), dict.fromkeys(levels, 1)
        self._waiting.clear()
        self._behind = self._unsure = self._anew = False

    def take(self, edge: Edge, now_s: float) -> None:
        missing = (edge.number - self._next[edge.input]) % NUMBERS
        if missing >= NUMBERS // 2:
            return  # an edge that was taken already
        self._next[edge.input] = (edge.number + 1) % NUMBERS
        self.lost += missing
        self._unsure = self._unsure or missing > 0
        if self._levels[edge.input] == edge.active:
            return
        self._levels[edge.input] = edge.active
        self.dropped += self._behind  # the one before this is never told
        self._behind = not self._take_one(now_s)
        if not self._behind:
            self._waiting.append(dict(self._levels))
            self._anew = self._anew and self._unsure  # else it is told by this one

    def due(self, now_s: float) -> bool:
        """Whether there is something to read now, apart from any interval."""
        if (self._behind or self._unsure) and not self._anew:
            self._anew = self._take_one(now_s)
        return bool(self._waiting) or self._anew

    def read(self, levels: Mapping[str, bool]) -> dict[str, float]:
        """The oldest change that was not told; without one how the lines stand."""
        if self._waiting:
            found: Mapping[str, bool] = self._waiting.popleft()
        else:
            found = self._levels = dict(levels)
            self._behind = self._unsure = self._anew = False
        said = {name: float(active) for name, active in found.items()}
        return said | {"dropped": float(self.dropped), "lost": float(self.lost)}

    def _take_one(self, now_s: float) -> bool:
        self._may = min(float(AT_ONCE), self._may + max(0.0, now_s - self._filled_s) / EVERY_S)
        self._filled_s = now_s
        if self._may < 1.0 or len(self._waiting) >= AT_ONCE:
            return False
        self._may -= 1.0
        return True
