"""The disk under spool and store, as the programs use it: everything that must survive a power cut goes through here.

A seam: a simulation puts a disk in its place that records what was written and what was synced, and cuts the power.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Disk:
    """The real one."""

    def connect(self, path: Path, *, write: bool = True, timeout_s: float = 10.0) -> sqlite3.Connection:
        """A connection for any thread, in autocommit: transactions are begun by name. With `write` the file is made
        where it is missing. Raises sqlite3.Error."""
        uri = f"{path.absolute().as_uri()}?mode={'rwc' if write else 'ro'}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=timeout_s)

    def rename(self, path: Path, to: Path) -> None:
        """Durable only once the folder is synced."""
        path.rename(to)

    def link(self, path: Path, to: Path) -> None:
        """A second name for the same file, where the file system knows that; else its new name. `to` is free."""
        try:
            os.link(path, to)
        except FileExistsError:
            raise
        except OSError:
            path.rename(to)

    def copy(self, source: Path, target: Path) -> None:
        """Bytes alone; durable only once a connection to the target committed, and the folder is synced."""
        shutil.copyfile(source, target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Make names durable, of files made, renamed and removed: a file that was synced may still lack its name."""
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


DISK = Disk()


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: whatever ends the block early takes back what it wrote."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
