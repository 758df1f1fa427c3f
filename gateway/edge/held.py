"""What the card holds of one log, as arithmetic: every number below `next` that is neither below `oldest` nor gone.

The rows are never counted and never looked at for this: a spool of a million samples opens, and tells its depth, as
quickly as an empty one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway import wire
from gateway.errors import GoneReason
from gateway.ranges import Range, RangeSet

Gone = tuple[int, int, str]  # first and last number, reason

LOAD = """SELECT log, id, (SELECT min(seq) FROM samples WHERE log_id = id),
  (SELECT max(seq) FROM samples WHERE log_id = id) FROM logs ORDER BY id"""


@dataclass(frozen=True, slots=True)
class HeldLog:
    """Never changed, only replaced once the card has taken the change. `gone` rises, its ranges are apart, and two
    neighbours of one reason have a held number between them."""

    id: int
    name: str
    oldest: int = 1
    next: int = 1
    gone: tuple[Gone, ...] = ()
    _lacks: RangeSet = field(default_factory=RangeSet, compare=False, repr=False)

    @classmethod
    def of(cls, id_: int, name: str, oldest: int, next_: int, gone: Iterable[Gone]) -> HeldLog:
        """With `oldest` moved on to the first number that is held, and neighbours in `gone` made one."""
        ordered = sorted(gone)
        lacks = RangeSet((a, b) for a, b, _ in ordered)
        first = next(iter(lacks.missing(oldest, next_ - 1)), None)
        oldest = first[0] if first else next_
        kept: list[Gone] = []
        for a, b, reason in ordered:
            if kept and kept[-1][2] == reason and (a <= kept[-1][1] + 1 or a <= oldest):
                kept[-1] = (kept[-1][0], max(kept[-1][1], b), reason)
            else:
                kept.append((a, b, reason))
        return cls(id_, name, oldest, next_, tuple(kept), lacks)

    def held(self, a: int, b: int) -> list[Range]:
        """The held numbers from a to b, as ranges."""
        return self._lacks.missing(max(a, self.oldest), min(b, self.next - 1))

    @property
    def count(self) -> int:
        """How many samples are held."""
        return sum(b - a + 1 for a, b in self.held(self.oldest, self.next - 1))

    def unsettled(self, settled: RangeSet) -> int:
        """How many of them are not in `settled`."""
        return sum(b - a + 1 for x, y in self.held(self.oldest, self.next - 1) for a, b in settled.missing(x, y))

    def without(self, ranges: Iterable[Range], reason: GoneReason | None) -> HeldLog:
        """As it is once those rows are deleted. Without a reason only the oldest may go."""
        oldest, lost = self.oldest, list[Gone]()
        for a, b in ranges:
            if reason:
                lost += [(x, y, reason.value) for x, y in self.held(a, b)]
            elif a <= oldest <= b:
                oldest = b + 1
        return HeldLog.of(self.id, self.name, oldest, self.next, [*self.gone, *lost])

    def adjoins(self, a: int, b: int) -> bool:
        """Whether the numbers from a to b could go without one hole more to be told of."""
        return a <= self.oldest or a - 1 in self._lacks or b + 1 in self._lacks

    def grown(self, next_: int, lost: Iterable[Gone]) -> HeldLog:
        """As it is once the numbers below `next_` are written, but for those that are lost."""
        return HeldLog.of(self.id, self.name, self.oldest, next_, [*self.gone, *lost])

    def stated(self) -> wire.StatementLog:
        return wire.StatementLog(self.name, self.oldest, self.next, list(self.gone))

    def write_gone(self, db: sqlite3.Connection, new: HeldLog) -> None:
        """Bring the table of what is gone from this to the new one; within the caller's transaction."""
        before, after = set(self.gone), set(new.gone)
        db.executemany("DELETE FROM gone WHERE log_id = ? AND a = ?", [(self.id, a) for a, _, _ in before - after])
        db.executemany("INSERT INTO gone VALUES (?,?,?,?)", [(self.id, *entry) for entry in after - before])


def load(db: sqlite3.Connection) -> list[HeldLog]:
    """What the file holds of each log, oldest log first; logs of which nothing is known are left out."""
    gone: dict[int, list[Gone]] = {}
    for log_id, a, b, reason in db.execute("SELECT log_id, a, b, reason FROM gone").fetchall():
        gone.setdefault(log_id, []).append((a, b, reason))
    logs = []
    for name, log_id, oldest, newest in db.execute(LOAD).fetchall():
        lost = gone.get(log_id, [])
        next_ = max(newest or 0, max((b for _, b, _ in lost), default=0)) + 1
        if next_ > 1:
            logs.append(HeldLog.of(log_id, name, oldest or next_, next_, lost))
    return logs


def begin(db: sqlite3.Connection, opening: str, now_ms: int, most: int) -> dict[str, HeldLog]:
    """Begin a log, within the caller's transaction; it and what the file holds of earlier ones, by name. Logs of which
    no row is left are forgotten; those of them that are listed only for the reason why go first above `most`."""
    logs = load(db)
    empty = [entry.name for entry in logs if not entry.count]
    dropped = set(empty[: max(0, len(logs) + 1 - most)])
    found = {entry.name: entry for entry in logs if entry.name not in dropped}
    cursor = db.execute("INSERT INTO logs (log, opened_ms) VALUES (?, ?)", (opening, now_ms))
    found[opening] = HeldLog(int(cursor.lastrowid or 0), opening)
    kept = tuple(entry.id for entry in found.values())
    marks = ",".join("?" * len(kept))
    for table, column in (("logs", "id"), ("gone", "log_id")):
        db.execute(f"DELETE FROM {table} WHERE {column} NOT IN ({marks})", kept)  # noqa: S608
    return found


def contradicts(entry: wire.ReceiptLog, known: RangeSet, through: int) -> bool:
    """Whether a receipt lacks what an earlier one settled: `known` and `through` of that log. A full one says nothing
    below its first range."""
    said = RangeSet([(1, entry.through), *entry.settled])
    floor = entry.settled[0][0] if len(entry.settled) >= wire.RECEIPT_RANGES else 1
    return entry.through < through or any(said.missing(max(a, floor), b) for a, b in known)
