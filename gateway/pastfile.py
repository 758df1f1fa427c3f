"""Days of channels as they are packed, in a file of their own beside the accounts: it holds nothing that the store has
not, may be deleted at any time, and a page without it is slower and otherwise the same."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.disk import DISK, transaction

log = logging.getLogger(__name__)
NAME = "past.db"
LARGEST = 1 << 30  # bytes; a month of 1,000 channels with a reading a minute takes a fifth of it
FORM = 1 if sys.byteorder == "little" else 2  # of what is packed; another one begins anew
_SCHEMA = f"""CREATE TABLE days (store TEXT NOT NULL, channel INTEGER NOT NULL, day INTEGER NOT NULL,
 count INTEGER NOT NULL, newest INTEGER NOT NULL, packed BLOB NOT NULL, PRIMARY KEY (store, channel, day));
PRAGMA user_version = {FORM};"""
Stamp = tuple[int, int]  # of a day's rows: how many, the newest id


class PastFile:
    """Safe for threads. Nothing here raises: what cannot be read is not known, what cannot be written is not kept,
    and the log says so once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._said = False
        self._db = self._open() or self._open(anew=True)

    def stamps(self, store: str, channel: int) -> dict[int, Stamp]:
        sql = "SELECT day, count, newest FROM days WHERE store = ? AND channel = ?"
        return {day: (count, newest) for day, count, newest in self._rows(sql, (store, channel))}

    def read(self, store: str, channel: int, wanted: dict[int, Stamp]) -> dict[int, bytes]:
        """Of those days that are here just so."""
        if not wanted:
            return {}
        sql = "SELECT day, count, newest, packed FROM days WHERE store = ? AND channel = ? AND day BETWEEN ? AND ?"
        found = {}
        for day, count, newest, packed in self._rows(sql, (store, channel, min(wanted), max(wanted))):
            stamp = (count, newest)
            if wanted.get(day) == stamp and (data := _checked(packed, (store, channel, day, stamp))) is not None:
                found[day] = data
        return found

    def write(self, store: str, channel: int, day: int, stamp: Stamp, data: bytes) -> bool:
        packed = zlib.compress(data, 1)
        packed = _sum(packed, (store, channel, day, stamp)) + packed
        sql = "INSERT OR REPLACE INTO days (store, channel, day, count, newest, packed) VALUES (?,?,?,?,?,?)"
        return self._do([(sql, (store, channel, day, *stamp, packed))])

    def forget(self, store: str, channel: int, days: Iterable[int]) -> None:
        """Those days, and every other store that stood at this place."""
        gone = [("DELETE FROM days WHERE store = ? AND channel = ? AND day = ?", (store, channel, x)) for x in days]
        self._do([("DELETE FROM days WHERE store != ?", (store,)), *gone])

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _open(self, anew: bool = False) -> sqlite3.Connection | None:
        """None where there can be none, or where what is there is of another form or no database."""
        db = None
        try:
            if anew:
                for end in ("", "-wal", "-shm"):
                    DISK.remove(self._path.with_name(self._path.name + end))
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # internal channels are in it
            db = DISK.connect(self._path, timeout_s=0.2)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA cache_size = -256")  # a blob is read once
            db.execute("PRAGMA journal_size_limit = 1048576")
            db.execute(f"PRAGMA max_page_count = {LARGEST // 4096}")
            form = db.execute("PRAGMA user_version").fetchone()[0]
            if form == 0:
                db.executescript(_SCHEMA)
            if form in (0, FORM):
                return db
        except (OSError, sqlite3.Error) as e:
            if anew:
                self._say(e)
        if db is not None:
            db.close()
        return None

    def _rows(self, sql: str, parameters: tuple[object, ...]) -> list[Any]:
        with self._lock:
            if self._db is None:
                return []
            try:
                return self._db.execute(sql, parameters).fetchall()
            except sqlite3.Error as e:
                self._failed(e)
                return []

    def _do(self, statements: list[tuple[str, tuple[object, ...]]]) -> bool:
        with self._lock:
            if self._db is None:
                return False
            try:
                with transaction(self._db):
                    for sql, parameters in statements:
                        self._db.execute(sql, parameters)
            except sqlite3.Error as e:
                self._failed(e)
                return False
        return True

    def _failed(self, error: sqlite3.Error) -> None:
        """A damaged file begins anew; another one that is locked or full is asked again the next time."""
        self._say(error)
        if not isinstance(error, sqlite3.OperationalError) and self._db is not None:
            self._db.close()
            self._db = self._open(anew=True)

    def _say(self, error: Exception) -> None:
        if not self._said:
            self._said = True
            log.warning("%s cannot be used (%s): hydrographs of weeks come slower the first time", self._path, error)


def _sum(packed: bytes, of: tuple[object, ...]) -> bytes:
    """What a disk may have mixed up must not be shown as a level."""
    return zlib.crc32(packed, zlib.crc32(repr(of).encode())).to_bytes(4, "big")


def _checked(packed: object, of: tuple[object, ...]) -> bytes | None:
    if not isinstance(packed, bytes) or packed[:4] != _sum(packed[4:], of):
        return None
    return zlib.decompress(packed[4:])
