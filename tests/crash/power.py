"""A folder on a recording disk whose power may be cut after any operation, and the code under test opened on what is
left. How many cuts: `SUIMON_CUTS`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from simulators.faults.disk import Recording
from simulators.faults.platter import Op, Platter, lay_out

CUTS = int(os.environ.get("SUIMON_CUTS", "400"))  # of each kind of life, over all its seeds
SEEDS = max(8, CUTS // 40)


class Powered:
    """`begin`: what is in the folder is durable, everything from now on is recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.begin()

    def begin(self) -> None:
        self.ops: list[Op] = []
        self._recording = True
        self.disk = Recording(self._log)
        for path in self.files():
            self.disk.file_of(str(path))
        self.first = len(self.ops)

    def _log(self, op: Op) -> None:
        if self._recording:
            self.ops.append(op)

    def now(self) -> int:
        """The operation that comes next: what returned before it is promised."""
        return len(self.ops)

    def off(self) -> None:
        """What happens from now on is not part of the life: programs are put away."""
        self._recording = False

    def files(self) -> list[Path]:
        return [x for x in sorted(self.folder.iterdir()) if x.suffix != ".lock" and not x.name.endswith("-shm")]

    def cuts(self, rng: random.Random, wanted: int) -> Iterator[int]:
        """Lay out a possible disk for so many moments, one after the other; yields the moment. A third of them just
        after a name was made, changed or removed, of which there are few."""
        names = [n for n, op in enumerate(self.ops) if op.kind in ("create", "rename", "remove") and n >= self.first]
        moments = [rng.randrange(self.first, len(self.ops) + 1) for _ in range(wanted)]
        if names:
            moments[::3] = [min(rng.choice(names) + rng.randrange(1, 4), len(self.ops)) for _ in moments[::3]]
        platter, applied = Platter(), 0
        for at in sorted(moments):
            for op in self.ops[applied:at]:
                platter.apply(op)
            applied = at
            self._left = platter.after_cut(rng)
            self.lay_out()
            yield at

    def cut_at(self, at: int, rng: random.Random) -> None:
        """Lay out a possible disk for one moment."""
        self._left = Platter(self.ops[:at]).after_cut(rng)
        self.lay_out()

    def lay_out(self) -> None:
        """What the last cut left, whatever was done to it since."""
        for path in self.folder.iterdir():
            if path.suffix != ".lock":
                path.unlink()
        for name, data in self._left.items():
            Path(name).write_bytes(data)


class Losing:
    """A recording disk of a life that goes on after a cut."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """What is there now is durable."""
        self._platter = Platter()
        self.disk = Recording(self._platter.apply)

    def cut(self, rng: random.Random, put_away: Callable[[], object]) -> None:
        """The power is cut now; then the programs are put away, which write nothing any more."""
        content, known = self._platter.after_cut(rng), self._platter.known
        put_away()
        lay_out(content, known)
        self.begin()
