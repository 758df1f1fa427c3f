"""SQLite's way to a recording disk: a VFS that tells the disk what it does, and sqlite3's interface over apsw."""

from __future__ import annotations

import contextlib
import errno
import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import apsw

from .platter import Op

_numbers = itertools.count(1)
_CREATE = apsw.SQLITE_OPEN_CREATE
# Such a file syncs its folder with its first sync (SQLite's UNIXFILE_DIRSYNC); a database does not.
_OWN_FOLDER = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL


@contextlib.contextmanager
def _as_sqlite() -> Iterator[None]:
    """A disk that cannot record refuses, as a full or a broken one does."""
    try:
        yield
    except OSError as e:
        raise (apsw.FullError if e.errno == errno.ENOSPC else apsw.IOError)(str(e)) from e


class Told(Protocol):
    """The disk, as a VFS needs it."""

    def log(self, op: Op) -> None: ...

    def file_of(self, name: str) -> int: ...

    def made(self, name: str) -> int: ...

    def removed(self, name: str) -> None: ...

    def sync_folder(self, folder: Path) -> None: ...


class Vfs(apsw.VFS):
    """The default VFS, and a word to the disk before each thing it does."""

    def __init__(self, disk: Told) -> None:
        self._disk, self._name = disk, f"recording-{next(_numbers)}"
        super().__init__(self._name, "")

    def connect(self, path: Path, write: bool, timeout_s: float) -> _Connection:
        access = apsw.SQLITE_OPEN_READWRITE | _CREATE if write else apsw.SQLITE_OPEN_READONLY
        uri = f"{path.absolute().as_uri()}?mode={'rwc' if write else 'ro'}"
        with _as_sqlite3():
            db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_URI | access, vfs=self._name)
            db.set_busy_timeout(round(timeout_s * 1000))
        return _Connection(db)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        return _File(self._disk, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:  # noqa: N802
        with _as_sqlite():
            self._disk.removed(name)
        super().xDelete(name, sync_folder)
        if sync_folder:
            with _as_sqlite():
                self._disk.sync_folder(Path(name).parent)


class _File(apsw.VFSFile):
    """A file without a name (SQLite's temporary ones) is nobody's concern."""

    def __init__(self, disk: Told, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        makes = bool(flags[0] & _CREATE)
        self._disk, self._writes = disk, bool(flags[0] & apsw.SQLITE_OPEN_READWRITE)
        self._folder = Path(path).parent if path and makes and flags[0] & _OWN_FOLDER else None
        with _as_sqlite():
            self._file = disk.made(path) if path and makes else 0
        super().__init__("", name, flags)
        if path and not makes:
            with _as_sqlite():
                self._file = disk.file_of(path)

    def _tell(self, op: Op) -> None:
        if self._file:
            with _as_sqlite():
                self._disk.log(op)

    def xLock(self, level: int) -> None:  # noqa: N802
        """A reader that closes last asks for a lock that it cannot have. SQLite shrugs; apsw would raise."""
        try:
            super().xLock(level)
        except apsw.IOError as e:
            if self._writes:
                raise
            raise apsw.BusyError(str(e)) from e

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._tell(Op("write", self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._tell(Op("truncate", self._file, size))
        super().xTruncate(size)

    def xSync(self, _flags: int) -> None:  # noqa: N802
        self._tell(Op("sync", self._file))
        if self._folder is not None:
            self._tell(Op("folder", name=str(self._folder)))
            self._folder = None


# --- sqlite3's interface, as far as spool and store use it -----------------------------------------------------------

_OPERATIONAL = {1, 3, 4, 5, 6, 8, 9, 10, 13, 14, 15, 16, 17}
_CLASSES: dict[int, type[sqlite3.Error]] = {
    **dict.fromkeys(_OPERATIONAL, sqlite3.OperationalError),
    **dict.fromkeys((2, 12), sqlite3.InternalError),
    **dict.fromkeys((19, 20), sqlite3.IntegrityError),
    **dict.fromkeys((21, 25), sqlite3.InterfaceError),
    18: sqlite3.DataError,
}


@contextlib.contextmanager
def _as_sqlite3() -> Iterator[None]:
    """apsw's errors as those that the standard library raises for the same result of SQLite."""
    try:
        yield
    except (apsw.BindingsError, apsw.ThreadingViolationError, apsw.ConnectionClosedError, TypeError) as e:
        raise sqlite3.ProgrammingError(str(e)) from e
    except apsw.Error as e:
        error = _CLASSES.get(getattr(e, "result", 1), sqlite3.DatabaseError)(str(e))
        error.sqlite_errorcode = getattr(e, "extendedresult", 1)
        error.sqlite_errorname = str(apsw.mapping_extended_result_codes.get(error.sqlite_errorcode, "SQLITE_ERROR"))
        raise error from e


class _Cursor:
    def __init__(self, db: Any) -> None:
        self._db, self._cursor = db, db.cursor()
        self.lastrowid: int | None = None
        self.rowcount = -1

    def run(self, sql: str, parameters: Any, *, many: bool = False) -> _Cursor:
        with _as_sqlite3():
            before = self._db.total_changes()
            if many:
                self._cursor.executemany(sql, parameters)
            else:
                self._cursor.execute(sql, parameters)
            self.lastrowid, self.rowcount = self._db.last_insert_rowid(), self._db.total_changes() - before
        return self

    def fetchone(self) -> Any:
        with _as_sqlite3():
            return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        with _as_sqlite3():
            return list(self._cursor.fetchall())

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        self._cursor.close()


class _Connection:
    def __init__(self, db: Any) -> None:
        self._db = db
        self.text_factory: Any = str  # taken and not used: apsw refuses a text that is not UTF-8

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

    @property
    def total_changes(self) -> int:
        return int(self._db.total_changes())

    def execute(self, sql: str, parameters: Any = ()) -> _Cursor:
        return _Cursor(self._db).run(sql, parameters or None)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> _Cursor:
        return _Cursor(self._db).run(sql, parameters, many=True)

    def executescript(self, sql: str) -> None:
        _Cursor(self._db).run(sql, None).fetchall()

    def backup(self, target: sqlite3.Connection) -> None:
        with _as_sqlite3(), cast(_Connection, target)._db.backup("main", self._db, "main") as copying:
            while not copying.done:
                copying.step()

    def interrupt(self) -> None:
        self._db.interrupt()

    def close(self) -> None:
        with _as_sqlite3():
            self._db.close()
