"""Small files that are written whole or not at all, by a power cut too."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.disk import DISK


class Files:
    """The real ones. A seam: a test stops it at any of its writes."""

    def write(self, path: Path, data: bytes, mode: int | None = None, group: int | None = None) -> None:
        """Put the data in the file's place. Owner, group and mode stay those of the file that is there; `mode` and
        `group` are for a new one, and where given also for that. When this returns the file and its name are on the
        disk. Raises OSError, PermissionError too where owner and group cannot be kept; then nothing has changed."""
        path = path.resolve()  # a link keeps pointing where it points
        old = path.stat() if path.exists() else None
        fresh = path.with_name(f".{path.name}.suimon-new")
        fresh.unlink(missing_ok=True)  # left by one that was interrupted
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "wb") as out:
                wanted = group if group is not None else old.st_gid if old else -1
                now = os.fstat(fd)
                if (old and old.st_uid != now.st_uid) or wanted not in (-1, now.st_gid):
                    os.fchown(fd, old.st_uid if old else -1, wanted)
                os.fchmod(fd, mode if mode is not None else old.st_mode & 0o777 if old else 0o600)
                out.write(data)
                out.flush()
                os.fsync(fd)
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        DISK.sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        """When this returns the name is gone from the disk. Raises OSError."""
        path.unlink(missing_ok=True)
        DISK.sync_folder(path.parent)


FILES = Files()
