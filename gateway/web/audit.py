"""Who did what, from where, with which outcome: rows that nobody changes, kept for two years."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.model import ClockState
from gateway.web.accountfile import AccountFile
from gateway.web.accountrows import By, Noted, one_line
from gateway.web.accountschema import KEPT_MS, KEPT_ROWS

log = logging.getLogger(__name__)
EVERY = 200  # rows between two looks at what is too old
LONG = 200  # characters of a field


class Audit:
    def __init__(self, file: AccountFile, clock: Clock) -> None:
        self._file, self._clock = file, clock
        self._since = 0
        self._failed = 0
        self.prune()

    def add(self, db: sqlite3.Connection, by: By, what: str, subject: str, outcome: str) -> None:
        """Within a transaction: what is done is noted, or it is not done."""
        sql = "INSERT INTO audit (at_ms, who, via, address, what, subject, outcome) VALUES (?,?,?,?,?,?,?)"
        texts = (by.name, by.via, by.address, what, subject, outcome)
        db.execute(sql, (self._clock.now_ms(), *(one_line(x, LONG) for x in texts)))

    def note(self, by: By, what: str, subject: str, outcome: str) -> None:
        self.note_all(by, [(what, subject, outcome)])

    def note_all(self, by: By, rows: Sequence[tuple[str, str, str]]) -> None:
        """By themselves, of what was done elsewhere. It never stops anybody: on a full disk the alarm is acknowledged
        all the same, and the bridge's journal has it."""
        self._since += len(rows)
        try:
            with self._file.writing() as db:
                for row in rows:
                    self.add(db, by, *row)
            if self._since >= EVERY:
                self._since = 0
                self.prune()
        except Unavailable as e:
            if not self._failed:
                log.error("%s; what is done is not in the audit", e)
            self._failed += len(rows)
        else:
            if self._failed:
                log.warning("the audit is written again; %d rows are missing", self._failed)
                self._failed = 0

    def prune(self) -> None:
        """What is two years old goes, where the clock is believed; in any case what is too much."""
        trusted = self._clock.sync_state() is not ClockState.UNSYNCED
        before = self._clock.now_ms() - KEPT_MS if trusted else 0
        with self._file.writing() as db:
            db.execute(
                """DELETE FROM audit WHERE (at_ms < min(?, (SELECT at_ms FROM audit ORDER BY id DESC LIMIT 1) - ?))
                   OR id <= (SELECT max(id) FROM audit) - ?""",
                (before, KEPT_MS, KEPT_ROWS),
            )

    def rows(self, since_ms: int = 0, before: int | None = None, limit: int = 200) -> list[Noted]:
        """The newest first; `before` is the number of a row, for the page after it."""
        sql = """SELECT id, at_ms, who, via, address, what, subject, outcome FROM audit
                 WHERE at_ms >= ? AND id < ? ORDER BY id DESC LIMIT ?"""
        return [Noted(*x) for x in self._file.rows(sql, (since_ms, before or 1 << 62, limit))]
