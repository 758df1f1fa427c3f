"""web.db: one SQLite file, readable by its owner alone. WAL with synchronous=FULL, as the bridge's store."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.disk import DISK, transaction
from gateway.errors import Unavailable
from gateway.web.accountschema import MIGRATIONS, SCHEMA, VERSION

log = logging.getLogger(__name__)


class AccountFile:
    """One connection for all threads, used by one at a time: no read is left open, and each takes microseconds.
    Raises Unavailable where the file cannot be used now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._full = False
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            make(self.path)
        except OSError as e:
            raise Unavailable(f"cannot open the accounts {self.path}: {(e.strerror or '').lower()}") from e
        db = None
        try:
            db = DISK.connect(self.path)
            db.execute("PRAGMA busy_timeout = 10000")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_size_limit = 1048576")
            self._migrate(db)
        except sqlite3.Error as e:
            if db is not None:
                db.close()
            raise Unavailable(f"cannot open the accounts {self.path}: {e}") from e
        except Unavailable:
            if db is not None:
                db.close()
            raise
        return db

    def _migrate(self, db: sqlite3.Connection) -> None:
        if self._version(db) == VERSION:
            return
        with transaction(db):
            version = self._version(db)  # another process may have come before
            steps = ([SCHEMA] if version == 0 else []) + [MIGRATIONS[v] for v in range(version or 1, VERSION)]
            for statement in _statements("".join(steps)):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        DISK.sync_folder(self.path.absolute().parent)

    def _version(self, db: sqlite3.Connection) -> int:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            message = f"{self.path} has version {version}; this suimon knows {VERSION}. Install a newer suimon."
            raise Unavailable(message)
        return version

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[Any]:
        with self._lock, self._told():
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock, self._told(), transaction(self._db):
            yield self._db

    def attempt(self, sql: str, values: tuple[object, ...]) -> None:
        """What may be left out: on a full disk whoever is signed in stays so."""
        try:
            with self.writing() as db:
                db.execute(sql, values)
        except Unavailable as e:
            if not self._full:
                log.warning("%s; last uses are not noted", e)
            self._full = True
        else:
            self._full = False

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise Unavailable(f"cannot use the accounts {self.path}: {e}") from e

    def close(self) -> None:
        with self._lock:
            self._db.close()


def make(path: Path) -> None:
    """An empty file where there is none. SQLite gives its other files the same owner and mode. Made by root, it is of
    whoever owns the folder: the page is not root. Raises OSError."""
    new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if new and os.geteuid() == 0:
            folder = path.absolute().parent.stat()
            os.fchown(fd, folder.st_uid, folder.st_gid)
    finally:
        os.close(fd)


def _statements(text: str) -> Iterator[str]:
    """One at a time: `executescript` would commit before the first, and triggers hold semicolons."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
