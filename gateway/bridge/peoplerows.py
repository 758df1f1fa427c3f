"""What people did that lasts, in the store: mutes and maintenance. Written and read within the store's transactions."""

from __future__ import annotations

import sqlite3

import msgspec

from gateway.bridge.work import Suspended, Work
from gateway.calling import Phone
from gateway.episodes import Suspension

TESTS_KEPT = 100
_FORGET = """DELETE FROM alert_tests WHERE test NOT IN
 (SELECT test FROM alert_tests GROUP BY test ORDER BY max(asked_ms) DESC LIMIT ?)"""
_COLUMNS = "kind, tenant, station, since_ms, until_ms, by, note, rank"


def suspensions(db: sqlite3.Connection) -> dict[Suspended, Suspension]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM suspensions")  # noqa: S608 - a constant
    return {(row[0], row[1], row[2]): Suspension(*row) for row in rows}


def phones(db: sqlite3.Connection) -> dict[str, Phone]:
    rows = db.execute("SELECT recipient, recent FROM rings")
    return {name: msgspec.json.decode(recent, type=Phone) for name, recent in rows}


def write(db: sqlite3.Connection, work: Work) -> None:
    for key, x in work.suspensions.items():
        if x is None:
            db.execute("DELETE FROM suspensions WHERE kind = ? AND tenant = ? AND station = ?", key)
        else:
            row = (x.kind, x.tenant, x.station, x.since_ms, x.until_ms, x.by, x.note, x.rank)
            db.execute("INSERT OR REPLACE INTO suspensions VALUES (?,?,?,?,?,?,?,?)", row)
    for name, phone in work.phones.changed.items():
        db.execute("INSERT OR REPLACE INTO rings VALUES (?,?)", (name, msgspec.json.encode(phone).decode()))
    now = work.rules.now_ms
    db.executemany(
        "INSERT OR IGNORE INTO alert_tests (test, recipient, asked_ms) VALUES (?,?,?)",
        [(x.test, x.recipient, now) for x in work.tests],
    )
    db.executemany(
        """UPDATE alert_tests SET answered_ms = ?, answered_by = ?
           WHERE test = ? AND recipient = ? AND answered_ms IS NULL""",
        [(now, x.by, x.test, x.recipient) for x in work.answers],
    )
    if work.tests:
        db.execute(_FORGET, (TESTS_KEPT,))
