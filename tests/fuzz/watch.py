"""Within one round: counts the examples of each property test, and ends one that takes too much CPU as a hang.

CPU time, not wall clock: a machine that is busy with other things makes no test fail.
"""

from __future__ import annotations

import functools
import json
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

CPU_S = 20.0  # an example of the slowest test takes less than a hundredth of it


class Hang(AssertionError):
    """An example that does not come to its end; as a failure its input is found, shrunk and kept like any other."""


def _raise(signum: int, frame: FrameType | None) -> None:
    raise Hang(f"no end after {CPU_S:g} s of CPU time")


def watched(inner: Callable[..., Any], count: Callable[[], None], cpu_s: float = CPU_S) -> Callable[..., Any]:
    """The body of a property test, counted and bounded."""

    @functools.wraps(inner)
    def call(*args: Any, **kwargs: Any) -> Any:
        count()
        before = signal.signal(signal.SIGPROF, _raise)
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        try:
            return inner(*args, **kwargs)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)

    return call


class Watch:
    """A plug-in of pytest for one round; `counts` is the file that it leaves."""

    def __init__(self, counts: Path) -> None:
        self._file, self._counts = counts, Counter[str]()

    def pytest_collection_modifyitems(self, items: Sequence[Any]) -> None:
        wrapped: set[int] = set()  # a parametrised test has one body
        for item in items:
            about = getattr(item.obj, "hypothesis", None)
            if about is None or id(about) in wrapped:
                continue
            wrapped.add(id(about))
            name = item.nodeid.partition("[")[0]
            about.inner_test = watched(about.inner_test, functools.partial(self._counts.update, [name]))

    def pytest_sessionfinish(self) -> None:
        self._file.write_text(json.dumps(self._counts))
