"""What is done with a damaged spool: it is set aside under its date, and a new one is begun with everything of the old
one that can still be read, each sample under its own log and number. What a log had and cannot be read any more is
declared gone, `damaged`. The agent starts in any case.

The new file is complete before the old one moves. A power cut in between finds either the damaged file in its place,
and all of this is done again, or none there, and only names are left to be changed.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.disk import Disk, transaction
from gateway.edge import spoolfile
from gateway.edge.held import Gone, HeldLog
from gateway.errors import GoneReason, NoticeCode
from gateway.model import Sample
from gateway.ranges import RangeSet

log = logging.getLogger(__name__)

ATTEMPTS = 20_000  # failed reads: some hundred pages' worth; then what is left of the file is taken for unreadable
BEYOND = 100_000  # how far behind unreadable rows others are looked for where the last number cannot be read
BATCH = 1000
KEPT = 3  # damaged files that are kept for people; a card is small
NEW = ".new"
PARTS = ("", "-wal", "-shm")


def open_or_set_aside(path: Path, disk: Disk, now_ms: int) -> sqlite3.Connection:
    """The spool's file, sound. Raises sqlite3.Error or OSError for what may pass, Unavailable for a newer version."""
    _finish(path, disk)
    try:
        return spoolfile.open_sound(path, disk)
    except sqlite3.Error as e:
        if getattr(e, "sqlite_errorcode", None) is not None and not spoolfile.is_damage(e):  # no code: our own check
            raise
        set_aside(path, disk, now_ms, e)
        return spoolfile.open_sound(path, disk)


def set_aside(
    path: Path, disk: Disk, now_ms: int, why: Exception, known: Iterable[HeldLog] = (), pending: Iterable[Sample] = ()
) -> None:
    """`known`: the logs as the agent that met the damage remembers them; `pending`: its samples that no file has."""
    aside = _free_name(path, datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ"))
    log.error("the spool %s is damaged (%s); set aside as %s, a new one is begun", path, why, aside.name)
    new = aside.with_name(aside.name + NEW)
    db = spoolfile.open_sound(new, disk)
    whole = True
    try:
        with transaction(db):
            spoolfile.remember(db, NoticeCode.SPOOL_DAMAGED, now_ms)
        rescue = _Rescue(db, {entry.name: entry for entry in known}, {})
        for sample in pending:
            rescue.pending.setdefault(sample.log, []).append(sample)
        rescue.run(path, disk)
        log.warning("of the damaged spool %d samples were saved, %d could not be read", rescue.saved, rescue.lost)
    except sqlite3.OperationalError as e:
        whole = False
        log.error("not all of the damaged spool could be copied (%s); the rest is in %s alone", e, aside.name)
    finally:
        db.close()  # the last connection: from now on the file is whole without a write-ahead log beside it
    disk.sync_folder(path.parent)
    disk.rename(path, aside)
    disk.sync_folder(path.parent)
    _finish(path, disk)
    if whole:
        for old in sorted(set(_damaged(path)) - {aside})[: -(KEPT - 1)]:
            for part in PARTS:
                disk.remove(old.with_name(old.name + part))


def _damaged(path: Path) -> list[Path]:
    return [p for p in path.parent.glob(f"{path.name}.damaged-*") if not p.name.endswith((*PARTS[1:], NEW))]


def _finish(path: Path, disk: Disk) -> None:
    """After a power cut while a file was set aside: from where it stood."""
    for new in path.parent.glob(f"{path.name}.damaged-*{NEW}"):
        if path.exists():  # the damaged file is still in its place: the copy may be half done
            for part in PARTS:
                disk.remove(new.with_name(new.name + part))
            continue
        aside = new.with_name(new.name.removesuffix(NEW))
        for part in PARTS[1:]:  # never to be met by the new file
            left = path.with_name(path.name + part)
            if left.exists():
                disk.rename(left, aside.with_name(aside.name + part))
        disk.sync_folder(path.parent)
        disk.rename(new, path)
        disk.sync_folder(path.parent)


def _free_name(path: Path, stamp: str) -> Path:
    """A device without a clock of its own may meet the same second again."""
    names = (path.with_name(f"{path.name}.damaged-{stamp}{f'-{n}' if n else ''}") for n in range(1000))
    return next(name for name in names if not any(name.with_name(name.name + s).exists() for s in ("", NEW)))


@dataclass(slots=True)
class _Rescue:
    """Copies row by row what can be read. `failures` bounds the patience with what cannot."""

    db: sqlite3.Connection
    known: Mapping[str, HeldLog]
    pending: dict[str, list[Sample]]
    failures: int = 0
    saved: int = 0
    lost: int = 0
    gone: dict[int, list[Gone]] = field(default_factory=dict)

    def run(self, path: Path, disk: Disk) -> None:
        """Newest log first: if the card has no room for all, the newest matter most."""
        with contextlib.closing(disk.connect(path, write=False)) as old:
            old.text_factory = lambda raw: raw.decode("utf-8", "replace")
            old.execute("PRAGMA writable_schema = ON")  # or SQLite reads nothing of a file that is torn off
            for log_id, a, b, reason in self._readable(old, "SELECT log_id, a, b, reason FROM gone"):
                if reason in GoneReason._value2member_map_ and isinstance(a, int) and isinstance(b, int) and 0 < a <= b:
                    self.gone.setdefault(log_id, []).append((a, b, reason))
            found = {
                name: (log_id, ms) for log_id, name, ms in self._readable(old, "SELECT id, log, opened_ms FROM logs")
            }
            found |= {name: (entry.id, found.get(name, (0, 0))[1]) for name, entry in self.known.items()}
            version = next(iter(self._readable(old, "PRAGMA user_version")), (1,))[0]
            select = spoolfile.SELECT if version > 1 else spoolfile.SELECT_1
            for name, (log_id, opened_ms) in sorted(found.items(), key=lambda item: -item[1][0]):
                if isinstance(log_id, int) and isinstance(opened_ms, int):
                    self._log(old, select, log_id, name, opened_ms)

    def _readable(self, old: sqlite3.Connection, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """The rows up to the first that cannot be read."""
        try:
            yield from old.execute(sql, values)
        except sqlite3.Error:
            self.failures += 1

    def _log(self, old: sqlite3.Connection, select: str, log_id: int, name: str, opened_ms: int) -> None:
        entry = self.known.get(name)
        gone = list(entry.gone) if entry else self.gone.get(log_id, [])
        waiting = self.pending.get(name, [])
        newest = entry.next - 1 if entry else self._newest(old, log_id, gone)
        with transaction(self.db):
            self.db.execute("INSERT INTO logs (id, log, opened_ms) VALUES (?,?,?)", (log_id, name, opened_ms))
        held, unread = RangeSet(), RangeSet()
        for rows in self._batches(old, select, log_id, newest, unread):
            good = []
            for row in rows:
                try:
                    good.append(spoolfile.to_row(log_id, spoolfile.to_sample(name, *row)))
                except (TypeError, ValueError):
                    unread.add(row[0])
                else:
                    held.add(row[0])
            with transaction(self.db):
                self.db.executemany(spoolfile.INSERT, good)
            self.saved += len(good)
        for sample in waiting:
            held.add(sample.seq)
        with transaction(self.db):
            self.db.executemany(spoolfile.INSERT, [spoolfile.to_row(log_id, sample) for sample in waiting])
            self._declare(log_id, entry, gone, held, unread)

    def _declare(self, log_id: int, entry: HeldLog | None, gone: list[Gone], held: RangeSet, unread: RangeSet) -> None:
        """Every number from the oldest on is held or gone; below it, only what is known to be unreadable is told."""
        told = [(x, y, why) for a, b, why in gone for x, y in held.missing(a, b)]
        spoken = RangeSet([*held, *((a, b) for a, b, _ in told)])
        top = entry.next - 1 if entry else max((b for _, b in spoken), default=0)
        oldest = entry.oldest if entry else next((a for a, _ in held), top + 1)
        lost = RangeSet(spoken.missing(oldest, top))
        for a, b in unread:
            for x, y in spoken.missing(a, min(b, top)):
                lost.add(x, y)
        self.lost += lost.count
        new = HeldLog.of(log_id, "", oldest, top + 1, [*told, *((a, b, GoneReason.DAMAGED.value) for a, b in lost)])
        HeldLog(log_id, "").write_gone(self.db, new)
        if top == 0:
            self.db.execute("DELETE FROM logs WHERE id = ?", (log_id,))

    def _newest(self, old: sqlite3.Connection, log_id: int, gone: list[Gone]) -> int:
        """The last number of a log, or one far enough behind it."""
        known = max((b for _, b, _ in gone), default=0)
        before = self.failures
        sql = "SELECT max(seq) FROM samples WHERE log_id = ?"
        row = next(iter(self._readable(old, sql, log_id)), (None,))
        if self.failures == before:
            return max(row[0] or 0, known)
        sql = "SELECT seq FROM samples WHERE log_id = ? ORDER BY seq"
        last = 0
        for (seq,) in self._readable(old, sql, log_id):
            last = seq
        return max(last, known) + BEYOND

    def _batches(
        self, old: sqlite3.Connection, select: str, log_id: int, newest: int, unread: RangeSet
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Every row that can be read. Where reading stops, the rest is halved until the unreadable stands alone."""
        left = [(1, newest)] if newest else []
        while left:
            a, b = left.pop()
            rows: list[tuple[Any, ...]] = []
            try:
                for row in old.execute(select, (log_id, a, b, -1)):
                    if isinstance(row[0], int):
                        rows.append(row)
                    if len(rows) == BATCH:
                        yield rows
                        a, rows = rows[-1][0] + 1, []
            except sqlite3.Error:
                self.failures += 1
                if rows:
                    a = rows[-1][0] + 1
                if a >= b or self.failures > ATTEMPTS:
                    unread.add(a, b)
                else:
                    middle = (a + b) // 2
                    left += [(middle + 1, b), (a, middle)]
            if rows:
                yield rows
