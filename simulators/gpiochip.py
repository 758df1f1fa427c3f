"""A simulated GPIO chip at the seam to the kernel's lines: levels are set from outside, and it debounces, dates,
numbers and queues edges as the kernel does (userspace-api/gpio): an edge counts once its level has stood for the
debounce period, and a queue that is full loses its oldest. It can be taken away, a line can be another program's, stick
or chatter. It has an edge of its own, so it can share no mistake with what counts them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from errno import EBUSY, ENODEV, ENOENT
from typing import NamedTuple

from gateway import settings

MS = 1_000_000  # ns


class Edge(NamedTuple):
    """As the seam has it: which input, to active or back, when, the how manieth of its line."""

    input: str
    active: bool
    at_ns: int
    number: int


@dataclass
class _Line:
    high: bool = False
    stuck: bool = False  # its level moves no more, whatever is done to it


@dataclass
class GpioChip:
    """A chip with these lines, by number or name. What opens lines at the seam is `opened`. `queue` is how many edges
    wait at most, `busy` the lines of other programs; `gone` has the chip taken away."""

    lines: Sequence[str] = ("17", "27", "22")
    queue: int = 1024
    busy: set[str] = field(default_factory=set)
    gone: bool = False
    asked: list[settings.Line] = field(default_factory=list)  # as they were opened
    now_ns: int = 0
    _at: dict[str, _Line] = field(default_factory=dict)
    _open: list[_Opened] = field(default_factory=list)

    def opened(self, chip: str, lines: Sequence[settings.Line], falling: bool) -> _Opened:
        if self.gone:
            raise OSError(ENOENT, "No such file or directory", chip)
        for line in lines:
            if line.line not in self.lines:
                raise OSError(ENOENT, f"no line {line.line}")
            held = {x.line for opened in self._open for x in opened.lines.values()}
            if line.line in self.busy | held:
                raise OSError(EBUSY, "Device or resource busy", line.line)
        self.asked += lines
        found = _Opened(self, {line.line: line for line in lines}, falling)
        self._open.append(found)
        return found

    def line(self, name: str) -> _Line:
        return self._at.setdefault(name, _Line())

    def play(self, name: str, *levels: tuple[float, bool]) -> None:
        """The line goes to each level, so many ms after the one before; the last one stays."""
        at = self.line(name)
        if at.stuck:
            return
        changes: list[tuple[int, bool]] = []
        for after_ms, high in levels:
            self.now_ns += round(after_ms * MS)
            if high != at.high:
                changes.append((self.now_ns, high))
            at.high = high
        for opened in list(self._open):
            if name in opened.lines:
                opened.heard(opened.lines[name], changes, self.queue)

    def tip(self, name: str, after_ms: float = 2000.0, closed_ms: float = 135.0, low: bool = False) -> None:
        """A bucket tips: its reed closes for a while, to high or (with a pull-up) to low."""
        self.play(name, (after_ms, not low), (closed_ms, low))

    def chatter(self, name: str, changes: int, every_ms: float) -> None:
        """As a loose wire does."""
        high = self.line(name).high
        self.play(name, *((every_ms, high ^ (i % 2 == 0)) for i in range(changes)))

    def take_away(self) -> None:
        """As an expander at USB that is pulled out."""
        self.gone = True
        for opened in list(self._open):
            opened.wake()

    def let_go(self, opened: _Opened) -> None:
        self._open = [x for x in self._open if x is not opened]


class _Opened:
    """The lines of one request, and its queue."""

    def __init__(self, chip: GpioChip, lines: Mapping[str, settings.Line], falling: bool) -> None:
        self.lines = lines
        self._chip, self._falling = chip, falling
        self._queue: deque[Edge] = deque()
        self._numbers = dict.fromkeys(lines, 0)
        self._active = {name: self._logical(name) for name in lines}
        self._news = threading.Condition()

    def _logical(self, name: str) -> bool:
        return self._chip.line(name).high ^ self.lines[name].active_low

    def heard(self, line: settings.Line, changes: Sequence[tuple[int, bool]], most: int) -> None:
        with self._news:
            stands_ns = round((line.debounce_s or 0.0) * 1e9)
            ends = [at for at, _ in changes[1:]]
            for (at_ns, high), end_ns in zip(changes, [*ends, None], strict=True):
                active = high ^ line.active_low
                if active == self._active[line.line] or (end_ns is not None and end_ns - at_ns < stands_ns):
                    continue
                self._active[line.line] = active
                if active or self._falling:
                    self._numbers[line.line] += 1
                    self._queue.append(Edge(line.input, active, at_ns, self._numbers[line.line]))
                while len(self._queue) > most:
                    self._queue.popleft()
            self._news.notify_all()

    def wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def _present(self) -> None:
        if self._chip.gone:
            raise OSError(ENODEV, "No such device")

    def wait(self, seconds: float) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._queue or self._chip.gone, seconds)
            self._present()
            return bool(self._queue)

    def edges(self) -> Sequence[Edge]:
        deadline = time.monotonic() + 10.0
        while not self.wait(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, "nobody asked whether edges wait"
        with self._news:
            return [self._queue.popleft() for _ in range(min(16, len(self._queue)))]

    def levels(self) -> Mapping[str, bool]:
        self._present()
        return {line.input: self._logical(name) for name, line in self.lines.items()}

    def close(self) -> None:
        self._chip.let_go(self)
