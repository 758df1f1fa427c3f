"""Another configuration for a running bridge: read on a thread of its own, so that the writer waits for no file, and
swapped in by the writer between two batches, or refused with everything that is wrong. A refused one changes nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from gateway import settings
from gateway.bridge import changes
from gateway.bridge.delivery import BROKEN
from gateway.errors import ConfigError, Problem
from gateway.stations import Registry

log = logging.getLogger(__name__)

KEPT = 100  # answers, until whoever asked has taken them
Load = Callable[[], tuple[settings.Bridge, Registry]]
Where = Callable[[tuple[str, ...]], tuple[int, int]]  # a path in bridge.yaml -> its line and column
Tell = Callable[[str, int], bool]  # digest of stations and levels, and since when (ms) they are in force
Answer = tuple[str, str]  # state of the request, and its JSON


@dataclass(frozen=True, slots=True)
class InForce:
    """The configuration that the bridge works by, and since when (ms)."""

    bridge: settings.Bridge
    registry: Registry
    since_ms: int

    @property
    def digest(self) -> str:
        return changes.digest(self.bridge, self.registry)


class Reloader:
    """Of one bridge. `signalled` may be called from anywhere, the rest by the writer alone."""

    def __init__(
        self,
        load: Load | None,
        in_force: InForce,
        adopt: Callable[[settings.Bridge, Registry], None],
        now_ms: Callable[[], int],
        wake: Callable[[], None],
        mark: Callable[[str], None] = lambda _: None,
        place: Where = lambda _: (1, 1),
        tell: Tell = lambda *_: True,
    ) -> None:
        """`load` raises ConfigError; `adopt` swaps, whole. `mark` as in `Service`: reading, swapped. `tell` is told
        what is in force until it could keep that."""
        self._place, self._tell = place, tell
        self._told: InForce | None = None
        self._load, self._adopt, self._now_ms, self._wake, self._mark = load, adopt, now_ms, wake, mark
        self.in_force = in_force
        self.digest = in_force.digest
        self.counts = {"applied": 0, "refused": 0}
        self._signals = self._seen = 0
        self._asked: list[int] = []
        self._reading: list[int] | None = None  # requests that the reading under way is for
        self._found: tuple[settings.Bridge, Registry] | list[Problem] | None = None
        self._answers: dict[int, Answer] = {}

    def signalled(self) -> None:
        """A signal asks for it; it does nothing but say so."""
        self._signals += 1
        self._wake()

    @property
    def can(self) -> bool:
        """Whether this process has a folder to read."""
        return self._load is not None

    def ask(self, request: int) -> None:
        """A request asks for it."""
        self._asked.append(request)

    def waits(self, request: int) -> bool:
        """Whether it was asked, and has no answer yet."""
        return request in self._asked or request in (self._reading or ())

    def answer(self, request: int) -> Answer | None:
        """None where it was not asked for, by this process. An answer stays: it is asked again until it is stored."""
        return self._answers.get(request)

    def step(self) -> None:
        """Between two batches: begin to read where that is asked, or take what was read."""
        if self._reading is None and (self._asked or self._signals != self._seen) and self._load is not None:
            self._seen, self._reading, self._asked = self._signals, self._asked, []
            self._mark("reading")
            threading.Thread(target=self._read, args=(self._load,), name="reload", daemon=True).start()
        elif self._reading is not None and self._found is not None:
            found, self._found = self._found, None
            answer = self._refused(found) if isinstance(found, list) else self._swapped(*found)
            for request in self._reading:
                self._answers[request] = answer
            for old in list(self._answers)[:-KEPT]:
                del self._answers[old]
            self._reading = None
        if self._told is not self.in_force and self._tell(self.in_force.registry.digest(), self.in_force.since_ms):
            self._told = self.in_force

    def _read(self, load: Load) -> None:
        try:
            found = load()
            fixed = changes.needing_restart(self.in_force.bridge, found[0])  # nothing is swapped while it is read
            problems = [Problem("bridge.yaml", *self._place(path), ".".join(path), why) for path, why in fixed]
            self._found = problems or found
        except ConfigError as e:
            self._found = e.problems
        except (*BROKEN, OSError) as e:  # a mistake of ours in reading a file must not end a bridge that works
            log.exception("the configuration could not be read")
            self._found = [Problem("", 1, 1, "", f"it could not be read: {type(e).__name__}: {e}")]
        self._wake()

    def _swapped(self, bridge: settings.Bridge, registry: Registry) -> Answer:
        before = self.in_force
        what = changes.between(before.bridge, before.registry, bridge, registry).lines()
        if what:
            self._adopt(bridge, registry)
            self.in_force = InForce(bridge, registry, self._now_ms())
            self.digest = self.in_force.digest
            self._mark("swapped")
        self.counts["applied"] += 1
        log.info("configuration %s is in force; %s", self.digest, "; ".join(what) or "nothing had changed")
        said = {"configuration": self.digest, "since_ms": self.in_force.since_ms, "changed": what}
        return "done", json.dumps(said, ensure_ascii=False)

    def _refused(self, problems: list[Problem]) -> Answer:
        self.counts["refused"] += 1
        said = [str(x) for x in sorted(problems)]
        for line in said:
            log.error("configuration refused: %s", line)
        log.error("the bridge goes on with configuration %s", self.digest)
        about: dict[str, object] = {"reason": f"{len(said)} problem{'s' * (len(said) != 1)}", "problems": said}
        about |= {"configuration": self.digest, "since_ms": self.in_force.since_ms}
        return "refused", json.dumps(about, ensure_ascii=False)
