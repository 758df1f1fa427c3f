"""A copy of web.db, also while the page runs, and back. Whoever is restored signs in again; what was done since stays
done: a token that was revoked and an account that was disabled stay so, and the audit goes on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import storefile
from gateway.clock import Clock
from gateway.disk import DISK
from gateway.errors import Unavailable
from gateway.web.accountfile import AccountFile, make
from gateway.web.accountrows import By
from gateway.web.audit import Audit

_AUDIT = "id, at_ms, who, via, address, what, subject, outcome"
_SINCE = f"SELECT {_AUDIT} FROM audit WHERE id > ? ORDER BY id"  # noqa: S608 - ours


def backup(accounts: Path, target: Path) -> None:
    """Readable by its owner alone. Raises Unavailable."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        raise Unavailable(f"{target} exists. Name another file.") from None
    except OSError as e:
        raise Unavailable(f"cannot write {target}: {(e.strerror or '').lower()}") from e
    try:
        with _read(accounts) as source, contextlib.closing(DISK.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable anywhere
    except (sqlite3.Error, Unavailable) as e:
        DISK.remove(target)
        raise Unavailable(f"cannot copy the accounts {accounts} to {target}: {e}") from e
    DISK.sync_folder(target.absolute().parent)


def has_accounts(accounts: Path) -> bool:
    """Whether somebody can sign in by it: False also of a damaged one."""
    if not accounts.exists():
        return False
    with contextlib.suppress(sqlite3.Error, Unavailable), _read(accounts) as db:
        sound = db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        return bool(sound and db.execute("SELECT count(*) FROM accounts").fetchone()[0])
    return False


def restore(source: Path, accounts: Path, by: By, clock: Clock) -> Path | None:
    """Put a backup in the place of what is there, also under a page that runs; returns where the former is kept, if
    there was one. Raises Unavailable where the backup is not sound."""
    new = accounts.with_name(accounts.name + ".restoring")
    stamp = f"{accounts.name}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    former = accounts.with_name(stamp) if accounts.exists() else None
    _remove(new)
    try:
        backup(source, new)
        if former is not None:
            _keep(accounts, former)
        _renew(new, former, by, clock)
        make(accounts)
        with _read(new) as copy, contextlib.closing(DISK.connect(accounts)) as db:
            copy.backup(db)  # within one transaction: whoever has it open sees the one or the other
    except sqlite3.Error as e:
        raise Unavailable(f"{source} is not a sound backup of accounts: {e}") from e
    finally:
        _remove(new)
    DISK.sync_folder(accounts.absolute().parent)
    return former


def _renew(new: Path, former: Path | None, by: By, clock: Clock) -> None:
    """Of this version, without sessions, with what the former knows better."""
    with _read(new) as db:
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed")
        (last,) = db.execute("SELECT coalesce(max(id), 0) FROM audit").fetchone()
    rows, revoked, disabled = _known(former, last)
    file = AccountFile(new)
    try:
        audit = Audit(file, clock)
        with file.writing() as db:
            db.execute("DELETE FROM sessions")
            db.executemany("UPDATE tokens SET revoked_ms = coalesce(revoked_ms, ?2) WHERE id = ?1", revoked)
            db.executemany("UPDATE accounts SET disabled = 1 WHERE name = ?", disabled)
            db.executemany(f"INSERT INTO audit ({_AUDIT}) VALUES (?,?,?,?,?,?,?,?)", rows)  # noqa: S608 - ours
            audit.add(db, by, "accounts.restore", f"carried over {len(rows)}", "done")
    finally:
        file.close()


def _known(former: Path | None, last: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Rows of the audit after that one, tokens that are revoked, accounts that are disabled; of a damaged one none."""
    if former is not None:
        with contextlib.suppress(sqlite3.Error, Unavailable), _read(former) as db:
            revoked = db.execute("SELECT id, revoked_ms FROM tokens WHERE revoked_ms IS NOT NULL").fetchall()
            disabled = db.execute("SELECT name FROM accounts WHERE disabled").fetchall()
            return db.execute(_SINCE, (last,)).fetchall(), revoked, disabled
    return [], [], []


def _keep(accounts: Path, former: Path) -> None:
    """As a copy, so that a page that runs goes on with the file that it has; what cannot be copied is moved away."""
    try:
        backup(accounts, former)
    except Unavailable:
        for suffix in ("-wal", "-shm", ""):
            part = accounts.with_name(accounts.name + suffix)
            if part.exists():
                DISK.rename(part, former.with_name(former.name + suffix))


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        DISK.remove(path.with_name(path.name + suffix))


@contextlib.contextmanager
def _read(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(storefile.connect(path)) as db:
        yield db
