"""A channel's series in the store: for a screen in as many points as it has, for a table row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from gateway import pastrows, storefile
from gateway.board import Series
from gateway.disk import DISK, Disk
from gateway.model import Flag
from gateway.pastrows import Past, Row
from gateway.stations import Channel

PAGE = 5000
_CHANNEL = "SELECT id FROM channels WHERE tenant = ? AND station = ? AND channel = ?"
_OLDEST = "SELECT min(observed_ms) FROM observations WHERE channel_id = ?"
_NEWEST = """SELECT observed_ms, value, flag, fault FROM observations
 WHERE channel_id = ? AND observed_ms >= ? AND observed_ms < ? AND coalesce(tests, '') NOT LIKE ?
 AND value IS NOT NULL AND flag < 4
 ORDER BY observed_ms DESC LIMIT ?"""
_ASSESSED = """SELECT observed_ms, flag FROM assessments
 WHERE channel_id = ? AND observed_ms >= ? AND observed_ms < ? ORDER BY id"""
_PAGE = f"""SELECT o.observed_ms, o.received_ms, o.value, o.raw, {storefile.LATEST_FLAG}, o.flag, o.fault, o.tests
 FROM observations o WHERE o.channel_id = ? AND o.observed_ms >= ? AND o.observed_ms < ?
 AND coalesce(o.tests, '') NOT LIKE ? ORDER BY o.observed_ms LIMIT {PAGE}"""  # noqa: S608 - ours
_SHEET = f"""SELECT o.observed_ms, o.received_ms, o.value, o.raw, {storefile.LATEST_FLAG}, o.flag, o.fault, o.tests
 FROM observations o WHERE o.channel_id = ? AND o.observed_ms >= ? AND o.observed_ms < ?
 AND coalesce(o.tests, '') NOT LIKE ? ORDER BY o.observed_ms DESC LIMIT ?"""  # noqa: S608 - ours
WORK, ALL = "%maintenance%", "-"  # what was measured under work is not for the public

# observed_ms, received_ms, value, raw as the sensor gave it, latest flag, flag when it came, fault, tests that spoke
Whole = tuple[int, int, float | None, float | None, int, int, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Point:
    """The newest observation of a span of time, with the least and the greatest value of those that count (flags 1 to
    3), and the worst flag."""

    observed_ms: int
    value: float | None
    flag: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """`gaps` are (from, to, reason): nothing came, or what came is no value. `oldest_ms` is the oldest in the store."""

    points: list[Point]
    gaps: list[tuple[int, int, str]]
    width_ms: int
    oldest_ms: int | None


def line(
    path: Path,
    series: Series,
    channel: Channel,
    from_ms: int,
    to_ms: int,
    most: int,
    worked: bool = True,
    past: Past | None = None,
    disk: Disk = DISK,
) -> Line:
    """At most `most` points from `from_ms` (included) to `to_ms` (excluded); `worked`: also what was measured under
    maintenance. `past` remembers for the next time. Raises Unavailable."""
    width = max(1, -(-(to_ms - from_ms) // most))
    found = storefile.rows(path, _CHANNEL, series, disk)
    if not found:
        return Line([], [], width, None)
    key = found[0][0]
    oldest = storefile.rows(path, _OLDEST, (key,), disk)[0][0]

    rows: Iterable[Row] = (past.rows if past else pastrows.read)(path, key, from_ms, to_ms, worked, disk)
    assessed = dict(storefile.rows(path, _ASSESSED, (key, from_ms, to_ms), disk))
    if assessed:
        rows = [(at, value, assessed.get(at, flag), fault) for at, value, flag, fault in rows]
    return Line(points(rows, from_ms, width), gaps(rows, channel, to_ms), width, oldest)


def newest(
    path: Path, series: Series, from_ms: int, to_ms: int, most: int, worked: bool = True, disk: Disk = DISK
) -> list[Row]:
    """The newest `most` values of that time that did not fail when they came, oldest first. Raises Unavailable."""
    found = storefile.rows(path, _CHANNEL, series, disk)
    if not found:
        return []
    rows = storefile.rows(path, _NEWEST, (found[0][0], from_ms, to_ms, ALL if worked else WORK, most), disk)
    return rows[::-1]


def points(rows: Iterable[Row], from_ms: int, width_ms: int) -> list[Point]:
    """One for each span that has rows. A value that failed is no extreme."""
    found: list[Point] = []
    at = -1
    low: float | None = None
    high: float | None = None
    worst, last = 0, (0, None)  # type: int, tuple[int, float | None]
    for observed_ms, value, flag, _ in rows:
        span = (observed_ms - from_ms) // width_ms
        if span != at:
            if at >= 0:
                found.append(Point(last[0], last[1], worst, low, high))
            at, low, high, worst, last = span, None, None, 0, (observed_ms, None)
        worst = max(worst, flag)
        if value is not None and flag < Flag.FAIL:
            low = value if low is None or value < low else low
            high = value if high is None or value > high else high
            last = (observed_ms, value)
        elif last[1] is None:
            last = (observed_ms, None)
    if at >= 0:
        found.append(Point(last[0], last[1], worst, low, high))
    return found


def gaps(rows: Iterable[Row], channel: Channel, to_ms: int) -> list[tuple[int, int, str]]:
    """Where the line is broken: longer than the channel may be silent, or while it said that it is broken."""
    found: list[tuple[int, int, str]] = []
    silent = channel.contract.silent_after_s
    soon_ms = 1000 * min(silent(0, value) for value in (None, -math.inf, math.inf))  # whatever the value was
    for a, b in pairwise(rows):
        if b[0] - a[0] <= soon_ms and a[1] is not None:
            continue
        if b[0] - a[0] > silent(0, a[1]) * 1000:
            found.append((a[0], b[0], "silent"))
        elif a[1] is None:
            found.append((a[0], b[0], a[3] or "missing"))
    merged: list[tuple[int, int, str]] = []
    for gap in found:
        if merged and merged[-1][1] == gap[0] and merged[-1][2] == gap[2]:
            merged[-1] = (merged[-1][0], gap[1], gap[2])
        else:
            merged.append(gap)
    return merged


def sheet(
    path: Path, series: Series, from_ms: int, to_ms: int, most: int, worked: bool = True, disk: Disk = DISK
) -> list[Whole]:
    """The newest `most` rows of that time, the newest first. Raises Unavailable."""
    found = storefile.rows(path, _CHANNEL, series, disk)
    if not found:
        return []
    return storefile.rows(path, _SHEET, (found[0][0], from_ms, to_ms, ALL if worked else WORK, most), disk)


def table(
    path: Path, series: Series, from_ms: int, to_ms: int, worked: bool = True, disk: Disk = DISK
) -> Iterator[Whole]:
    """Every row. In pages, so that no reader stays open while somebody downloads. Raises Unavailable."""
    found = storefile.rows(path, _CHANNEL, series, disk)
    if not found:
        return
    at_ms = from_ms
    while True:
        page = storefile.rows(path, _PAGE, (found[0][0], at_ms, to_ms, ALL if worked else WORK), disk)
        yield from page
        if len(page) < PAGE:
            return
        at_ms = page[-1][0] + 1
