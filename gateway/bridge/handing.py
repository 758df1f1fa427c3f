"""What is on its way to a medium, noted beside the store: a notification whose hand-over began and whose outcome never
reached the store is handed over again after a kill, under the same key, and that second delivery is counted.

A line for each: `+12` before row 12 of the outbox is handed over, `-12` where its medium did not take it. Nobody waits
for the disk: a kill loses nothing of it, after a power cut the count may be too low. Where the file cannot be written
nothing is counted, and everything is delivered.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MOST = 10_000  # lines; then only the newest are kept
KEPT = 1_000


class Handing:
    """The notes of one bridge, for all its media. `begun`: how often each was handed over by earlier processes
    that were killed before its outcome was in the store."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock, self._refused = path, threading.Lock(), False
        lines = list(_read(path))
        self._lines = len(lines)
        self.begun = _open(lines)

    @classmethod
    def beside(cls, store: Path) -> Handing:
        return cls(store.with_name(store.name + ".handing"))

    def begin(self, row: int) -> None:
        """It is about to be handed over."""
        self._write(f"+{row}\n")

    def failed(self, row: int) -> None:
        """The medium did not take it."""
        self._write(f"-{row}\n")

    def forget(self) -> None:
        """Another store takes the place of the one that this is about."""
        self._path.unlink(missing_ok=True)
        self.begun = {}

    def _write(self, line: str) -> None:
        with self._lock:
            try:
                if self._lines >= MOST:
                    self._shorten()
                with self._path.open("a", encoding="ascii") as file:
                    file.write(line)
                self._lines += 1
            except OSError as e:
                if not self._refused:
                    log.warning("second deliveries after a kill are not counted now: %s (%s)", self._path, e.strerror)
                self._refused = True

    def _shorten(self) -> None:
        kept = [f"{'+' if begun else '-'}{row}\n" for row, begun in list(_read(self._path))[-KEPT:]]
        new = self._path.with_name(self._path.name + ".new")
        new.write_text("".join(kept), encoding="ascii")
        new.replace(self._path)
        self._lines = len(kept)


def _read(path: Path) -> Iterator[tuple[int, bool]]:
    """(row, whether it began), as far as a line can be read: the last one may be torn."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return
    for line in text.split("\n")[:-1]:
        if line[:1] in ("+", "-") and line[1:].isascii() and line[1:].isdigit():
            yield int(line[1:]), line[0] == "+"


def _open(lines: list[tuple[int, bool]]) -> dict[int, int]:
    found = Counter[int]()
    for row, begun in lines:
        found[row] += 1 if begun else -1
    return dict(+found)
