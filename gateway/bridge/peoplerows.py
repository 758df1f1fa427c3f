"""What people did that lasts, in the store: mutes and maintenance. Written and read within the store's transactions."""

from __future__ import annotations

import sqlite3

from gateway.bridge.work import Suspended, Work
from gateway.episodes import Suspension

_COLUMNS = "kind, tenant, station, since_ms, until_ms, by, note, rank"


def suspensions(db: sqlite3.Connection) -> dict[Suspended, Suspension]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM suspensions")  # noqa: S608 - a constant
    return {(row[0], row[1], row[2]): Suspension(*row) for row in rows}


def write(db: sqlite3.Connection, work: Work) -> None:
    for key, x in work.suspensions.items():
        if x is None:
            db.execute("DELETE FROM suspensions WHERE kind = ? AND tenant = ? AND station = ?", key)
        else:
            row = (x.kind, x.tenant, x.station, x.since_ms, x.until_ms, x.by, x.note, x.rank)
            db.execute("INSERT OR REPLACE INTO suspensions VALUES (?,?,?,?,?,?,?,?)", row)
