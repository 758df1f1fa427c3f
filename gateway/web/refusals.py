"""Who was refused what, counted: one row an hour for each source and reason, and so many of them. Asking fills neither
the disk, nor pushes what was done out of the audit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.model import ClockState
from gateway.web.accountfile import AccountFile
from gateway.web.accountrows import HOUR_MS, By, Refusal, one_line
from gateway.web.accountschema import KEPT_MS, KEPT_REFUSALS
from gateway.web.limits import network

log = logging.getLogger(__name__)
SOURCES = 100  # an hour; all others share a row for each reason
EVERY_MS = 60_000  # how often a count that rises is written
_NEW = """INSERT INTO refusals (first_ms, last_ms, address, via, who, what, code, count) VALUES (?,?,?,?,?,?,?,?)
 RETURNING id"""
_MORE = "UPDATE refusals SET last_ms = ?, count = ? WHERE id = ?"
_ROWS = """SELECT id, first_ms, last_ms, address, via, who, what, code, count FROM refusals
 WHERE last_ms >= ? AND id < ? ORDER BY id DESC LIMIT ?"""


@dataclass(slots=True)
class _Count:
    what: str  # the first
    first_ms: int
    last_ms: int
    count: int = 0
    row: int | None = None
    written: int = 0


class Refusals:
    """What is not written yet is lost at a kill: the counts of a minute at most, never that there was anything."""

    def __init__(self, file: AccountFile, clock: Clock, up_ms: Callable[[], int]) -> None:
        self._file, self._clock, self._up_ms = file, clock, up_ms
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, str, str], _Count] = {}
        self._begun_ms = self._written_ms = up_ms()
        self._failed = False

    def add(self, by: By, what: str, code: str) -> None:
        """Never raises: on a full disk whoever is refused is refused all the same."""
        key = (network(by.address), by.via, by.name, code)
        now, up = self._clock.now_ms(), self._up_ms()
        with self._lock:
            if up - self._begun_ms >= HOUR_MS:
                self._write(up)
                self._counts.clear()
                self._begun_ms = up
                self._prune()
            if key not in self._counts and len(self._counts) >= SOURCES:
                key = ("", "", "", code)
            new = key not in self._counts
            x = self._counts.setdefault(key, _Count(what, now, now))
            x.count, x.last_ms = x.count + 1, max(now, x.last_ms)
            if new or up - self._written_ms >= EVERY_MS:
                self._write(up)

    def flush(self) -> None:
        with self._lock:
            self._write(self._up_ms())

    def rows(self, since_ms: int = 0, before: int | None = None, limit: int = 200) -> list[Refusal]:
        """Those begun last first; `before` is the number of a row, for the page after it."""
        self.flush()
        return [Refusal(*x) for x in self._file.rows(_ROWS, (since_ms, before or 1 << 62, limit))]

    def _write(self, up_ms: int) -> None:
        self._written_ms = up_ms
        risen = [(key, x) for key, x in self._counts.items() if x.count > x.written]
        if not risen:
            return
        try:
            made = []
            with self._file.writing() as db:
                for (address, via, name, code), x in risen:
                    if x.row is not None:
                        db.execute(_MORE, (x.last_ms, x.count, x.row))
                        continue
                    texts = (one_line(t) for t in (address, via, name, x.what, code))
                    made.append((x, db.execute(_NEW, (x.first_ms, x.last_ms, *texts, x.count)).fetchone()[0]))
        except Unavailable as e:
            if not self._failed:
                log.error("%s; refusals are counted in memory", e)
            self._failed = True
            return
        self._failed = False
        for x, row in made:
            x.row = row
        for _, x in risen:
            x.written = x.count

    def _prune(self) -> None:
        """What is two years old goes, where the clock is believed; in any case what is too much."""
        trusted = self._clock.sync_state() is not ClockState.UNSYNCED
        before = self._clock.now_ms() - KEPT_MS if trusted else 0
        sql = "DELETE FROM refusals WHERE last_ms < ? OR id <= (SELECT max(id) FROM refusals) - ?"
        self._file.attempt(sql, (before, KEPT_REFUSALS))
