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
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gateway import storefile, wire
from gateway.disk import DISK, Disk, transaction
from gateway.edge import capacity, held, rescue, spoolfile
from gateway.edge.grouped import MAX_PENDING, Key, Pending, Work
from gateway.edge.held import HeldLog
from gateway.edge.room import MAX_LOGS, RECLAIM_ROWS, Room
from gateway.edge.spoolfile import Damaged
from gateway.edge.thinning import BLOCK_ROWS
from gateway.errors import GoneReason, NoticeCode, Unavailable
from gateway.model import ClockState, Moment, Reading, Sample
from gateway.ranges import RangeSet

log = logging.getLogger(__name__)

TRY_EVERY_S = 30.0  # at least: a card that could not be opened at the start
NOTE_EVERY_S = 600.0  # how often a commit also notes for `suimon edge status` what only memory knows


class Spool:
    """Open one per process. Methods may be called from any thread. Raises Unavailable where no spool can be had;
    every method that touches the card may raise sqlite3.Error, which may pass, or Damaged, which does not."""

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        now_ms: int,
        reclaim_rows: int = RECLAIM_ROWS,
        disk: Disk = DISK,
        *,
        bytes_per_s: float = 0.0,
        block_rows: int = BLOCK_ROWS,
        max_pending: int = MAX_PENDING,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bytes_per_s`: what the sensors add, for the capacity in hours. `now`: seconds of a clock that nobody
        sets."""
        self._rate, self._now = bytes_per_s, now
        self._lock = threading.RLock()  # held while the card writes
        self._damage: Damaged | None = None
        self._held: dict[str, HeldLog] = {}  # oldest log first, the opening's own last
        self._settled: dict[str, RangeSet] = {}
        self._through: dict[str, int] = {}
        self._heard = False  # a receipt: before the first one nobody knows what is unsettled
        self._watch = capacity.Watch(path, now)
        self._noted_s = now() - NOTE_EVERY_S
        self._remember: set[NoticeCode] = set()  # to be noted on the card by the next commit
        self.opening = secrets.token_hex(6)
        self._pending = Pending(self.opening, max_pending)
        self.is_open = False
        self._closed: sqlite3.Error | OSError | None = None  # why the card could not be opened yet
        self._next_try = 0.0
        self._used = 0
        self._file_lock = storefile.lock(path, "agent")
        self._path, self._disk, self._opened = path, disk, (now_ms, now())
        self._max_bytes, self._limits = max_bytes, (reclaim_rows, block_rows)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, self._file_lock)
            try:
                self._open()
            except (sqlite3.Error, OSError) as e:
                if not spoolfile.may_pass(e, path):
                    raise Unavailable(f"cannot use the spool {path}: {e}") from e
                self._watch.refused(e, 0)
            undo.pop_all()

    def _open(self) -> None:
        """Raises sqlite3.Error or OSError; then nothing is open, and a card that only refuses now is asked again."""
        began_ms, began = self._opened
        now_ms = began_ms + round((self._now() - began) * 1000)
        begun = self._now()
        try:
            try:
                self._begin(now_ms)
            except sqlite3.Error as e:  # damage that the file's own check does not see
                if not spoolfile.is_damage(e):
                    raise
                self._held.clear()
                rescue.set_aside(self._path, self._disk, now_ms, e)
                self._begin(now_ms)
        except (sqlite3.Error, OSError) as e:
            self._held.clear()
            self._closed = e
            self._next_try = begun + min(TRY_EVERY_S, 10 * (self._now() - begun))
            raise

    def _begin(self, now_ms: int) -> None:
        with contextlib.ExitStack() as undo:
            self._db = rescue.open_or_set_aside(self._path, self._disk, now_ms)
            undo.callback(self._db.close)
            self._room = Room(self._db, self._held, self._settled, self.opening, self._max_bytes, *self._limits)
            self._load(now_ms)
            self._used = self._room.used_bytes()
            undo.pop_all()
        self.is_open = True

    def _open_late(self) -> None:
        """A card that refused at the start: at each commit, or less often where the look itself takes a while. Until
        then samples wait in memory and go out live. Raises sqlite3.Error."""
        if self.is_open:
            return
        assert self._closed is not None
        if self._now() >= self._next_try:
            with contextlib.suppress(sqlite3.Error, OSError):
                self._open()
        if not self.is_open:
            self._watch.refused(self._closed, len(self._pending))
            raise sqlite3.OperationalError(str(self._closed))

    def _load(self, now_ms: int) -> None:
        """Begin a log, and find what the card holds of earlier ones."""
        with transaction(self._db):
            self._held.update(held.begin(self._db, self.opening, now_ms, MAX_LOGS))
        self._log_id = self._held[self.opening].id
        for code, at_ms in spoolfile.remembered(self._db).items():
            self._watch.began(code, (now_ms - at_ms) / 1000)

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
        return self._pending.append(observed_ms, clk, readings, moment, raised)

    def date(self, name: str, seq: int, observed_ms: int, clk: ClockState) -> None:
        """Freeze the time of a sample that had only a moment, at its first send with an absolute time. Every later
        reading of it has that time and no moment; durable at the next commit. The first date stands."""
        self._pending.date(name, seq, observed_ms, clk)

    def commit(self) -> int:
        """Make durable what was appended and dated; returns how many samples were appended. Raises sqlite3.Error, and
        then they stay pending; Damaged."""
        with self._card():
            self._open_late()
            work = self._pending.work()
            if not work:
                return 0
            try:
                self._make_room()
                changed = self._write_or_reclaim(work)
            except sqlite3.Error as e:
                if not spoolfile.is_damage(e):
                    self._watch.refused(e, len(work.batch))
                raise
            self._follow(work, changed)
            return len(work.batch)

    def _make_room(self) -> None:
        before = self._room.given_up
        try:
            self._room.make()
        finally:
            if self._room.given_up > before:
                self._watch.thinned(self._room.given_up - before)
                self._remember.add(NoticeCode.SPOOL_THINNED)

    def _write_or_reclaim(self, work: Work) -> list[HeldLog]:
        try:
            return self._write(work)
        except sqlite3.OperationalError as e:
            # The card is fuller than our ceiling says: what is settled gives way, unless the file had room.
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
            if e.sqlite_errorcode != sqlite3.SQLITE_FULL or free or not self._room.reclaim_oldest():
                raise
            return self._write(work)

    def _write(self, work: Work) -> list[HeldLog]:
        """One transaction; returns the logs as they are after it."""
        changed = work.changed(self._held, self.opening)
        away = work.acknowledged.get(self.opening) or RangeSet()
        rows = [spoolfile.to_row(self._log_id, sample) for sample in work.batch if sample.seq not in away]
        dates = [
            (ms, clk.value, self._held[name].id, seq)
            for (name, seq), (ms, clk) in work.dated.items()
            if name in self._held
        ]
        with transaction(self._db):
            self._db.executemany(spoolfile.INSERT, rows)
            self._db.executemany(spoolfile.DATE, dates)
            for new in changed:
                self._held[new.name].write_gone(self._db, new)
            for name, ranges in work.acknowledged.items():
                if name in self._held:
                    away_rows = [(self._held[name].id, a, b) for a, b in ranges]
                    self._db.executemany(spoolfile.DELETE, away_rows)
            self._note(work)
        return changed

    def _follow(self, work: Work, changed: list[HeldLog]) -> None:
        """Memory follows the commit. What was appended, dated or dropped while it wrote is the next one's."""
        self._held.update({entry.name: entry for entry in changed})
        self._pending.written(work, self._held[self.opening].next - 1)
        self._watch.taken()
        self._used = self._room.used_bytes()
        if self._heard:
            self._watch.filled(self._unsettled_bytes() / self._room.max_bytes)

    def _note(self, work: Work) -> None:
        """Within a commit that is made anyway, and seldom: what the card alone does not tell."""
        now = self._now()
        if work.batch and now - self._noted_s >= NOTE_EVERY_S:
            self._noted_s = now
            note = spoolfile.Note(
                work.batch[-1].observed_ms,
                self.opening,
                self.depth()[0] if self._heard else None,
                self._watch.notices(),
            )
            spoolfile.write_note(self._db, note, self._remember)
            self._remember.clear()

    def close(self) -> None:
        """Commit and close, whether or not the card takes it. A damaged file is set aside, and what memory knows goes
        into the new one: the samples that wait, and which numbers are lost. Raises sqlite3.Error."""
        with self._lock:
            try:
                try:
                    self.commit()
                except Damaged as e:
                    self._db.close()
                    self._move_on(e)
                finally:
                    if self.is_open:
                        self._db.close()
            finally:
                os.close(self._file_lock)

    def _move_on(self, why: Damaged) -> None:
        work = self._pending.work()
        logs = self._held | {entry.name: entry for entry in work.changed(self._held, self.opening)}
        began_ms, began = self._opened
        now_ms = began_ms + round((self._now() - began) * 1000)
        rescue.set_aside(self._path, self._disk, now_ms, why, logs.values(), work.batch)

    # --- receipts ----------------------------------------------------------------------------------------------

    def settle(self, receipt: wire.Receipt) -> None:
        """Believe a receipt of the present opening and store; the caller has checked both."""
        with self._lock:
            self._heard = True
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
            self._heard = False
            self._settled.clear()
            self._through.clear()

    def delete_acknowledged(self, keys: Iterable[Key]) -> None:
        """By configuration only (delivery: puback): the broker's word is taken for the bridge's. Settled at once, and
        deleted by the next commit, so that a restart does not send them again; the numbers are declared, for the
        bridge may never have had them."""
        with self._lock:
            self._heard = True
            for name, seq in keys:
                if name in self._held:
                    settled = self._settled.setdefault(name, RangeSet())
                    settled.add(seq)
                    settled.changes.clear()
                    self._pending.acknowledge(name, seq)

    def set_aside(self, name: str, seq: int) -> None:
        """A sample that the bridge's receipts pass over even where it is sent alone: kept apart, and declared gone."""
        with self._card():
            if name in self._held and self._held[name].held(seq, seq):
                self._room.set_aside(name, seq)

    def settled(self, name: str) -> RangeSet:
        """What receipts settled of a log."""
        with self._lock:
            return (self._settled.get(name) or RangeSet()).copy()

    def contradicts(self, entry: wire.ReceiptLog) -> bool:
        """Whether a receipt lacks what an earlier one of the same store settled. A full one says nothing below its
        first range."""
        with self._lock:
            known = self._settled.get(entry.log) or RangeSet()
            return held.contradicts(entry, known, self._through.get(entry.log, 0))

    def is_settled(self, name: str, seq: int) -> bool:
        with self._lock:
            return name in self._settled and seq in self._settled[name]

    def statement(self) -> wire.Statement:
        """What the card still holds, per log, and the present opening; what concerns staff; the share of the spool that
        is unsettled and the hours it lasts without a bridge, both None before a receipt. Reads no card."""
        with self._lock:
            logs = [entry.stated() for entry in self._held.values()]
            unsettled = self._unsettled_bytes()
            hours = capacity.hours(max(0.0, self._room.max_bytes - unsettled), self._rate) if self._heard else None
            return wire.Statement(
                self.opening,
                logs,
                self._watch.notices(),
                round(unsettled / self._room.max_bytes, 3) if self._heard else None,
                None if hours is None else round(hours, 1),
            )

    def notices(self) -> list[str]:
        """What of the spool concerns staff, as codes."""
        with self._lock:
            return self._watch.notices()

    def _unsettled_bytes(self) -> float:
        unsettled, count = self.depth()
        return self._used * unsettled / count if count else 0.0

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
            entry = self._held[name]
            passed = (self._settled.get(name) or RangeSet()).copy()
            for a, b in skip:
                passed.add(a, b)
            out: list[Sample] = []
            missing = passed.missing(entry.oldest, entry.next - 1)
            for a, b in reversed(missing) if newest else missing:
                for row in self._db.execute(sql, (entry.id, a, b, *more, limit - len(out))).fetchall():
                    try:
                        sample = spoolfile.to_sample(name, *row)
                    except (TypeError, ValueError) as e:
                        log.error("sample %d of log %s is damaged on the card (%s); given up", row[0], name, e)
                        self._room.lose(name, row[0], GoneReason.DAMAGED)
                    else:
                        out.append(self._pending.as_dated(sample))
                if len(out) >= limit:
                    break
            return out[::-1] if newest else out

    def depth(self) -> tuple[int, int]:
        """(samples not settled, samples that the device has), those in memory included. Reads no card."""
        with self._lock:
            pending = len(self._pending)
            count = sum(entry.count for entry in self._held.values())
            nothing = RangeSet()
            unsettled = sum(entry.unsettled(self._settled.get(name, nothing)) for name, entry in self._held.items())
            return unsettled + pending, count + pending

    def used_bytes(self) -> int:
        """Bytes of the file that hold something; freed pages are used again."""
        with self._card():
            return self._room.used_bytes() if self.is_open else 0
