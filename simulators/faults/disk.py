"""A disk that records what is done to it, so that the power can be cut: see `platter.py` for what is left then.

SQLite writes through a VFS of ours, which hands everything on to the real files. The library is apsw, with an SQLite
of its own: in such a process every connection to a file goes through here, or the two would undo each other's locks.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

from gateway.disk import Disk
from gateway.errors import Unavailable

from .platter import COMPACT_BYTES, Journal, Op, Platter, lay_out, read

CHUNK = 1 << 20


class Recording(Disk):
    """Every write goes to `log` before it is done. Nothing is really synced: what a sync makes durable is known.

    `platter` is what the disk is at the beginning; a file that it does not know is taken as durable when it is met.
    Raises Unavailable where apsw is not installed.
    """

    def __init__(self, log: Callable[[Op], None], platter: Platter | None = None) -> None:
        try:
            from . import vfs
        except ModuleNotFoundError as e:  # this travels with the wheel, where power cuts are not simulated
            raise Unavailable("power cuts are simulated by the package apsw: pip install apsw") from e
        self._log, self._lock = log, threading.RLock()
        self._names = platter.seen_names() if platter else {}
        self._files = itertools.count(max((*platter.files, 0)) + 1 if platter else 1)
        self._vfs = vfs.Vfs(self)

    def connect(self, path: Path, *, write: bool = True, timeout_s: float = 10.0) -> sqlite3.Connection:
        return cast(sqlite3.Connection, self._vfs.connect(path, write, timeout_s))

    def rename(self, path: Path, to: Path) -> None:
        with self._lock:
            a, b = str(path.absolute()), str(to.absolute())
            self.file_of(a)
            self._log(Op("rename", self._names[a], name=a, to=b))
            self._names[b] = self._names.pop(a)
            path.rename(to)

    def link(self, path: Path, to: Path) -> None:
        with self._lock:
            a, b = str(path.absolute()), str(to.absolute())
            self.file_of(a)
            self._log(Op("link", self._names[a], name=a, to=b))
            self._names[b] = self._names[a]
            os.link(path, to)

    def copy(self, source: Path, target: Path) -> None:
        file = self.made(str(target.absolute()))
        self.log(Op("truncate", file))
        with source.open("rb") as content:
            for n, data in enumerate(iter(lambda: content.read(CHUNK), b"")):
                self.log(Op("write", file, n * CHUNK, data))
        shutil.copyfile(source, target)

    def remove(self, path: Path) -> None:
        self.removed(str(path.absolute()))
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        self.log(Op("folder", name=str(folder.absolute())))

    # --- what the VFS tells --------------------------------------------------------------------------------------

    def log(self, op: Op) -> None:
        with self._lock:
            self._log(op)

    def file_of(self, name: str) -> int:
        """The number of a file that is there."""
        with self._lock:
            if name not in self._names:
                self._names[name] = file = next(self._files)
                self._log(Op("base", file, data=Path(name).read_bytes()))
                self._log(Op("named", file, name=name))
            return self._names[name]

    def made(self, name: str) -> int:
        """The number of a file that is opened to be written, and made where it is missing."""
        with self._lock:
            if name not in self._names and not Path(name).exists():
                self._names[name] = file = next(self._files)
                self._log(Op("create", file, name=name))
            return self.file_of(name)

    def removed(self, name: str) -> None:
        with self._lock:
            if name in self._names or Path(name).exists():
                self.file_of(name)
                self._log(Op("remove", name=name))
                del self._names[name]

    def close(self) -> None:
        """After its connections."""
        self._vfs.unregister()


def recording(journal: Path, compact_bytes: int = COMPACT_BYTES) -> Recording:
    """A recording disk of a process that may be killed. A journal that is there goes on: what the killed process
    wrote, and only that, is in the page cache. Delete the journal when anything else changed the files."""
    platter = Platter(read(journal)) if journal.exists() else Platter()
    lay_out(platter.seen(), platter.known)
    return Recording(Journal(journal, compact_bytes).append, platter)
