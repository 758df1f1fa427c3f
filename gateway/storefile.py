"""The bridge's store: one SQLite file. How it is opened and migrated, and read queries shared by bridge, page, CLI.

The bridge alone writes it. WAL with synchronous=FULL: a commit that returned survives a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import secrets
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.disk import DISK, Disk, transaction
from gateway.episodes import Course, Episode
from gateway.errors import ActCode, Unavailable
from gateway.storeschema import MIGRATIONS, SCHEMA, VERSION

REMEDY = "Restore a backup with 'suimon bridge restore', or move it away to begin a new one."


def connect(path: Path, *, write: bool = False, disk: Disk = DISK) -> sqlite3.Connection:
    """A connection with the settings that the promises rest on. Autocommit: transactions are begun by name.

    Raises Unavailable where the file cannot be opened.
    """
    db = None
    try:
        db = disk.connect(path, write=write)
        db.execute("PRAGMA busy_timeout = 10000")
        if write:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_size_limit = 16777216")
            db.execute("PRAGMA foreign_keys = OFF")  # ids are ours; the check would cost every insert
    except sqlite3.Error as e:
        if db is not None:
            db.close()
        raise unusable(path, e) from e
    return db


def unusable(path: Path, error: sqlite3.Error) -> Unavailable:
    """What a person can do about a store that does not open: SQLite calls a damaged file by another class."""
    if isinstance(error, sqlite3.OperationalError):
        return Unavailable(f"cannot open the store {path}: {error}")
    return Unavailable(f"the store {path} is damaged ({error}). {REMEDY}")


def rows(path: Path, sql: str, parameters: tuple[object, ...] = (), disk: Disk = DISK) -> list[Any]:
    """Read and close at once: an open reader lets the write-ahead log grow without bound.

    Raises Unavailable where the file cannot be read now.
    """
    db = connect(path, disk=disk)
    try:
        return db.execute(sql, parameters).fetchall()
    except sqlite3.OperationalError as e:
        raise Unavailable(f"cannot read the store {path}: {e}") from e
    finally:
        db.close()


def migrate(db: sqlite3.Connection, path: Path, disk: Disk = DISK) -> None:
    """Bring the file to this version, in one transaction. Raises Unavailable for a file of a later version."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise Unavailable(f"{path} has version {version}; this suimon knows {VERSION}. Install a newer suimon.")
    if version == VERSION:
        return
    steps = ([SCHEMA] if version == 0 else []) + [MIGRATIONS[v] for v in range(version or 1, VERSION)]
    db.executescript(f"BEGIN IMMEDIATE; {''.join(steps)} PRAGMA user_version = {VERSION}; COMMIT;")
    disk.sync_folder(path.parent)


class InUse(Unavailable):
    """Another process holds the lock of the file."""


def lock(path: Path, whose: str) -> int:
    """Keep every other process from opening the same file for writing; the lock ends with the process, however it
    ends. Raises InUse where another one holds it, Unavailable where there can be none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.with_name(path.name + ".lock")
        try:
            fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as e:
            if e.errno != errno.EROFS:
                raise
            fd = os.open(name, os.O_RDONLY)  # a card that went read-only: a lock needs no writing
    except OSError as e:
        raise Unavailable(f"cannot use {path}: {e.strerror} ({e.filename})") from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        os.close(fd)
        raise InUse(f"{path} is in use by another {whose}. Stop that one first.") from e
    return fd


def running(path: Path) -> bool | None:
    """Whether a process holds the store's lock, without taking it: that would keep a bridge from starting."""
    try:
        inode = path.with_name(path.name + ".lock").stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except FileNotFoundError:
        return False if Path("/proc/locks").exists() else None
    except OSError:
        return None
    return any(f":{inode} " in line and " FLOCK " in line for line in lines)


def judged_by(path: Path) -> tuple[str, int] | None:
    """(digest of stations and levels, since when in ms) by which the bridge judges, or judged when it stopped; None of
    a store that no bridge of this version has opened. Raises Unavailable."""
    found = rows(path, "SELECT value FROM meta WHERE key = 'judged_by'")
    return judging(found[0][0]) if found else None


def judging(text: str) -> tuple[str, int]:
    """As it stands in `meta`."""
    digest, _, since_ms = text.partition(" ")
    return digest, int(since_ms)


# --- requests: how other processes ask the bridge for changes -------------------------------------------------------


def ask(path: Path, kind: str, body: str, asked_by: str, asked_ms: int) -> int:
    """Leave a request for the bridge; its id. Raises Unavailable where the store is not there, not ours to write, or
    of another version."""
    return ask_together(path, [(kind, body)], asked_by, asked_ms)[0]


def ask_together(path: Path, wanted: list[tuple[str, str]], asked_by: str, asked_ms: int) -> list[int]:
    """Requests of (kind, body), all of them or none; their ids in that order. Raises Unavailable as `ask`."""
    if not path.exists():
        raise Unavailable(f"there is no store {path} yet: the bridge makes it when it first runs")
    db = connect(path, write=True)
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise Unavailable(
                f"{path} has version {version}, this suimon writes {VERSION}. Start the bridge with this one"
            )
        sql = "INSERT INTO requests (kind, body, asked_by, asked_ms) VALUES (?,?,?,?) RETURNING id"
        with transaction(db):
            return [int(db.execute(sql, (*x, asked_by, asked_ms)).fetchone()[0]) for x in wanted]
    except sqlite3.Error as e:
        raise Unavailable(f"cannot ask the bridge through {path}: {e}") from e
    finally:
        db.close()


def answer(path: Path, request: int) -> tuple[str, str | None]:
    """(state, answer as JSON) of a request: asked, done or refused. Raises Unavailable."""
    return answers(path, [request])[0]


def answers(path: Path, requests: list[int]) -> list[tuple[str, str | None]]:
    """As `answer`, of each. Raises Unavailable."""
    sql = "SELECT id, state, answer FROM requests WHERE id IN (SELECT value FROM json_each(?))"
    found = {number: (state, said) for number, state, said in rows(path, sql, (str(requests),))}
    gone = {"reason": ActCode.FORGOTTEN.sentence, "code": ActCode.FORGOTTEN.value, "facts": {}}
    return [found.get(x) or ("refused", msgspec.json.encode(gone).decode()) for x in requests]


def withdraw(path: Path, request: int) -> bool:
    """Take back what was not begun; whether it was. Raises Unavailable."""
    db = connect(path, write=True)
    try:
        sql = "DELETE FROM requests WHERE id = ? AND state = 'asked' AND answer IS NULL"
        return bool(db.execute(sql, (request,)).rowcount)
    except sqlite3.Error as e:
        raise Unavailable(f"cannot write {path}: {e}") from e
    finally:
        db.close()


STRAY = 10_000  # rows that a clock which stepped back may have put before those of a time


def refill(path: Path, cursor: str, since_ms: int, disk: Disk = DISK) -> tuple[int, int]:
    """(position, rows): where a cursor must go back to, so that everything received since then comes again, and how
    many rows that it has passed these are. It never goes forward: what it has not reached comes anyway. Raises
    Unavailable.

    Rows are found by halving, because their ids follow the time of receipt as far as the bridge's clock did."""
    db = connect(path, disk=disk)
    try:
        at = db.execute("SELECT coalesce(max(position), 0) FROM cursors WHERE name = ?", (cursor,)).fetchone()[0]
        low, high = db.execute("SELECT coalesce(min(id), 1), coalesce(max(id), 0) + 1 FROM observations").fetchone()
        while low < high:
            middle = (low + high) // 2
            sql = "SELECT received_ms FROM observations WHERE id >= ? ORDER BY id LIMIT 1"
            if db.execute(sql, (middle,)).fetchone()[0] >= since_ms:
                high = middle
            else:
                low = middle + 1
        sql = "SELECT min(id) FROM observations WHERE id BETWEEN ? AND ? AND received_ms >= ?"
        while (stray := db.execute(sql, (low - STRAY, low - 1, since_ms)).fetchone()[0]) is not None:
            low = stray
        position = min(at, low - 1)
        sql = "SELECT count(*) FROM observations WHERE id > ? AND id <= ?"
        return position, db.execute(sql, (position, at)).fetchone()[0]
    except sqlite3.OperationalError as e:
        raise Unavailable(f"cannot read the store {path}: {e}") from e
    finally:
        db.close()


def backup(store: Path, target: Path, disk: Disk = DISK) -> None:
    """A consistent copy, also while the bridge writes. Raises Unavailable."""
    if target.exists():
        raise Unavailable(f"{target} exists. Name another file.")
    if not target.absolute().parent.is_dir():
        raise Unavailable(f"cannot write {target}: there is no folder {target.parent}")
    source = connect(store, disk=disk)
    copy = disk.connect(target)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable anywhere
    except sqlite3.Error as e:
        raise Unavailable(f"cannot copy {store} to {target}: {e}") from e
    finally:
        copy.close()
        source.close()
    disk.sync_folder(target.absolute().parent)


Finish = Callable[[sqlite3.Connection], None]


def restore(source: Path, store: Path, disk: Disk = DISK, finish: Finish | None = None) -> Path | None:
    """Put a backup in the store's place; returns where the former store was moved, if there was one.

    The restored store gets a new identity: by that the devices learn that what they were told by the old one no
    longer holds. Raises Unavailable where a bridge is running or the backup is not sound.
    """
    held = lock(store, "bridge")
    try:
        new = _renewed(source, store.with_name(store.name + ".restoring"), disk, finish)
        kept = _keep(store, disk) if store.exists() else None
        disk.rename(new, store)
        disk.sync_folder(store.parent)
        return kept
    finally:
        os.close(held)


def _renewed(source: Path, new: Path, disk: Disk, finish: Finish | None) -> Path:
    """A sound copy of the backup under a name of its own. Raises Unavailable."""
    for suffix in ("", "-journal", "-wal", "-shm"):  # a restore that was cut off leaves them, and they would be played
        disk.remove(new.with_name(new.name + suffix))  # back into this copy
    disk.copy(source, new)
    try:
        db = disk.connect(new)
        try:
            if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("quick_check failed")
            db.execute("UPDATE meta SET value = ? WHERE key = 'store'", (secrets.token_hex(8),))
            if finish is not None:
                finish(db)
        finally:
            db.close()
    except sqlite3.Error as e:
        disk.remove(new)
        raise Unavailable(f"{source} is not a sound backup of a store: {e}") from e
    return new


def _keep(store: Path, disk: Disk) -> Path:
    """A second, durable name for the former store, with its write-ahead log, which must not meet the restored file.
    At no moment is there no store: a bridge started then would begin an empty one."""
    stamp = f"{store.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    names = (store.with_name(f"{stamp}{f'-{n}' if n else ''}") for n in itertools.count())
    kept = next(name for name in names if not name.exists())  # two restores in one second keep two stores
    with contextlib.suppress(sqlite3.Error):  # a damaged one keeps its log beside it
        db = disk.connect(store)
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            db.close()
    for suffix in ("-wal", "-shm"):
        part = store.with_name(store.name + suffix)
        if part.exists():
            disk.rename(part, kept.with_name(kept.name + suffix))
    disk.link(store, kept)
    disk.sync_folder(store.parent)
    return kept


EPISODE = "SELECT tenant, station, id, opened_ms, max_rank, closed_ms, kind, state FROM episodes"


def episode_of(row: Any) -> Episode:
    """A row of EPISODE."""
    tenant, station, name, opened_ms, rank, closed_ms, kind, course = row
    told = msgspec.json.decode(course, type=Course)
    return Episode(tenant, station, name, opened_ms, rank, closed_ms, kind, told)


def episodes(path: Path, name: str, disk: Disk = DISK) -> list[Episode]:
    """The episodes of that id, open or closed, in whatever tenant; the newest of a station of that name where no
    episode has it. Raises Unavailable."""
    found = rows(path, f"{EPISODE} WHERE id = ?", (name,), disk) or rows(
        path, f"{EPISODE} WHERE station = ? ORDER BY opened_ms DESC LIMIT 1", (name,), disk
    )
    return [episode_of(row) for row in found]


# --- read queries ------------------------------------------------------------------------------------------------

LATEST_FLAG = """coalesce((SELECT a.flag FROM assessments a WHERE a.channel_id = o.channel_id
         AND a.observed_ms = o.observed_ms ORDER BY a.id DESC LIMIT 1), o.flag)"""

POINTS = f"""
SELECT o.id, c.tenant, c.station, c.channel, c.quantity, o.observed_ms, o.received_ms, o.raw, o.value,
       {LATEST_FLAG}, o.fault, o.device
FROM observations o JOIN channels c ON c.id = o.channel_id
WHERE o.id > ? ORDER BY o.id LIMIT ?"""  # noqa: S608 - ours

# The same points, as far as an assessment changes them: by their latest flag.
ASSESSED = f"""
SELECT x.id, c.tenant, c.station, c.channel, c.quantity, o.observed_ms, NULL, NULL, NULL,
       {LATEST_FLAG}, NULL, o.device
FROM assessments x JOIN channels c ON c.id = x.channel_id
     JOIN observations o ON o.channel_id = x.channel_id AND o.observed_ms = x.observed_ms
WHERE x.id > ? ORDER BY x.id LIMIT ?"""  # noqa: S608 - ours

# To a recipient, in order: the oldest, and the newest of what rings, however much waits before it.
OWED = """
SELECT id, key, attempts, owed_ms, coalesce(json_extract(body, '$.rings'), 0) FROM outbox WHERE id IN (
  SELECT id FROM (SELECT id FROM outbox WHERE recipient = ?1 AND state = 'owed' ORDER BY id LIMIT ?2)
  UNION
  SELECT id FROM (SELECT id FROM outbox WHERE recipient = ?1 AND state = 'owed' AND json_extract(body, '$.rings')
                  ORDER BY id DESC LIMIT ?2)) ORDER BY id"""
BODY = "SELECT body FROM outbox WHERE id = ?"

SENT_SINCE = "SELECT count(*) FROM outbox WHERE medium = ? AND state = 'sent' AND done_ms >= ?"
RUNG_SINCE = f"{SENT_SINCE} AND json_extract(body, '$.rings')"

LATEST = """
SELECT c.tenant, c.station, c.channel, c.quantity, s.state
FROM channels c JOIN channel_states s ON s.channel_id = c.id"""

LETTERS = """
SELECT code, sum(count) FROM
  (SELECT code, count FROM dead_letters UNION ALL SELECT code, count FROM letters_folded)
GROUP BY code ORDER BY code"""
