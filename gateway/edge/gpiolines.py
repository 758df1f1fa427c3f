"""The seam to the kernel's GPIO lines: libgpiod's own binding (package gpiod, 2.x; the extra `gpio`), over the chip's
character device. The kernel debounces, dates and numbers every edge, and keeps those that wait in a queue from which
it throws the oldest away when it is full (docs.kernel.org, userspace-api/gpio, GPIO_V2_LINE_EVENT_READ).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gateway import settings

QUEUE = 1024  # edges that wait for us: the most that the kernel keeps
CONSUMER = "suimon"


class Edge(NamedTuple):
    """One edge of one line: to active or back, when by the kernel's monotonic clock, and which one of this line since
    it was opened, from 1."""

    input: str
    active: bool
    at_ns: int
    number: int


class Lines(Protocol):
    """The opened lines of one sensor. For one thread at a time, but that `wait` may be another's."""

    def wait(self, seconds: float) -> bool:
        """Whether edges wait, at once or within this time. Raises OSError."""
        ...

    def edges(self) -> Sequence[Edge]:
        """Some of those that wait, the oldest first; waits for one where there is none. Raises OSError."""
        ...

    def levels(self) -> Mapping[str, bool]:
        """Each input, active or not. Raises OSError."""
        ...

    def close(self) -> None: ...


Open = Callable[[str, Sequence[settings.Line], bool], Lines]


def opened(chip: str, lines: Sequence[settings.Line], falling: bool) -> Lines:
    """The lines of a chip (its path, name or label) as inputs; edges to active and, where `falling`, back. Raises
    OSError: no chip, no such line, another program has it, or the library is not installed."""
    gpiod = library()
    bias = {
        "": gpiod.line.Bias.AS_IS,
        "off": gpiod.line.Bias.DISABLED,
        "up": gpiod.line.Bias.PULL_UP,
        "down": gpiod.line.Bias.PULL_DOWN,
    }
    edge = gpiod.line.Edge.BOTH if falling else gpiod.line.Edge.RISING
    wanted = {
        identity(line.line): gpiod.LineSettings(
            direction=gpiod.line.Direction.INPUT,
            edge_detection=edge,
            bias=bias[line.bias],
            active_low=line.active_low,
            debounce_period=timedelta(seconds=line.debounce_s or 0.0),
        )
        for line in lines
    }
    with gpiod.Chip(str(path_of(chip))) as found:
        try:
            inputs = {found.line_offset_from_id(identity(line.line)): line.input for line in lines}
            request = found.request_lines(consumer=CONSUMER, config=dict(wanted), event_buffer_size=QUEUE)
        except ValueError as e:  # a number that the chip does not have
            raise OSError(str(e)) from e
    return _Requested(request, inputs)


def users(chip: str, lines: Sequence[str]) -> dict[str, str]:
    """Who holds each of these lines; empty where nobody does. Raises OSError as `opened` does."""
    found = {}
    with library().Chip(str(path_of(chip))) as there:
        for line in lines:
            try:
                info = there.get_line_info(identity(line))
            except (OSError, ValueError) as e:
                raise OSError(f"it has no line {line}") from e
            found[line] = (info.consumer or "another program") if info.used else ""
    return found


def library() -> Any:
    """Raises OSError where it is not installed."""
    try:
        importlib.import_module("gpiod.line")
        return importlib.import_module("gpiod")
    except ImportError as e:
        raise OSError("the package gpiod is not installed (pip install 'suimon[gpio]')") from e


def identity(line: str) -> int | str:
    """A number of the chip, or the name of a line."""
    return int(line) if line.isdecimal() else line


def path_of(chip: str, folder: Path = Path("/dev")) -> Path:
    """Raises OSError where no chip has that name or label."""
    if chip.startswith("/"):
        return Path(chip)
    gpiod = library()
    there = sorted(folder.glob("gpiochip*"))
    for path in there:
        with gpiod.Chip(str(path)) as found:
            info = found.get_info()
        if chip in (info.name, info.label):
            return path
    raise OSError(f"no GPIO chip is called {chip}; there are {', '.join(map(str, there)) or 'none'}")


class _Requested:
    def __init__(self, request: Any, inputs: Mapping[int, str]) -> None:
        self._request, self._inputs = request, inputs

    def wait(self, seconds: float) -> bool:
        return bool(self._request.wait_edge_events(seconds))

    def edges(self) -> Sequence[Edge]:
        found = self._request.read_edge_events()
        return [
            Edge(self._inputs[e.line_offset], e.event_type is e.Type.RISING_EDGE, e.timestamp_ns, e.line_seqno)
            for e in found
        ]

    def levels(self) -> Mapping[str, bool]:
        offsets = list(self._inputs)
        values = self._request.get_values(offsets)
        return {self._inputs[o]: bool(value) for o, value in zip(offsets, values, strict=True)}

    def close(self) -> None:
        self._request.release()
