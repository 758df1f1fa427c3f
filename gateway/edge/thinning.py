"""What is given up when the spool is full and nothing settled is left on it, and in which order.

A month offline must keep its shape, and what was given up must be said in few words: a statement lists every range.
So numbers go in *blocks*: runs of consecutive numbers of one log (all sensors of the device alike), a power of two
long, about 1/256 of what the card holds and never less than 64 samples. In this order:

1. Of blocks that are older than the newest hour and hold no raised sample, first every second one, oldest first; when
   none of those is left, every fourth, every eighth ... So the old backlog is halved again and again, everywhere alike.
2. What is left that is neither raised nor of the newest hour, oldest first.
3. Raised samples older than the newest hour, in the same way as 1.
4. The newest hour, oldest first.

A sample in which a count begins again (`count_lost`) goes behind all of these: without it, the tips of a rain
gauge that came before and after would be one count.

Blocks stand where they stand (by number), so that a restart goes on where the last one stopped, without a note. Where
holes of other kinds are so many that the statement has GONE_RANGES of them, the oldest block of the log that has most
goes first, whatever it holds: the statement must stay small.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from gateway.edge import spoolfile
from gateway.edge.held import HeldLog

GONE_RANGES = 1000  # of a statement; about 30 kB
BLOCK_ROWS = 64  # two pages of the file or more: less would free nothing
BLOCKS = 256
NEWEST_MS = 3_600_000

Block = tuple[HeldLog, int, int]

NEWEST = "SELECT observed_ms FROM samples WHERE log_id = ? ORDER BY seq DESC LIMIT 1"
LEFT_HOUR = """SELECT seq FROM samples WHERE log_id = ? AND (observed_ms < ? OR observed_ms > ?)
  ORDER BY seq DESC LIMIT 1"""
BEGINS = f"""SELECT seq FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ? AND raised >= {spoolfile.BEGINS}
  ORDER BY seq"""  # noqa: S608
RAISED = "SELECT 1 FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ? AND raised LIMIT 1"
PLAIN = "SELECT seq FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ? AND NOT raised ORDER BY seq LIMIT 1"
NEXT_RAISED = "SELECT seq FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ? AND raised ORDER BY seq LIMIT 1"


class Thinning:
    """Names the next range to give up. `block_rows`: the least of a block; a power of two."""

    def __init__(self, db: sqlite3.Connection, block_rows: int = BLOCK_ROWS, gone_ranges: int = GONE_RANGES) -> None:
        self._db, self._block_rows, self._gone_ranges = db, block_rows, gone_ranges
        self._plain_from: dict[int, int] = {}  # by log: every row below is known to be raised; only to look faster

    def next(self, logs: Sequence[HeldLog]) -> Block | None:
        """The range of held numbers to be given up first; None where nothing is held. `logs`: oldest first."""
        logs = [log for log in logs if log.count]
        if not logs:
            return None
        step = self.block_rows(logs)
        if sum(len(log.gone) for log in logs) >= self._gone_ranges:
            log = max(logs, key=lambda log: len(log.gone))
            return log, log.oldest, log.oldest + step - 1
        for log, a, b in self._in_order(logs, step):
            if part := self._sparing(log, a, b):
                return log, *part
        return next((log, a, min(b, a + step - 1)) for log in logs for a, b in log.held(1, log.next))

    def _in_order(self, logs: Sequence[HeldLog], step: int) -> Iterator[Block]:
        """What goes first, whatever begins in it."""
        old = self._old(logs)
        blocks = list(_whole_blocks(old, step))
        for log, a, b in _by_halves(blocks, step):
            if self._db.execute(RAISED, (log.id, a, b)).fetchone() is None:
                yield log, a, b
        if plain := self._oldest_plain(old, step):
            yield plain
        yield from _by_halves(blocks, step)
        for log, last in [*old, *((log, log.next) for log in logs)]:
            for a, b in log.held(1, last):
                yield from ((log, x, min(b, x + step - 1)) for x in range(a, b + 1, step))

    def _sparing(self, log: HeldLog, a: int, b: int) -> tuple[int, int] | None:
        """The first part of the range that holds something and in which no count begins."""
        for begin in [*(row[0] for row in self._db.execute(BEGINS, (log.id, a, b))), b + 1]:
            if any(True for _ in log.held(a, begin - 1)):
                return a, begin - 1
            a = begin + 1
        return None

    def block_rows(self, logs: Iterable[HeldLog]) -> int:
        """How many numbers a block has, by what the card holds now."""
        least = max(self._block_rows, sum(log.count for log in logs) // BLOCKS)
        return 1 << (least - 1).bit_length()

    def _old(self, logs: Sequence[HeldLog]) -> list[tuple[HeldLog, int]]:
        """Each log with the last of its numbers that is older than the newest hour, 0 where none is. By order first:
        a clock that was set back or forwards ends the hour, it does not stretch it."""
        newest_ms = next(
            (row[0] for log in reversed(logs) if (row := self._db.execute(NEWEST, (log.id,)).fetchone())), 0
        )
        old: list[tuple[HeldLog, int]] = []
        left = False
        for log in reversed(logs):
            before = log.next - 1
            if not left:
                row = self._db.execute(LEFT_HOUR, (log.id, newest_ms - NEWEST_MS, newest_ms + NEWEST_MS)).fetchone()
                left, before = row is not None, row[0] if row else 0
            old.append((log, before))
        return old[::-1]

    def _oldest_plain(self, old: list[tuple[HeldLog, int]], step: int) -> Block | None:
        """The oldest samples that are not raised, as far as they stand together."""
        for log, before in old:
            start = max(log.oldest, self._plain_from.get(log.id, 1))
            row = self._db.execute(PLAIN, (log.id, start, before)).fetchone()
            self._plain_from[log.id] = row[0] if row else max(start, before + 1)
            if row:
                end = min(before, row[0] + step - 1)
                raised = self._db.execute(NEXT_RAISED, (log.id, row[0], end)).fetchone()
                return log, row[0], raised[0] - 1 if raised else end
        return None


def _whole_blocks(old: list[tuple[HeldLog, int]], step: int) -> Iterator[Block]:
    """The blocks that hold something and are wholly older than the newest hour, oldest first. A closed log's last
    block is whole where the log ends."""
    for log, before in old:
        seen = -1
        for a, b in log.held(1, before):
            for block in range(max((a - 1) // step, seen + 1), (b - 1) // step + 1):
                seen = block
                first, last = block * step + 1, min((block + 1) * step, log.next - 1)
                if last <= before:
                    yield log, first, last


def _by_halves(blocks: list[Block], step: int) -> Iterator[Block]:
    """Every second block, then every fourth ..., at last what is left. The logs' ids shift the count, so that of many
    short logs every second one goes."""
    left = [((a - 1) // step + log.id, (log, a, b)) for log, a, b in blocks]
    bit = 1
    while left and bit <= max(index for index, _ in left):
        yield from (block for index, block in left if index & bit)
        left = [(index, block) for index, block in left if not index & bit]
        bit <<= 1
    yield from (block for _, block in left)
