"""The device's durable queue: one SQLite file. A sample gets its log and number at once and is durable at the next
grouped commit; it may be published before. Nothing is deleted because it was sent, only because the bridge's receipt
settled it *and* space is needed.

A new log begins at each opening, so that a restored card or a lying disk can never use a number twice. What is
settled is not written to the card: each opening begins by not believing it, until a receipt for this opening says so.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from gateway import storefile, wire
from gateway.disk import DISK, Disk
from gateway.edge import spoolfile
from gateway.edge.spoolfile import Damaged
from gateway.errors import GoneReason, Unavailable
from gateway.model import ClockState, Moment, Reading, Sample
from gateway.ranges import RangeSet

log = logging.getLogger(__name__)

MAX_LOGS = 200
RECLAIM_ROWS = 1000  # rows freed in one go when space is needed


class Spool:
    """Open one per process. Methods may be called from any thread. Raises Unavailable where no spool can be had."""

    def __init__(
        self, path: Path, max_bytes: int, now_ms: int, reclaim_rows: int = RECLAIM_ROWS, disk: Disk = DISK
    ) -> None:
        self._max_bytes, self._reclaim_rows = max_bytes, reclaim_rows
        self._lock = threading.RLock()  # held while the card writes
        self._numbers = threading.Lock()  # held for a moment: a slow card must not keep a sensor from being read
        self._seq = 0
        self._pending: deque[Sample] = deque()
        self._dated: dict[tuple[str, int], tuple[int, ClockState]] = {}  # not yet on the card
        self._damage: Damaged | None = None
        # What the card holds, oldest log first: name -> (id, oldest, next). The opening's own log stands last.
        self._held: dict[str, tuple[int, int, int]] = {}
        self._settled: dict[str, RangeSet] = {}
        self._through: dict[str, int] = {}
        self._full = False
        self.opening = secrets.token_hex(6)
        self._file_lock = storefile.lock(path, "agent")
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._file_lock)
            try:
                self._db = spoolfile.open_or_set_aside(path, disk)
                undo.callback(self._db.close)
                self._load(now_ms)
            except (sqlite3.Error, OSError) as e:
                raise Unavailable(f"cannot use the spool {path}: {e}") from e
            undo.pop_all()

    def _load(self, now_ms: int) -> None:
        """Begin a log, and find what the card holds of earlier ones."""
        sql = """SELECT log, id, (SELECT min(seq) FROM samples WHERE log_id = id),
                 (SELECT max(seq) FROM samples WHERE log_id = id), (SELECT max(b) FROM gone WHERE log_id = id)
                 FROM logs ORDER BY id"""
        empty = []
        for name, log_id, oldest, newest, given_up in self._db.execute(sql).fetchall():
            next_ = max(newest or 0, given_up or 0) + 1
            if next_ > 1:
                self._held[name] = (log_id, oldest or next_, next_)
                empty += [] if oldest else [name]
        for name in empty[: max(0, len(self._held) + 1 - MAX_LOGS)]:  # listed only for the reason why it is empty
            del self._held[name]
        with self._transaction():
            cursor = self._db.execute("INSERT INTO logs (log, opened_ms) VALUES (?, ?)", (self.opening, now_ms))
            self._log_id = int(cursor.lastrowid or 0)
            self._held[self.opening] = (self._log_id, 1, 1)
            kept = tuple(entry[0] for entry in self._held.values())
            marks = ",".join("?" * len(kept))
            for table, column in (("logs", "id"), ("gone", "log_id")):  # logs of which no row is left
                self._db.execute(f"DELETE FROM {table} WHERE {column} NOT IN ({marks})", kept)  # noqa: S608

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _card(self) -> Iterator[None]:
        """Under the lock. Damage of the file is told as such; from then on the file is not believed any more."""
        with self._lock:
            if self._damage is not None:
                raise self._damage
            try:
                yield
            except sqlite3.Error as e:
                if spoolfile.is_damage(e):
                    self._damage = Damaged(f"the spool is damaged: {e}")
                    raise self._damage from e
                raise

    # --- samples in --------------------------------------------------------------------------------------------

    def append(
        self,
        observed_ms: int,
        clk: ClockState,
        readings: Iterable[Reading],
        moment: Moment | None = None,
        raised: bool = False,
    ) -> Sample:
        """Give a sample its number. Durable at the next commit. `moment`: where the clock was not set."""
        with self._numbers:
            self._seq += 1
            sample = Sample(self.opening, self._seq, observed_ms, clk, tuple(readings), moment, raised)
            self._pending.append(sample)
            return sample

    def date(self, name: str, seq: int, observed_ms: int, clk: ClockState) -> None:
        """Freeze the time of a sample that had only a moment, at its first send with an absolute time. Every later
        reading of it has that time and no moment; durable at the next commit. The first date stands."""
        with self._numbers:
            self._dated.setdefault((name, seq), (observed_ms, clk))

    def _as_dated(self, sample: Sample) -> Sample:
        date = self._dated.get((sample.log, sample.seq)) if sample.moment is not None else None
        return replace(sample, observed_ms=date[0], clk=date[1], moment=None) if date else sample

    def commit(self) -> int:
        """Make durable what was appended and dated; returns how many samples were appended. Raises sqlite3.Error, and
        then they stay pending; Damaged."""
        with self._card():
            with self._numbers:
                batch = [self._as_dated(sample) for sample in self._pending]
                dated = self._dated.copy()
            if not batch and not dated:
                return 0
            self._make_room()
            try:
                self._write(batch, dated)
            except sqlite3.OperationalError as e:
                # The card is fuller than our ceiling says: what is settled gives way, unless the file had room.
                free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
                if e.sqlite_errorcode != sqlite3.SQLITE_FULL or free or not self._reclaim_oldest():
                    raise
                self._write(batch, dated)
            with self._numbers:
                for _ in batch:
                    self._pending.popleft()
                for key in dated:
                    # A pending sample that was dated while it was written is dated again at the next commit.
                    del self._dated[key]
            if not batch:
                return 0
            log_id, oldest, next_ = self._held[self.opening]
            oldest = batch[0].seq if oldest == next_ else oldest
            self._held[self.opening] = (log_id, oldest, batch[-1].seq + 1)
            return len(batch)

    def _write(self, batch: list[Sample], dated: dict[tuple[str, int], tuple[int, ClockState]]) -> None:
        rows = [spoolfile.to_row(self._log_id, sample) for sample in batch]
        dates = [(ms, clk.value, self._held[n][0], seq) for (n, seq), (ms, clk) in dated.items() if n in self._held]
        with self._transaction():
            self._db.executemany(spoolfile.INSERT, rows)
            self._db.executemany(spoolfile.DATE, dates)

    def close(self) -> None:
        """Commit and close, whether or not the card takes it."""
        with self._lock:
            try:
                self.commit()
            finally:
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
                settled.changes.clear()  # they are for a copy on disk; here they would only grow
                self._through[entry.log] = max(self._through.get(entry.log, 0), entry.through)

    def unsettle(self) -> None:
        """Another store: nothing is settled until it says so."""
        with self._lock:
            self._settled.clear()
            self._through.clear()

    def settled(self, name: str) -> RangeSet:
        """What receipts settled of a log."""
        with self._lock:
            return (self._settled.get(name) or RangeSet()).copy()

    def contradicts(self, entry: wire.ReceiptLog) -> bool:
        """Whether a receipt lacks what an earlier one of the same store settled. A full one says nothing below its
        first range."""
        said = RangeSet([(1, entry.through), *entry.settled])
        floor = entry.settled[0][0] if len(entry.settled) >= wire.RECEIPT_RANGES else 1
        with self._lock:
            known = self._settled.get(entry.log) or RangeSet()
            if entry.through < self._through.get(entry.log, 0):
                return True
            return any(said.missing(max(a, floor), b) for a, b in known)

    def is_settled(self, name: str, seq: int) -> bool:
        with self._lock:
            return name in self._settled and seq in self._settled[name]

    def statement(self) -> wire.Statement:
        """What the card still holds, per log, and the present opening."""
        with self._card():
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

    def unsettled(self, name: str, limit: int, skip: RangeSet, newest: bool = False) -> list[Sample]:
        """The oldest committed samples of a log that no receipt settled, or the newest, in order of their numbers,
        without those of `skip`. One with a `moment` waits for a date."""
        return self._read(name, limit, skip, spoolfile.SELECT_NEWEST if newest else spoolfile.SELECT, newest=newest)

    def undated(self, name: str, limit: int, skip: RangeSet, boot: str) -> list[Sample]:
        """Of `unsettled` those that were read in that boot by a clock that was not set, and have no date yet."""
        found = self._read(name, limit, skip, spoolfile.SELECT_UNDATED, boot)
        return [sample for sample in found if sample.moment is not None]

    def _read(
        self, name: str, limit: int, skip: RangeSet, sql: str, *more: object, newest: bool = False
    ) -> list[Sample]:
        with self._card():
            if name not in self._held:
                return []
            log_id, oldest, next_ = self._held[name]
            passed = (self._settled.get(name) or RangeSet()).copy()
            for a, b in skip:
                passed.add(a, b)
            out: list[Sample] = []
            missing = passed.missing(oldest, next_ - 1)
            for a, b in reversed(missing) if newest else missing:
                for row in self._db.execute(sql, (log_id, a, b, *more, limit - len(out))).fetchall():
                    try:
                        sample = spoolfile.to_sample(name, *row)
                    except (TypeError, ValueError) as e:
                        log.error("sample %d of log %s is damaged on the card (%s); given up", row[0], name, e)
                        self._delete(name, row[0], row[0], GoneReason.DAMAGED)
                    else:
                        with self._numbers:
                            out.append(self._as_dated(sample))
                if len(out) >= limit:
                    break
            return out[::-1] if newest else out

    def depth(self) -> tuple[int, int]:
        """(samples not settled, samples on the card)."""
        with self._card():
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
        with self._card():
            pages, free, size = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            return int((pages - free) * size)

    def _make_room(self) -> None:
        """At the ceiling of bytes the oldest reclaimable rows go; where none is left, the oldest unsettled ones,
        declared gone. At the ceiling of logs the oldest wholly settled one goes; where none is, the oldest."""
        while self.used_bytes() >= self._max_bytes:
            if not self._reclaim_oldest() and not self._give_up_oldest():
                break
        closed = [name for name in self._with_rows() if name != self.opening]
        for _ in range(len(closed) + 1 - MAX_LOGS):
            whole = next((name for name in closed if not self.unsettled(name, 1, RangeSet())), None)
            if whole is None:
                while self._give_up(closed[0], GoneReason.LOG_LIMIT):
                    pass
            else:
                while self._reclaim(whole):
                    pass
            closed.remove(whole or closed[0])

    def _with_rows(self) -> list[str]:
        return [name for name, (_, oldest, next_) in self._held.items() if oldest < next_]

    def _reclaim_oldest(self) -> bool:
        """Delete the oldest settled rows of the oldest log that has any; whether any went."""
        return any(self._reclaim(name) for name in self._with_rows())

    def _reclaim(self, name: str) -> bool:
        """Delete the oldest settled rows of a log; whether any went."""
        log_id, oldest, _ = self._held.get(name, (0, 0, 0))
        sql = """SELECT min(seq), max(seq) FROM
                 (SELECT seq FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?)"""
        for a, b in self._settled.get(name, RangeSet()):
            first, last = self._db.execute(sql, (log_id, max(a, oldest), b, self._reclaim_rows)).fetchone()
            if first is not None:
                # A hole is declared: to another store, to which the rows are not settled, nothing else would tell it.
                self._delete(name, first, last, GoneReason.NO_SPACE if first > oldest else None)
                return True
        return False

    def _give_up_oldest(self) -> bool:
        """Thin the oldest log; whether there was one."""
        return any(self._give_up(name, GoneReason.NO_SPACE) for name in self._with_rows())

    def _give_up(self, name: str, reason: GoneReason) -> bool:
        """Give up the oldest rows of a log. Said in the next statement, with its reason. Whether any went."""
        log_id, oldest, _ = self._held.get(name, (0, 0, 0))
        sql = "SELECT max(seq) FROM (SELECT seq FROM samples WHERE log_id = ? ORDER BY seq LIMIT ?)"
        (last,) = self._db.execute(sql, (log_id, self._reclaim_rows)).fetchone()
        if last is None:
            return False
        if not self._full:
            log.error("the spool is full: the oldest samples that the bridge does not have are given up (%s)", reason)
            self._full = True
        self._delete(name, oldest, last, reason)
        return True

    def _delete(self, name: str, first: int, last: int, reason: GoneReason | None) -> None:
        """Delete rows and, where there is a reason, declare their numbers gone: both or neither."""
        log_id, _, next_ = self._held[name]
        with self._transaction():
            if reason is not None:
                self._declare(log_id, first, last, reason)
            self._db.execute("DELETE FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ?", (log_id, first, last))
        (oldest,) = self._db.execute("SELECT min(seq) FROM samples WHERE log_id = ?", (log_id,)).fetchone()
        told = "SELECT 1 FROM gone WHERE log_id = ? LIMIT 1"
        if oldest is None and name != self.opening and self._db.execute(told, (log_id,)).fetchone() is None:
            del self._held[name]
        else:  # an empty log stays listed where a reason is to be told
            self._held[name] = (log_id, oldest or next_, next_)

    def _declare(self, log_id: int, first: int, last: int, reason: GoneReason) -> None:
        """One range with the one before, where nothing is held between, so that statements stay small."""
        before = "SELECT a, reason FROM gone WHERE log_id = ? AND a <= ? ORDER BY a DESC LIMIT 1"
        held = "SELECT 1 FROM samples WHERE log_id = ? AND seq >= ? AND seq < ? LIMIT 1"
        a, why = self._db.execute(before, (log_id, first)).fetchone() or (0, None)
        if why == reason and self._db.execute(held, (log_id, a, first)).fetchone() is None:
            first = a
        self._db.execute("INSERT OR REPLACE INTO gone VALUES (?,?,?,?)", (log_id, first, last, reason.value))
