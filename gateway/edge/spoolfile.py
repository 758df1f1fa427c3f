"""The file under the device's spool: schema, migrations, how a row looks, what is noted beside the rows."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gateway.disk import Disk
from gateway.errors import FaultCode, NoticeCode, Unavailable
from gateway.model import ClockState, Moment, Reading, Sample

VERSION = 2
SCHEMA = """
CREATE TABLE logs (id INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL UNIQUE, opened_ms INTEGER NOT NULL);
CREATE TABLE samples (
  log_id INTEGER NOT NULL, seq INTEGER NOT NULL, observed_ms INTEGER NOT NULL, clk TEXT NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (log_id, seq)) WITHOUT ROWID;
-- Numbers that this device gave up, and why; told in every spool statement.
CREATE TABLE gone (log_id INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (log_id, a)) WITHOUT ROWID;
"""
# MIGRATIONS[n] takes a spool of version n to n + 1; SCHEMA is version 1, and a new file goes the same way.
MIGRATIONS: dict[int, str] = {
    1: """
-- When the clock was not set: the boot and the milliseconds since it began. NULL once the sample has a date.
ALTER TABLE samples ADD COLUMN boot TEXT;
ALTER TABLE samples ADD COLUMN uptime_ms INTEGER;
ALTER TABLE samples ADD COLUMN raised INTEGER NOT NULL DEFAULT 0;
CREATE INDEX samples_undated ON samples (boot) WHERE boot IS NOT NULL;
-- Sent alone again and again, passed over by the bridge's receipts, and declared gone: kept for whoever looks for why.
CREATE TABLE set_aside (id INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL, seq INTEGER NOT NULL,
  observed_ms INTEGER NOT NULL, clk TEXT NOT NULL, body TEXT NOT NULL, boot TEXT, uptime_ms INTEGER,
  raised INTEGER NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- 0.1 knew no ages and sent what its clock showed. Nothing better is known of these rows, and refused they were lost.
UPDATE samples SET clk = 'holdover' WHERE clk = 'unsynced';
""",
}
RAISED, BEGINS = 1, 2  # bits of the column `raised`: of the raised interval; a count begins again in it
COLUMNS = "seq, observed_ms, clk, body, boot, uptime_ms, raised"
INSERT = f"INSERT INTO samples (log_id, {COLUMNS}) VALUES (?,?,?,?,?,?,?,?)"  # noqa: S608
SELECT = f"SELECT {COLUMNS} FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"  # noqa: S608
SELECT_1 = SELECT.replace("boot, uptime_ms, raised", "NULL, NULL, 0").replace(  # of a file of version 1
    " clk,", " CASE clk WHEN 'unsynced' THEN 'holdover' ELSE clk END,"
)
SELECT_NEWEST = SELECT.replace("BY seq", "BY seq DESC")
# The index over the boot comes first in the plan: undated samples are few, or short-lived.
SELECT_UNDATED = f"""SELECT {COLUMNS} FROM samples INDEXED BY samples_undated
  WHERE log_id = ? AND seq BETWEEN ? AND ? AND boot = ? ORDER BY seq LIMIT ?"""  # noqa: S608
DATE = """UPDATE samples SET observed_ms = ?, clk = ?, boot = NULL, uptime_ms = NULL
  WHERE log_id = ? AND seq = ? AND boot IS NOT NULL"""
SET_ASIDE = f"""INSERT INTO set_aside (log, {COLUMNS}) SELECT ?, {COLUMNS} FROM samples
  WHERE log_id = ? AND seq = ?"""  # noqa: S608
FORGET_ASIDE = "DELETE FROM set_aside WHERE id <= (SELECT max(id) FROM set_aside) - ?"
DELETE = "DELETE FROM samples WHERE log_id = ? AND seq BETWEEN ? AND ?"
# What the file itself is guilty of. Anything else (locked, no room, no permission) may pass, and must cost no data.
DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
)

_encode_body = msgspec.json.encode
_decode_body = msgspec.json.Decoder(list[tuple[str, str, str, float | None, str | None]]).decode


class Damaged(Exception):
    """The spool's file is damaged: nothing of what it says can be relied on. The agent ends, and its next start sets
    the file aside."""


def may_pass(error: sqlite3.Error | OSError, path: Path) -> bool:
    """Whether a card that cannot be opened now may be later: full, failing, or gone read-only, as worn cards do. A path
    that we may not use will not change by waiting."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):  # also where a full disk has no room for a new file
        folder = path.parent
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return True
        return os.access(folder, os.W_OK | os.X_OK) and (
            not path.exists() or (path.is_file() and os.access(path, os.W_OK))
        )
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def is_damage(e: sqlite3.Error) -> bool:
    code = getattr(e, "sqlite_errorcode", None)
    return code is not None and (code in DAMAGE or code & 0xFF in DAMAGE)


# --- rows ----------------------------------------------------------------------------------------------------------


def to_row(log_id: int, s: Sample) -> tuple[object, ...]:
    """The values of INSERT."""
    boot, uptime_ms = (s.moment.boot, s.moment.uptime_ms) if s.moment else (None, None)
    return (
        log_id,
        s.seq,
        s.observed_ms,
        s.clk.value,
        _body(s.readings),
        boot,
        uptime_ms,
        RAISED * s.raised | BEGINS * s.begins,
    )


def _body(readings: Iterable[Reading]) -> str:
    return _encode_body([(r.station, r.channel, r.unit, r.value, r.fault) for r in readings]).decode()


def to_sample(
    name: str, seq: int, observed_ms: int, clk: str, body: str, boot: str | None, uptime_ms: int | None, raised: int
) -> Sample:
    """From COLUMNS. Raises TypeError or ValueError where the row cannot be read."""
    if not isinstance(observed_ms, int):
        raise TypeError("its time is not a number")
    if boot is not None and not (isinstance(boot, str) and isinstance(uptime_ms, int)):
        raise TypeError("its moment is not one")
    readings = (
        Reading(station, channel, unit, value, FaultCode(fault) if fault else None)
        for station, channel, unit, value, fault in _decode_body(body)
    )
    moment = Moment(boot, uptime_ms) if boot is not None and uptime_ms is not None else None
    return Sample(name, seq, observed_ms, ClockState(clk), tuple(readings), moment, bool(raised & RAISED))


# --- what is noted beside the rows -----------------------------------------------------------------------------------


class Note(msgspec.Struct, frozen=True):
    """What the agent knows and the rows do not tell, as of the sample of that time. `unsettled` None: no receipt in
    that opening yet."""

    at_ms: int
    opening: str
    unsettled: int | None
    notices: list[str] = []


_SET = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


def write_note(db: sqlite3.Connection, note: Note, codes: Iterable[NoticeCode] = ()) -> None:
    """And that staff are to be told of `codes`, also after a restart."""
    db.execute(_SET, ("note", _encode_body(note).decode()))
    for code in codes:
        remember(db, code, note.at_ms)


def read_note(db: sqlite3.Connection) -> Note | None:
    row = db.execute("SELECT value FROM meta WHERE key = 'note'").fetchone()
    return msgspec.json.decode(row[0], type=Note) if row else None


def remember(db: sqlite3.Connection, code: NoticeCode, at_ms: int) -> None:
    """That staff are to be told, also after a restart."""
    db.execute(_SET, (code.value, str(at_ms)))


def remembered(db: sqlite3.Connection) -> dict[NoticeCode, int]:
    """When each began."""
    found = db.execute("SELECT key, value FROM meta").fetchall()
    return {NoticeCode(key): int(value) for key, value in found if key in NoticeCode._value2member_map_}


# --- opening -------------------------------------------------------------------------------------------------------


def open_sound(path: Path, disk: Disk) -> sqlite3.Connection:
    """The file, brought to this version. Raises sqlite3.Error where it is not a sound spool, Unavailable where a newer
    suimon wrote it; then it is left as it is."""
    db = disk.connect(path)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")  # a rotten text spoils its own row and no other
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise Unavailable(f"{path} was written by a newer suimon (version {version}). Install that version.")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # NORMAL may lose committed rows at a power cut
        db.execute("PRAGMA journal_size_limit = 4194304")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        if version < VERSION:
            steps = ([SCHEMA] if version == 0 else []) + [MIGRATIONS[v] for v in range(version or 1, VERSION)]
            db.executescript(f"BEGIN IMMEDIATE; {''.join(steps)} PRAGMA user_version = {VERSION}; COMMIT;")
            disk.sync_folder(path.parent)
    except BaseException:
        db.close()
        raise
    return db
