"""Rows of whole days of a channel, kept packed for who looks again: the past hardly ever changes, and to see that it
has not costs a tenth of reading it."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, groupby, pairwise, repeat
from pathlib import Path

import msgspec

from gateway import storefile
from gateway.disk import DISK, Disk
from gateway.pastfile import PastFile, Stamp

DAY_MS = 86_400_000
MOST = 100_000  # rows in memory, 17 bytes each: the months of two stations; the file has the others
AT_ONCE = 7  # days that are read as objects before they are packed
_WORKING = 0x80  # beside the flag: measured under maintenance
# Rows are never changed and their ids never come back, so that number and newest id say which ones they are.
_STAMPS = f"""SELECT observed_ms / {DAY_MS}, count(*), max(id), (SELECT value FROM meta WHERE key = 'store')
 FROM observations WHERE channel_id = ? AND observed_ms >= ? AND observed_ms < ? GROUP BY 1"""  # noqa: S608 - ours
_ROWS = f"""SELECT observed_ms, value, flag | iif(tests LIKE '%maintenance%', {_WORKING}, 0), fault
 FROM observations WHERE channel_id = ? AND observed_ms >= ? AND observed_ms < ? ORDER BY observed_ms"""  # noqa: S608

Row = tuple[int, float | None, int, str | None]  # observed_ms, value, flag, fault
Key = tuple[str, int, int]  # store, channel, day


def read(path: Path, channel: int, from_ms: int, to_ms: int, worked: bool = True, disk: Disk = DISK) -> Rows:
    """In order of time, `to_ms` excluded; `worked`: also what was measured under maintenance. Raises Unavailable."""
    return Rows([_Day(_read(path, channel, from_ms, to_ms, disk))], worked)


class Rows:
    """To be gone through as often as one likes: they are packed, a month of minutes as objects would be 6 MB."""

    def __init__(self, days: Sequence[_Day], worked: bool) -> None:
        self._days, self._worked = days, worked

    def __iter__(self) -> Iterator[Row]:
        return chain.from_iterable(day.rows(self._worked) for day in self._days)


class Past:
    """Safe for threads. With a file, what was packed once is known after a restart, and `ahead` packs what nobody has
    looked at yet."""

    def __init__(self, most: int = MOST, file: PastFile | None = None) -> None:
        self._most, self._held, self._file = most, 0, file
        self._lock = threading.Lock()
        self._days: OrderedDict[Key, tuple[Stamp, _Day]] = OrderedDict()

    def rows(self, path: Path, channel: int, from_ms: int, to_ms: int, worked: bool = True, disk: Disk = DISK) -> Rows:
        """What `read` gives, whole days from memory and file where nothing has changed there. Raises Unavailable."""
        first, end = -(-from_ms // DAY_MS), to_ms // DAY_MS
        if end - first < 2:
            return read(path, channel, from_ms, to_ms, worked, disk)
        store, stamps = _stamps(path, channel, first, end, disk)
        days = {day: self._known((store, channel, day), stamp) for day, stamp in stamps.items()}
        self._fetch(days, stamps, store, channel)
        missing = [day for day, found in days.items() if found is None]
        for n in range(0, len(missing), AT_ONCE):
            some = missing[n : n + AT_ONCE]
            fresh = _read(path, channel, some[0] * DAY_MS, (some[-1] + 1) * DAY_MS, disk)
            by_day = {day: list(rows) for day, rows in groupby(fresh, lambda row: row[0] // DAY_MS)}
            for day in some:
                days[day] = self._keep((store, channel, day), stamps[day], _Day(by_day.get(day, [])))
        before = _Day(_read(path, channel, from_ms, first * DAY_MS, disk))
        after = _Day(_read(path, channel, end * DAY_MS, to_ms, disk))
        return Rows([before, *(day for day in days.values() if day is not None), after], worked)

    def ahead(self, path: Path, channel: int, first: int, end: int, disk: Disk = DISK) -> Iterator[int]:
        """Pack into the file what it lacks of those days, the newest first: a day with each step, its number. The
        days of this span that the store has no longer are forgotten. Raises Unavailable."""
        if self._file is None:
            return
        store, stamps = _stamps(path, channel, first, end, disk)
        packed = self._file.stamps(store, channel)
        if gone := [day for day in packed if day < end and day not in stamps]:
            self._file.forget(store, channel, gone)
        for day in sorted(stamps, reverse=True):
            if packed.get(day) != stamps[day]:
                # Rows that came since the stamp make this one wrong, and it is packed again the next time.
                found = _Day(_read(path, channel, day * DAY_MS, (day + 1) * DAY_MS, disk))
                if not self._file.write(store, channel, day, stamps[day], found.packed()):
                    return
                yield day

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _fetch(self, days: dict[int, _Day | None], stamps: dict[int, Stamp], store: str, channel: int) -> None:
        if self._file is None:
            return
        wanted = {day: stamps[day] for day, found in days.items() if found is None}
        for day, data in self._file.read(store, channel, wanted).items():
            days[day] = self._keep((store, channel, day), stamps[day], _Day.unpacked(data))

    def _known(self, key: Key, stamp: Stamp) -> _Day | None:
        with self._lock:
            held = self._days.get(key)
            if held is None or held[0] != stamp:
                return None
            self._days.move_to_end(key)
            return held[1]

    def _keep(self, key: Key, stamp: Stamp, day: _Day) -> _Day:
        with self._lock:
            if (was := self._days.pop(key, None)) is not None:
                self._held -= was[1].count
            self._days[key] = (stamp, day)
            self._held += day.count
            while self._held > self._most:
                self._held -= self._days.popitem(last=False)[1][1].count
        return day


def _stamps(path: Path, channel: int, first: int, end: int, disk: Disk) -> tuple[str, dict[int, Stamp]]:
    found = storefile.rows(path, _STAMPS, (channel, first * DAY_MS, end * DAY_MS), disk)
    return found[0][3] if found else "", {day: (count, newest) for day, count, newest, _ in found}


def _read(path: Path, channel: int, from_ms: int, to_ms: int, disk: Disk) -> list[Row]:
    if from_ms >= to_ms:
        return []
    return storefile.rows(path, _ROWS, (channel, from_ms, to_ms), disk)


class _Packed(msgspec.Struct, array_like=True):
    steps: bytes  # from one time to the next: a regular row of times packs to nothing
    values: bytes
    flags: bytes
    faults: dict[int, str]


class _Day:
    """Columns. NaN stands for no value: the store has no NaN."""

    def __init__(self, rows: list[Row]) -> None:
        nan = float("nan")
        self._set(
            array("q", [x[0] for x in rows]),
            array("d", [nan if x[1] is None else x[1] for x in rows]),
            bytes(x[2] for x in rows),
            {n: x[3] for n, x in enumerate(rows) if x[3] is not None},
        )

    def _set(self, at: array[int], values: array[float], flags: bytes, faults: dict[int, str]) -> None:
        self.count = len(at)
        self._at, self._values, self._flags, self._faults = at, values, flags, faults
        self._plain = not faults and max(flags, default=0) < _WORKING and all(x == x for x in values)

    @staticmethod
    def unpacked(data: bytes) -> _Day:
        found, day = msgspec.msgpack.decode(data, type=_Packed), _Day([])
        values = array("d", found.values)
        day._set(array("q", accumulate(array("q", found.steps))), values, found.flags, found.faults)
        return day

    def packed(self) -> bytes:
        steps = array("q", [*self._at[:1], *(b - a for a, b in pairwise(self._at))])
        return msgspec.msgpack.encode(_Packed(steps.tobytes(), self._values.tobytes(), self._flags, self._faults))

    def rows(self, worked: bool) -> Iterable[Row]:
        if self._plain:
            return zip(self._at, self._values, self._flags, repeat(None))
        return self._with_faults(worked)

    def _with_faults(self, worked: bool) -> Iterator[Row]:
        for n, (at, value, flag) in enumerate(zip(self._at, self._values, self._flags, strict=True)):
            if worked or flag < _WORKING:
                yield at, value if value == value else None, flag & ~_WORKING, self._faults.get(n)
