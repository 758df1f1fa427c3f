"""Counts the pulses of one line, such as the tips of a rain gauge's bucket. Pure.

The count begins again whenever edges may have passed that nobody counted: when the lines are opened, and when the
kernel's queue ran over, which shows as a gap in the numbers of the edges. The reading that follows says so (`began`),
and from there on the count is of what was seen since the reading before it. So no reading loses a tip that was seen or
counts one twice, and none that may have been missed stays unsaid.
"""

from __future__ import annotations

from gateway.edge.gpiolines import Edge

NUMBERS = 2**32  # the kernel's numbers go round


class Tips:
    """Of one line, for as long as the process lives."""

    def __init__(self, between_s: float) -> None:
        """`between_s`: what comes sooner after a tip that counted is its bounce."""
        self._between_ns = round(between_s * 1e9)
        self._seen = self._told = self._base = 0  # tips; those of the newest reading; those before the count began
        self._next, self._last_ns, self._began = 1, -1, True
        self.lost = self.bounced = 0  # edges that the kernel threw away, and that were no tips; since the process began

    def opened(self) -> None:
        """The line was opened: what passed before, nobody saw."""
        self._next, self._last_ns, self._began = 1, -1, True

    def take(self, edge: Edge) -> None:
        missing = (edge.number - self._next) % NUMBERS
        if missing >= NUMBERS // 2:
            return  # an edge that was taken already
        self._next = (edge.number + 1) % NUMBERS
        if missing:
            self.lost += missing
            self._began = True
        if not edge.active:
            return
        if self._last_ns >= 0 and 0 <= edge.at_ns - self._last_ns < self._between_ns:
            self.bounced += 1
            return
        self._last_ns = edge.at_ns
        self._seen += 1

    def read(self) -> dict[str, float]:
        """The count, and whether it began again: since then, it is of what was seen since the reading before."""
        began, self._began = self._began, False
        if began:
            self._base = self._told
        self._told = self._seen
        return {
            "count": float(self._seen - self._base),
            "began": float(began),
            "lost": float(self.lost),
            "bounced": float(self.bounced),
        }
