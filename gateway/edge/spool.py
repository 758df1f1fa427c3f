"""The device's durable queue: one SQLite file. A sample gets its log and number at once and is durable at the next
grouped commit; it may be published before. Nothing is deleted because it was sent, only because the bridge's receipt
settled it *and* space is needed.

A new log begins at each opening, so that a restored card or a lying disk can never use a number twice. What is
settled is not written to the card: each opening begins by not believing it, until a receipt for this opening says so.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway import storefile, wire
from gateway.errors import FaultCode, GoneReason, Unavailable
from gateway.model import ClockState, Reading, Sample
from gateway.ranges import RangeSet

log = logging.getLogger(__name__)

VERSION = 1
SCHEMA = """
CREATE TABLE logs (id INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL UNIQUE, opened_ms INTEGER NOT NULL);
CREATE TABLE samples (
  log_id INTEGER NOT NULL, seq INTEGER NOT NULL, observed_ms INTEGER NOT NULL, clk TEXT NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (log_id, seq)) WITHOUT ROWID;
-- Numbers that this device gave up, and why; told in every spool statement.
CREATE TABLE gone (log_id INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (log_id, a)) WITHOUT ROWID;
"""
MAX_LOGS = 200
RECLAIM_ROWS = 1000  # rows freed in one go when space is needed

_encode_body = msgspec.json.encode
_decode_body = msgspec.json.Decoder(list[tuple[str, str, str, float | None, str | None]]).decode


def _open(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error where the file is not a sound spool."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # NORMAL may lose committed rows at a power cut
        db.execute("PRAGMA journal_size_limit = 4194304")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise Unavailable(f"{path} was written by a newer suimon (version {version}). Install that version.")
        if version == 0:
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            storefile.sync_folder(path.parent)
    except BaseException:
        db.close()
        raise
    return db


def _open_or_set_aside(path: Path) -> sqlite3.Connection:
    """A damaged file is renamed with the date and a new one begun: the agent never refuses to start."""
    try:
        return _open(path)
    except sqlite3.DatabaseError as e:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        log.error("the spool %s is damaged (%s); set aside as %s, a new one is begun", path, e, aside.name)
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        try:
            return _open(path)
        except sqlite3.Error as again:
            raise Unavailable(f"cannot begin a spool at {path}: {again}") from again


class Spool:
    """Open one per process. Methods may be called from any thread. Raises Unavailable where no spool can be had."""

    def __init__(self, path: Path, max_bytes: int, now_ms: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file_lock = storefile.lock(path, "agent")
        self._db = _open_or_set_aside(path)
        self.opening = secrets.token_hex(6)
        cursor = self._db.execute("INSERT INTO logs (log, opened_ms) VALUES (?, ?)", (self.opening, now_ms))
        self._log_id = int(cursor.lastrowid or 0)
        self._seq = 0
        self._pending: deque[Sample] = deque()
        # What the card holds, oldest log first: name -> (id, oldest, next). The opening's own log stands last.
        self._held: dict[str, tuple[int, int, int]] = {}
        self._settled: dict[str, RangeSet] = {}
        self._through: dict[str, int] = {}
        self._full = False
        self._load()

    def _load(self) -> None:
        sql = """SELECT l.log, l.id, min(s.seq), max(s.seq) FROM logs l JOIN samples s ON s.log_id = l.id
                 GROUP BY l.id ORDER BY l.id"""
        for name, log_id, oldest, newest in self._db.execute(sql).fetchall():
            self._held[name] = (log_id, oldest, newest + 1)
        self._held[self.opening] = (self._log_id, 1, 1)
        kept = tuple(entry[0] for entry in self._held.values())
        marks = ",".join("?" * len(kept))
        for table, column in (("logs", "id"), ("gone", "log_id")):  # logs of which no row is left
            self._db.execute(f"DELETE FROM {table} WHERE {column} NOT IN ({marks})", kept)  # noqa: S608

    # --- samples in --------------------------------------------------------------------------------------------

    def append(self, observed_ms: int, clk: ClockState, readings: Iterable[Reading]) -> Sample:
        """Give a sample its number. Durable at the next commit."""
        with self._lock:
            self._seq += 1
            sample = Sample(self.opening, self._seq, observed_ms, clk, tuple(readings))
            self._pending.append(sample)
            return sample

    def commit(self) -> int:
        """Make what was appended durable; returns how many samples. Raises sqlite3.Error; then they stay pending."""
        with self._lock:
            batch = list(self._pending)
            if not batch:
                return 0
            self._make_room()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "INSERT INTO samples VALUES (?,?,?,?,?)",
                    [(self._log_id, s.seq, s.observed_ms, s.clk.value, _body(s.readings)) for s in batch],
                )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            for _ in batch:
                self._pending.popleft()
            log_id, oldest, next_ = self._held[self.opening]
            oldest = batch[0].seq if oldest == next_ else oldest
            self._held[self.opening] = (log_id, oldest, batch[-1].seq + 1)
            return len(batch)

    def close(self) -> None:
        """Commit and close."""
        with self._lock:
            self.commit()
            self._db.close()
            os.close(self._file_lock)

    # --- receipts ----------------------------------------------------------------------------------------------

    def settle(self, receipt: wire.Receipt) -> None:
        """Believe a receipt of the present opening and store; the caller has checked both."""
        with self._lock:
            for entry in receipt.logs:
                if entry.log not in self._held:
                    continue
                settled = self._settled.setdefault(entry.log, RangeSet())
                settled.add(1, entry.through)
                for a, b in entry.settled:
                    settled.add(a, b)
                self._through[entry.log] = max(self._through.get(entry.log, 0), entry.through)

    def unsettle(self) -> None:
        """Another store: nothing is settled until it says so."""
        with self._lock:
            self._settled.clear()
            self._through.clear()

    def is_settled(self, name: str, seq: int) -> bool:
        with self._lock:
            return name in self._settled and seq in self._settled[name]

    def statement(self) -> wire.Statement:
        """What the card still holds, per log, and the present opening."""
        with self._lock:
            gone: dict[int, list[tuple[int, int, str]]] = {}
            for log_id, a, b, reason in self._db.execute("SELECT log_id, a, b, reason FROM gone ORDER BY log_id, a"):
                gone.setdefault(log_id, []).append((a, b, reason))
            logs = [
                wire.StatementLog(name, oldest, next_, gone.get(log_id, []))
                for name, (log_id, oldest, next_) in self._held.items()
            ]
            return wire.Statement(self.opening, logs)

    # --- backlog out -------------------------------------------------------------------------------------------

    def through(self, name: str) -> int:
        """Newest receipt's `through` for a log; 0 without one."""
        with self._lock:
            return self._through.get(name, 0)

    def logs(self) -> list[str]:
        """Names of the logs the card holds, oldest first."""
        with self._lock:
            return list(self._held)

    def unsettled(self, name: str, limit: int, skip: RangeSet) -> list[Sample]:
        """The oldest committed samples of a log that no receipt settled, in order, without the numbers of `skip`."""
        with self._lock:
            if name not in self._held:
                return []
            log_id, oldest, next_ = self._held[name]
            passed = (self._settled.get(name) or RangeSet()).copy()
            for a, b in skip:
                passed.add(a, b)
            out: list[Sample] = []
            sql = """SELECT seq, observed_ms, clk, body FROM samples
                     WHERE log_id = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"""
            for a, b in passed.missing(oldest, next_ - 1):
                rows = self._db.execute(sql, (log_id, a, b, limit - len(out))).fetchall()
                out += [Sample(name, seq, at, ClockState(clk), _readings(body)) for seq, at, clk, body in rows]
                if len(out) >= limit:
                    break
            return out

    def depth(self) -> tuple[int, int]:
        """(samples not settled, samples on the card)."""
        with self._lock:
            held = int(self._db.execute("SELECT count(*) FROM samples").fetchone()[0]) + len(self._pending)
            settled = 0
            for name, ranges in self._settled.items():
                if name in self._held:
                    log_id, oldest, next_ = self._held[name]
                    for a, b in ranges:
                        sql = "SELECT count(*) FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ?"
                        settled += self._db.execute(sql, (log_id, max(a, oldest), min(b, next_))).fetchone()[0]
            return held - settled, held

    # --- space -------------------------------------------------------------------------------------------------

    def used_bytes(self) -> int:
        """Bytes of the file that hold something; freed pages are used again."""
        with self._lock:
            pages, free, size = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            return int((pages - free) * size)

    def _make_room(self) -> None:
        """Below the ceiling, do nothing. At it, the oldest reclaimable rows go; where none is left, the oldest
        unsettled ones, declared gone."""
        if not self._over():
            return
        for name in list(self._held):
            while self._over() and self._reclaim(name):
                pass
        if self.used_bytes() >= self._max_bytes:
            self._thin(GoneReason.NO_SPACE)
        elif self._over():
            self._thin(GoneReason.LOG_LIMIT)

    def _over(self) -> bool:
        logs = sum(oldest < next_ for _, oldest, next_ in self._held.values())
        return self.used_bytes() >= self._max_bytes or logs > MAX_LOGS

    def _reclaim(self, name: str) -> bool:
        """Delete the oldest settled rows of a log; whether any went."""
        log_id, oldest, next_ = self._held[name]
        for a, b in self._settled.get(name, RangeSet()):
            first, last = max(a, oldest), min(b, next_ - 1)
            if first <= last:
                self._delete(name, log_id, first, min(last, first + RECLAIM_ROWS - 1))
                return True
        return False

    def _thin(self, reason: GoneReason) -> None:
        """Give up the oldest rows of the oldest log. Said in the next statement, with its reason."""
        name = next((n for n, (_, oldest, next_) in self._held.items() if oldest < next_), None)
        if name is None:
            return
        log_id, oldest, next_ = self._held[name]
        last = next_ - 1 if reason is GoneReason.LOG_LIMIT else min(next_ - 1, oldest + RECLAIM_ROWS - 1)
        if not self._full:
            log.error("the spool is full: the oldest samples that the bridge does not have are given up (%s)", reason)
            self._full = True
        self._db.execute("INSERT OR REPLACE INTO gone VALUES (?,?,?,?)", (log_id, oldest, last, reason.value))
        self._delete(name, log_id, oldest, last)

    def _delete(self, name: str, log_id: int, first: int, last: int) -> None:
        self._db.execute("DELETE FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ?", (log_id, first, last))
        left = self._db.execute("SELECT min(seq), max(seq) FROM samples WHERE log_id = ?", (log_id,)).fetchone()
        if left[0] is not None:
            next_ = self._held[name][2] if name == self.opening else left[1] + 1
            self._held[name] = (log_id, left[0], next_)
        elif name == self.opening:
            next_ = self._held[name][2]
            self._held[name] = (log_id, next_, next_)
        elif self._db.execute("SELECT 1 FROM gone WHERE log_id = ? LIMIT 1", (log_id,)).fetchone():
            next_ = self._held[name][2]  # stays listed, empty, so that the reason is told
            self._held[name] = (log_id, next_, next_)
        else:
            del self._held[name]


def _body(readings: Iterable[Reading]) -> str:
    return _encode_body([(r.station, r.channel, r.unit, r.value, r.fault) for r in readings]).decode()


def _readings(body: str) -> tuple[Reading, ...]:
    return tuple(
        Reading(station, channel, unit, value, FaultCode(fault) if fault else None)
        for station, channel, unit, value, fault in _decode_body(body)
    )
