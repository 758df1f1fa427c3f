"""Rows of whole days of a channel, kept in memory for who looks again: the past hardly ever changes, and to see that it
has not costs a tenth of reading it."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import chain, groupby, repeat
from pathlib import Path

from gateway import storefile
from gateway.disk import DISK, Disk

DAY_MS = 86_400_000
MOST = 500_000  # rows; 17 bytes each
# Rows are never changed and their ids never come back, so that number and newest id say which ones they are.
_STAMPS = f"""SELECT observed_ms / {DAY_MS}, count(*), max(id), (SELECT value FROM meta WHERE key = 'store')
 FROM observations WHERE channel_id = ? AND observed_ms >= ? AND observed_ms < ? GROUP BY 1"""  # noqa: S608 - ours

Row = tuple[int, float | None, int, str | None]  # observed_ms, value, flag, fault
Read = Callable[[int, int], list[Row]]  # from, to
Key = tuple[str, int, bool, int]
Stamp = tuple[int, int]


class Past:
    """Safe for threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._held = most, 0
        self._lock = threading.Lock()
        self._days: OrderedDict[Key, tuple[Stamp, _Day]] = OrderedDict()

    def rows(
        self, path: Path, channel: int, from_ms: int, to_ms: int, worked: bool, read: Read, disk: Disk = DISK
    ) -> Iterable[Row]:
        """As `read` gives them, which is asked for what is not known yet. Raises Unavailable."""
        first, end = -(-from_ms // DAY_MS), to_ms // DAY_MS
        if end - first < 2:
            return read(from_ms, to_ms)
        stamps = storefile.rows(path, _STAMPS, (channel, first * DAY_MS, end * DAY_MS), disk)
        known = {day: self._known((store, channel, worked, day), (n, newest)) for day, n, newest, store in stamps}
        missing = [day for day, found in known.items() if found is None]
        if missing:
            fresh = read(missing[0] * DAY_MS, (missing[-1] + 1) * DAY_MS)
            by_day = {day: list(rows) for day, rows in groupby(fresh, lambda row: row[0] // DAY_MS)}
            for day, n, newest, store in stamps:
                if missing[0] <= day <= missing[-1]:
                    known[day] = self._keep((store, channel, worked, day), (n, newest), by_day.get(day, []))
        days = [day.rows() for day in known.values() if day is not None]
        return chain(read(from_ms, first * DAY_MS), *days, read(end * DAY_MS, to_ms))

    def _known(self, key: Key, stamp: Stamp) -> _Day | None:
        with self._lock:
            held = self._days.get(key)
            if held is None or held[0] != stamp:
                return None
            self._days.move_to_end(key)
            return held[1]

    def _keep(self, key: Key, stamp: Stamp, rows: list[Row]) -> _Day:
        day = _Day(rows)
        with self._lock:
            if (was := self._days.pop(key, None)) is not None:
                self._held -= was[1].count
            self._days[key] = (stamp, day)
            self._held += day.count
            while self._held > self._most:
                self._held -= self._days.popitem(last=False)[1][1].count
        return day


class _Day:
    """One without a fault is packed."""

    def __init__(self, rows: list[Row]) -> None:
        self.count = len(rows)
        self._plain: list[Row] | None = None
        if any(value is None or fault is not None for _, value, _, fault in rows):
            self._plain = rows
            return
        self._at, self._flags = array("q", [x[0] for x in rows]), bytes(x[2] for x in rows)
        self._values = array("d", [x[1] for x in rows if x[1] is not None])

    def rows(self) -> Iterable[Row]:
        if self._plain is not None:
            return self._plain
        return zip(self._at, self._values, self._flags, repeat(None))
