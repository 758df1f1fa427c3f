"""A spool on a file, and what tests ask of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gateway.edge.spool import RECLAIM_ROWS, Spool
from gateway.model import ClockState, Reading, Sample
from gateway.ranges import Range, RangeSet
from gateway.wire import Receipt, ReceiptLog, StatementLog
from tests.world import STATION, T0

ROOM = 512_000_000


@contextlib.contextmanager
def opened(path: Path, max_bytes: int = ROOM, reclaim_rows: int = RECLAIM_ROWS) -> Iterator[Spool]:
    spool = Spool(path, max_bytes, T0, reclaim_rows)
    try:
        yield spool
    finally:
        spool.close()


def kill(spool: Spool) -> None:
    """The process ends as it is: nothing is committed any more."""
    spool._db.close()
    os.close(spool._file_lock)


def append(spool: Spool, count: int = 1) -> list[Sample]:
    start = spool._pending.seq
    return [
        spool.append(T0 + 1000 * n, ClockState.SYNCED, [Reading(STATION, "water_level", "m", n / 10)])
        for n in range(start + 1, start + count + 1)
    ]


def filled(spool: Spool, count: int) -> list[Sample]:
    samples = append(spool, count)
    spool.commit()
    return samples


def settle(spool: Spool, log: str, through: int, *ranges: Range) -> None:
    spool.settle(Receipt("s1", spool.opening, [ReceiptLog(log, through, list(ranges))]))


def unsettled(spool: Spool, log: str, limit: int = 10**6, skip: RangeSet | None = None) -> list[int]:
    return [s.seq for s in spool.unsettled(log, limit, skip or RangeSet())]


def stated(spool: Spool, log: str) -> StatementLog | None:
    return next((entry for entry in spool.statement().logs if entry.log == log), None)


def rows(spool: Spool, log: str) -> list[int]:
    sql = "SELECT s.seq FROM samples s JOIN logs l ON l.id = s.log_id WHERE l.log = ? ORDER BY s.seq"
    return [seq for (seq,) in spool._db.execute(sql, (log,))]
