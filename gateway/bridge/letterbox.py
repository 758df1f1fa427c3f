"""Dead letters in the store: kept once, counted, and bounded in bytes and in rows, for each device and in all.

The oldest lose their payload first, then their row; what remains of a row is its count under its code, so that no
refusal is ever without its reason.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable

from gateway.model import DeadLetter

DEVICE_ROWS = 5_000  # seven months of one new kind of garbage an hour
ALL_ROWS = 100_000
ALL_SHARES = 20  # the payloads of all devices together: so many times those of one
NAMED = 2_000  # folded rows that name a device

_INSERT = """INSERT INTO dead_letters (key, tenant, device, topic, code, detail, payload, bytes, received_ms, log, seq,
 record, count) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,1) ON CONFLICT (key) DO UPDATE SET count = count + 1"""

_FOLD = """INSERT INTO letters_folded
 SELECT {tenant}, {device}, code, sum(count), sum(bytes), min(received_ms), max(received_ms) FROM dead_letters
 WHERE id <= ? AND {which} GROUP BY code
 ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes,
 from_ms = min(from_ms, excluded.from_ms), to_ms = max(to_ms, excluded.to_ms)"""


_HELD = "SELECT coalesce(sum(bytes), 0) FROM dead_letters WHERE payload IS NOT NULL AND {which}"
_PAYLOADS = "SELECT id, bytes FROM dead_letters WHERE payload IS NOT NULL AND {which} ORDER BY id"
_COUNT = "SELECT count(*) FROM dead_letters WHERE {which}"
_NTH = "SELECT id FROM dead_letters WHERE {which} ORDER BY id LIMIT 1 OFFSET ?"
_DROP = "DELETE FROM dead_letters WHERE id <= ? AND {which}"
_OF_DEVICE, _OF_ALL = "tenant = ? AND device = ?", "1"


def key_of(x: DeadLetter) -> str:
    """A record is known by device, log, number and place; a payload that tells none of these by its digest."""
    if x.log is not None and x.seq is not None:
        return f"{x.tenant}/{x.device}/{x.log}/{x.seq}/{x.record}"
    digest = hashlib.sha256(x.topic.encode() + b"\0" + x.payload).hexdigest()
    return f"{x.tenant}/{x.device}/#{digest}"


def write(
    db: sqlite3.Connection,
    letters: Iterable[DeadLetter],
    device_bytes: int,
    device_rows: int = DEVICE_ROWS,
    all_rows: int = ALL_ROWS,
) -> None:
    """Within a transaction: keep them, and stay within the bounds; those of all are looked at every so many letters."""
    rows = [
        (key_of(x), x.tenant, x.device, x.topic, x.code.value, x.detail, x.payload, len(x.payload), x.received_ms,
         x.log, x.seq, x.record)
        for x in letters
    ]  # fmt: skip
    if not rows:
        return
    before = _newest(db)
    db.executemany(_INSERT, rows)
    for mine in {(row[1], row[2]) for row in rows}:
        _cap_bytes(db, _OF_DEVICE, mine, device_bytes)
        _cap_rows(db, _OF_DEVICE, mine, device_rows)
    every = max(1, all_rows // 1000)
    if before // every != _newest(db) // every:
        _cap_bytes(db, _OF_ALL, (), ALL_SHARES * device_bytes)
        _cap_rows(db, _OF_ALL, (), all_rows)


def _newest(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(id), 0) FROM dead_letters").fetchone()[0])


def _cap_bytes(db: sqlite3.Connection, which: str, whose: tuple[str, ...], limit: int) -> None:
    """The oldest lose their payload."""
    held = db.execute(_HELD.format(which=which), whose).fetchone()[0]
    if held <= limit:
        return
    for id_, size in db.execute(_PAYLOADS.format(which=which), whose).fetchall():
        if held <= limit:
            return
        db.execute("UPDATE dead_letters SET payload = NULL WHERE id = ?", (id_,))
        held -= size


def _cap_rows(db: sqlite3.Connection, which: str, whose: tuple[str, ...], limit: int) -> None:
    """The oldest become a count under their code; a tenth at a time, so that it is not done for each."""
    count = db.execute(_COUNT.format(which=which), whose).fetchone()[0]
    if count <= limit:
        return
    (last,) = db.execute(_NTH.format(which=which), (*whose, count - limit + limit // 10 - 1)).fetchone()
    named = bool(whose) and db.execute("SELECT count(*) FROM letters_folded").fetchone()[0] < NAMED
    tenant, device = ("?", "?") if named else ("''", "''")
    db.execute(_FOLD.format(tenant=tenant, device=device, which=which), (*(whose if named else ()), last, *whose))
    db.execute(_DROP.format(which=which), (last, *whose))
