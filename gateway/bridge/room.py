"""How full the store is and what follows from it. The ceiling is the configured size, or what the disk can hold where
that is less.

Below 70 % of it rows stay for `keep`. From there on rows that InfluxDB has had for a day go, at 80 % the devices are
asked to keep their backlog, and at 95 % rows that InfluxDB has go at once and others are thinned. A reserve beside
the store is given back to a full disk, so that live samples, alerts and the outbox go on while room is made.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from gateway import settings, units
from gateway.bridge import influx, prune
from gateway.errors import NoticeCode
from gateway.stations import HEALTH_CHANNELS, Channel, Registry

log = logging.getLogger(__name__)

ROW_BYTES = 100  # of the file, for one reading with its place in the series; measured by a test
STEP_ROWS = 2000  # that one step looks at, at least
LOOK_S = 60.0  # between looks for rows that are too old
PATIENCE_S = 60.0  # with a disk that others fill, before readings that nobody else has are given up
PATIENCE_REFUSED_S = 10.0  # the same while commits are refused: alerts wait as well
LOG_SHARE = 50  # a write-ahead log above a fiftieth of the ceiling is shortened where it is tight
RESERVE_BYTES = 32_000_000
RESERVE_SHARE = 50  # at most a fiftieth of the ceiling


class Level(IntEnum):
    """How full. Each is left only some per cent below where it is entered, so that nothing flaps."""

    AMPLE = 0
    TIGHT = 1  # what is safe elsewhere goes early
    NEARLY_FULL = 2  # and backlog is paused
    FULL = 3  # and readings are given up


_ENTER = {Level.TIGHT: 0.70, Level.NEARLY_FULL: 0.80, Level.FULL: 0.95}
_LEAVE = {Level.TIGHT: 0.65, Level.NEARLY_FULL: 0.75, Level.FULL: 0.90}


def level_of(share: float, before: Level) -> Level:
    """The level at this share of the ceiling, coming from another."""
    return max((x for x in _ENTER if share >= (_LEAVE if x <= before else _ENTER)[x]), default=Level.AMPLE)


def rows_a_day(registry: Registry) -> float:
    """Readings that the configured stations and their devices send in a day, at their normal intervals."""
    channels: list[Channel] = [c for s in registry.stations.values() for c in s.channels.values()]
    stations = sum(86400 / c.contract.interval_s for c in channels)
    return stations + len(registry.devices) * len(HEALTH_CHANNELS) * 24  # health: taken as once an hour


def days_of_room(registry: Registry, max_bytes: int) -> float:
    """For how many days of readings the store has room before it is nearly full."""
    rows = rows_a_day(registry)
    return _ENTER[Level.NEARLY_FULL] * max_bytes / ROW_BYTES / rows if rows else float("inf")


def statement(bridge: settings.Bridge, registry: Registry) -> str:
    """For the first lines of the log: the ceiling, in days."""
    days, keep = days_of_room(registry, bridge.store_max_bytes), bridge.store_keep_s / 86400
    size, room = f"{bridge.store_max_bytes / 1e9:g} GB", f"room for about {min(days, 99_999):,.0f} days of readings"
    if days >= keep:
        return f"the store may grow to {size}: {room}; they are kept for {units.in_words(bridge.store_keep_s)}"
    early = "those that InfluxDB has go before" if bridge.influx else "then backlog waits on the devices"
    return f"the store may grow to {size}: {room}, less than the {keep:.0f} days of 'keep': {early}"


class Reserve:
    """Bytes really allocated beside the store, that can be given back to the disk in an instant."""

    def __init__(self, store: Path, size: int) -> None:
        self.path, self.size = store.with_name(store.name + ".reserve"), size

    def held(self) -> bool:
        try:
            return self.path.stat().st_blocks * 512 >= self.size
        except OSError:
            return False

    def hold(self) -> bool:
        """Allocate it, where the disk then still has as much again. False: not now."""
        if self.held():
            return True
        try:
            if shutil.disk_usage(self.path.parent).free < 2 * self.size:
                return False
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(fd, 0, self.size)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError:
            self.free()
        return self.held()

    def free(self) -> None:
        with contextlib.suppress(OSError):  # a folder that cannot be written has no use for the room either
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes. `capacity` is what the store may hold, now; `by_disk` says that the disk is what bounds it."""

    used: int
    capacity: int
    log_bytes: int
    by_disk: bool = False

    @property
    def share(self) -> float:
        return self.used / max(1, self.capacity)


def usage(db: sqlite3.Connection, path: Path, max_bytes: int) -> Usage:
    """Pages in use and the write-ahead log; what the disk has free counts as room up to the ceiling. Where the disk is
    the bound, the log is no part of either: it shrinks, and on a young store it is larger than the rows."""
    pages, unused, size = (
        db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count", "page_size")
    )
    try:
        log_bytes = path.with_name(path.name + "-wal").stat().st_size
    except OSError:
        log_bytes = 0
    used = (pages - unused) * size + log_bytes
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return Usage(used, max_bytes, log_bytes)
    if pages * size + log_bytes + free >= max_bytes:
        return Usage(used, max_bytes, log_bytes)
    return Usage(used - log_bytes, pages * size + free, log_bytes, by_disk=True)


class Room:
    """Keeps the store below its ceiling. All but `report` is called by the writer, between its transactions."""

    def __init__(
        self, db: sqlite3.Connection, bridge: settings.Bridge, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._db, self._path, self._bridge, self._now = db, bridge.store, bridge, now
        self._pressed: float | None = None  # since when rows must make room
        self.reserve = Reserve(bridge.store, min(RESERVE_BYTES, bridge.store_max_bytes // RESERVE_SHARE))
        self.level, self.disk_full = Level.AMPLE, False
        self.usage = usage(db, self._path, bridge.store_max_bytes)
        self.pruned = self.thinned = 0  # rows since the start
        self._looked = -LOOK_S
        self._refusing = self._refused = self._exhausted = False
        self.arrived = 0  # rows committed since the last step
        if not self.reserve.hold():
            log.warning("no room for a reserve of %d MB beside %s", self.reserve.size / 1e6, self._path)

    def adopt(self, bridge: settings.Bridge) -> None:
        """Another ceiling, and another time to keep readings."""
        self._bridge = bridge
        self.reserve = Reserve(bridge.store, min(RESERVE_BYTES, bridge.store_max_bytes // RESERVE_SHARE))

    @property
    def backlog_waits(self) -> bool:
        """Whether the devices should keep their backlog."""
        return self.level >= Level.NEARLY_FULL or self.disk_full

    def conditions(self) -> dict[NoticeCode, bool]:
        """What staff should be told, as it is now."""
        return {
            NoticeCode.STORE_NEARLY_FULL: self.level >= Level.NEARLY_FULL,
            NoticeCode.STORE_FULL: self.level == Level.FULL,
            NoticeCode.DISK_FULL: self.disk_full,
        }

    def refused(self, error: sqlite3.Error) -> bool:
        """A commit failed. True where the disk or the file is full: the reserve was given back, and if that does not
        help, `step` makes room before the next one."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            return False
        if not self.disk_full:
            log.error("the disk of %s is full; its reserve is given back to it", self._path)
        self.disk_full = True
        self._refusing = self._refused  # at first what the reserve gives back is tried
        self._refused = True
        self.reserve.free()
        self._shorten_log()  # what it holds may find room in the file
        return True

    def committed(self, rows: int) -> None:
        """A batch with so many readings was written."""
        self.arrived += rows
        self._refusing = self._refused = False

    def step(self, now_ms: int, clock_trusted: bool) -> bool:
        """Look how full it is, and free a little where that is due; twice what arrived since the last step, so that
        the inflow is kept up with. False: nothing more to do now. Raises sqlite3.Error; then nothing changed."""
        self.usage = usage(self._db, self._path, self._bridge.store_max_bytes)
        if self.usage.log_bytes * LOG_SHARE > self.usage.capacity and self.usage.share >= _LEAVE[Level.TIGHT]:
            self._shorten_log()
            self.usage = usage(self._db, self._path, self._bridge.store_max_bytes)
        before, self.level = self.level, level_of(self.usage.share, self.level)
        if before == Level.FULL > self.level:
            prune.first_pass(self._db, now_ms)
            self._exhausted = False
        if self.disk_full and not self._refused and self.reserve.hold():
            log.info("the disk of %s has room again; the reserve is held", self._path)
            self.disk_full = False
        limit, self.arrived = max(STEP_ROWS, 2 * self.arrived), 0
        if self._presses():
            return self._give_up(now_ms, limit)
        if self.level >= Level.TIGHT and self._bridge.influx:
            return self._prune(prune.accepted_a_day_ago(self._db, now_ms), None, limit)
        if clock_trusted and self._now() - self._looked >= LOOK_S:
            old = now_ms - round(self._bridge.store_keep_s * 1000)
            upto = prune.accepted_a_day_ago(self._db, now_ms) if self._bridge.influx else 2**62
            if self._prune(upto, old, limit):
                return True
            self._looked = self._now()
        return False

    def _shorten_log(self) -> None:
        """Move the write-ahead log into the file, unless a reader is at it: nobody waits for that."""
        with contextlib.suppress(sqlite3.Error):
            (timeout,) = self._db.execute("PRAGMA busy_timeout").fetchone()
            self._db.execute("PRAGMA busy_timeout = 20")
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._db.execute(f"PRAGMA busy_timeout = {timeout}")

    def _cramped(self) -> bool:
        """On a full disk the pages that are free inside the file are all there is."""
        pages, unused = (self._db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count"))
        return bool(unused * 10 < pages)

    def _presses(self) -> bool:
        """Whether rows must make room now. A disk that somebody else filled may be free again in a moment, and the
        reserve bridges that; only our own rows can fill our own ceiling."""
        full = self.level == Level.FULL
        if not (full or self.disk_full):
            self._pressed = None
            return False
        self._pressed = self._now() if self._pressed is None else self._pressed
        if self._refusing or (full and not self.usage.by_disk):
            return True
        return (full or self._cramped()) and self._now() - self._pressed >= PATIENCE_S

    def _may_pass(self) -> bool:
        """Too early to give up what nobody else has, for a disk that refuses."""
        return self.usage.by_disk and self._now() - (self._pressed or 0.0) < PATIENCE_REFUSED_S

    def _prune(self, upto: int, before_ms: int | None, limit: int) -> bool:
        gone = prune.oldest(self._db, upto, before_ms, limit)
        self.pruned += gone
        return gone > 0

    def _give_up(self, now_ms: int, limit: int) -> bool:
        """What InfluxDB has goes first; then readings that it has not."""
        cursor = 0
        if self._bridge.influx:
            found = self._db.execute("SELECT position FROM cursors WHERE name = ?", (influx.CURSOR,)).fetchone()
            cursor = found[0] if found else 0
        if cursor and self._prune(cursor, None, limit):
            return True
        if self._may_pass():
            return False
        gone = prune.thin(self._db, cursor, now_ms, limit)
        if gone is None:
            if not self._exhausted:
                log.error(
                    "the store %s is full of what is never given up; raise 'max_size' or free the disk", self._path
                )
            self._exhausted = True
            return False
        self.thinned += gone
        return True
