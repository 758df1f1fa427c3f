"""What a restored backup keeps of the store that it replaces: the journal goes on, and what was published stays
published. Readings and alerts go back to the backup; the devices still hold what came after it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

from gateway import journal, storefile
from gateway.disk import DISK, Disk, transaction
from gateway.errors import Unavailable
from gateway.journal import GENESIS, Entry, Kind, Row
from gateway.journalfile import COLUMNS

_CAP = """identifier, sender, sent_ms, expires_ms, tenant, station, episode, chain, status, msg_type, scope, headline,
 ends, message, document"""
_GO_ON = f"INSERT INTO journal ({COLUMNS}) VALUES ({','.join('?' * 10)})"  # noqa: S608
_FILL = f"INSERT OR IGNORE INTO cap ({_CAP}) VALUES ({','.join('?' * 15)})"  # noqa: S608


def finish(db: sqlite3.Connection, former: Path, now_ms: int, disk: Disk = DISK) -> None:
    """Carry over into the copy of a backup what only the former store knows, and say in the journal that it was
    restored. A backup of an earlier version has no journal yet. Raises sqlite3.Error."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").fetchone():
        return
    rows, documents = _later(db, former, disk)
    with transaction(db):
        db.executemany(_GO_ON, rows)
        db.executemany(_FILL, documents)
        number, previous = _last(db)
        body = {"action": "restored", "carried": len(rows)}
        text = Entry(now_ms, Kind.STORE, "", body=body).text
        row = Row(number + 1, now_ms, now_ms, Kind.STORE.value, "", "", "", "", text)
        row = replace(row, hash=journal.link(previous, row))
        db.execute(_GO_ON, (row.number, row.at_ms, row.recorded_ms, row.kind, "", "", "", "", row.body, row.hash))


def _last(db: sqlite3.Connection) -> tuple[int, str]:
    return db.execute("SELECT id, hash FROM journal ORDER BY id DESC LIMIT 1").fetchone() or (0, GENESIS)


def _later(
    db: sqlite3.Connection, former: Path, disk: Disk
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Rows of the former journal that follow the backup's last one, and all CAP documents; none where it cannot be
    read, or where its journal is another one."""
    with contextlib.suppress(sqlite3.Error, Unavailable):
        number, digest = _last(db)
        old = storefile.connect(former, disk=disk)
        try:
            there = old.execute("SELECT hash FROM journal WHERE id = ?", (number,)).fetchone()
            if number == 0 or there == (digest,):
                rows = old.execute(f"SELECT {COLUMNS} FROM journal WHERE id > ? ORDER BY id", (number,)).fetchall()  # noqa: S608
                return rows, old.execute(f"SELECT {_CAP} FROM cap ORDER BY id").fetchall()  # noqa: S608
        finally:
            old.close()
    return [], []
