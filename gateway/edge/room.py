"""Room on the card: what is deleted when space is needed. Settled rows first, then what `thinning` names; at the limit
of logs, the oldest log. Deleting and declaring are one transaction, and memory follows it.
"""

from __future__ import annotations

import logging
import sqlite3

from gateway.disk import transaction
from gateway.edge import spoolfile
from gateway.edge.held import HeldLog
from gateway.edge.thinning import BLOCK_ROWS, GONE_RANGES, Thinning
from gateway.errors import GoneReason
from gateway.ranges import Range, RangeSet

log = logging.getLogger(__name__)

MAX_LOGS = 200
MOST_ASIDE = 1000  # rows kept apart; beyond, the oldest go
RECLAIM_ROWS = 1000  # rows freed in one go when space is needed


class Room:
    """Works on the spool's own memory of its logs: `held`, oldest log first and the opening's last, and `settled`."""

    def __init__(
        self,
        db: sqlite3.Connection,
        held: dict[str, HeldLog],
        settled: dict[str, RangeSet],
        opening: str,
        max_bytes: int,
        reclaim_rows: int = RECLAIM_ROWS,
        block_rows: int = BLOCK_ROWS,
        gone_ranges: int = GONE_RANGES,
    ) -> None:
        self._db, self._held, self._settled, self._opening = db, held, settled, opening
        self.max_bytes, self._reclaim_rows, self._gone_ranges = max_bytes, reclaim_rows, gone_ranges
        self._thinning = Thinning(db, block_rows, gone_ranges)
        self.given_up = 0  # samples that the bridge did not have, since this opening

    def used_bytes(self) -> int:
        """Bytes of the file that hold something; freed pages are used again."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def make(self) -> None:
        """Delete until the ceilings of bytes and of logs hold."""
        while self.used_bytes() >= self.max_bytes:
            if not self.reclaim_oldest() and not self._thin():
                break
        closed = [name for name, entry in self._held.items() if entry.count and name != self._opening]
        for _ in range(len(closed) + 1 - MAX_LOGS):
            whole = next((name for name in closed if not self._unsettled(name)), None)
            if whole is None:
                while (entry := self._held[closed[0]]).count:
                    last = min(entry.oldest + self._reclaim_rows, entry.next) - 1
                    self._give_up(entry, entry.oldest, last, GoneReason.LOG_LIMIT)
            else:
                while whole in self._held and self._reclaim(self._held[whole]):
                    pass
            closed.remove(whole or closed[0])

    def _unsettled(self, name: str) -> int:
        return self._held[name].unsettled(self._settled.get(name) or RangeSet())

    def reclaim_oldest(self) -> bool:
        """Delete the oldest settled rows of the oldest log that has any; whether any went."""
        return any(self._reclaim(entry) for entry in list(self._held.values()))

    def _reclaim(self, entry: HeldLog) -> bool:
        """Delete the oldest settled rows of a log; whether any went. Where the statement is crowded with holes, only
        rows that make no new one."""
        holes = self._gone_ranges - sum(len(other.gone) for other in self._held.values())
        chosen: list[Range] = []
        left = self._reclaim_rows
        for x, y in self._settled.get(entry.name) or ():
            for a, b in entry.held(x, y):
                last = min(b, a + left - 1)
                if left <= 0 or (holes <= 0 and not entry.adjoins(a, last)):
                    continue
                holes -= not entry.adjoins(a, last)
                left -= last - a + 1
                chosen.append((a, last))
            if left <= 0:
                break
        if not chosen:
            return False
        # A hole is declared: to another store, to which the rows are not settled, nothing else would tell it.
        head = chosen[:1] if chosen[0][0] <= entry.oldest else []
        new = entry.without(head, None)
        self._delete(entry, new.without(chosen[len(head) :], GoneReason.NO_SPACE), chosen)
        return True

    def _thin(self) -> bool:
        """Give up what is to go first; whether there was anything."""
        block = self._thinning.next(list(self._held.values()))
        if block is None:
            return False
        self._give_up(*block, GoneReason.NO_SPACE)
        return True

    def _give_up(self, entry: HeldLog, a: int, b: int, reason: GoneReason) -> None:
        """Said in the next statement, with its reason."""
        settled = self._settled.get(entry.name) or RangeSet()
        lost = sum(d - c + 1 for x, y in entry.held(a, b) for c, d in settled.missing(x, y))
        self._delete(entry, entry.without([(a, b)], reason), [(a, b)])
        self.given_up += lost

    def lose(self, name: str, seq: int, reason: GoneReason) -> None:
        """Delete a row of which nothing is to be had any more, and declare its number gone."""
        self._delete(self._held[name], self._held[name].without([(seq, seq)], reason), [(seq, seq)])

    def set_aside(self, name: str, seq: int) -> None:
        """Keep a row apart, and declare its number gone. (Killed between the two, it is on the card twice.)"""
        with transaction(self._db):
            self._db.execute(spoolfile.SET_ASIDE, (name, self._held[name].id, seq))
            self._db.execute(spoolfile.FORGET_ASIDE, (MOST_ASIDE,))
        self.lose(name, seq, GoneReason.SET_ASIDE)

    def _delete(self, entry: HeldLog, new: HeldLog, ranges: list[Range]) -> None:
        """Rows and what is said of them: both or neither."""
        with transaction(self._db):
            entry.write_gone(self._db, new)
            self._db.executemany(spoolfile.DELETE, [(entry.id, a, b) for a, b in ranges])
        if not new.count and not new.gone and new.name != self._opening:
            del self._held[new.name]
        else:  # an empty log stays listed where a reason is to be told
            self._held[new.name] = new
