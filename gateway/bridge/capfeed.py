"""CAP documents and their Atom feed (RFC 4287) in a folder, for whoever serves it. A thread of its own: a folder that
is not there delays nobody, and is made whole from the store when it is there again.

The folder mirrors the store: the feed names what was sent less than 48 hours ago, each of it a file. An alert that goes
on is among it, because it is renewed each day; one that has ended leaves by itself. Each file is put in its place
whole. What is restricted can be read by its owner and group alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from gateway import settings, storefile
from gateway.capatom import feed, listed
from gateway.disk import DISK, Disk
from gateway.errors import Unavailable

log = logging.getLogger(__name__)

FEED = "feed.xml"
FILES_MS = 30 * 24 * 3_600_000  # a file stays that long after its message, for who still refers to it
EVERY_S = 60.0  # what has ended leaves the feed by time alone
BACKOFF_S = (1.0, 5.0, 15.0, 60.0)

_DOCUMENT = "SELECT document FROM cap WHERE identifier = ?"


class Feed:
    """Keeps the folder. `now_ms` is the bridge's time."""

    def __init__(
        self,
        to: settings.Cap,
        store: Path,
        now_ms: Callable[[], int],
        disk: Disk = DISK,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        self._to, self._store, self._now_ms, self._disk, self._backoff_s = to, store, now_ms, disk, backoff_s
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="cap", daemon=True)
        self._placed: set[str] = set()  # by this process: a document never changes
        self.failing: str | None = None

    def start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def wake(self) -> None:
        """There may be a new document."""
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self.mirror()
            except (OSError, Unavailable) as e:
                if self.failing is None:
                    log.error("the CAP feed in %s waits: %s; trying again", self._to.folder, e)
                self.failing = e.strerror if isinstance(e, OSError) else str(e)
                self._stop.wait(self._backoff_s[min(failures, len(self._backoff_s) - 1)])
                failures += 1
                continue
            if self.failing is not None:
                log.info("the CAP feed in %s is written again, after %d failures", self._to.folder, failures)
            self.failing, failures = None, 0
            self._wake.wait(EVERY_S)

    def mirror(self) -> None:
        """Make the folder what the store says. Raises OSError where it cannot be written, Unavailable where the store
        cannot be read."""
        folder, now = self._to.folder, self._now_ms()
        found = listed(self._store, now, self._disk)
        folder.mkdir(parents=True, exist_ok=True)
        self._placed &= {x.file for x in found}
        for x in found:  # the documents before the feed that names them
            if x.file not in self._placed or not (folder / x.file).exists():
                for (text,) in storefile.rows(self._store, _DOCUMENT, (x.identifier,), self._disk):
                    self._put(x.file, text, x.mode)
                self._placed.add(x.file)
        self._put(FEED, feed(found, self._to, FEED), 0o640 if any(x.mode == 0o640 for x in found) else 0o644)
        self._clear({x.file for x in found}, now)

    def _put(self, name: str, text: str, mode: int) -> None:
        """Whole, or as it was before. Written only where it differs."""
        path, content = self._to.folder / name, text.encode()
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
                return
        new = path.with_name(f".{name}.new")
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            os.fchmod(fd, mode)  # whatever the umask is
            with os.fdopen(fd, "wb", closefd=False) as file:
                file.write(content)
            os.fsync(fd)
        finally:
            os.close(fd)
        new.replace(path)

    def _clear(self, named: set[str], now_ms: int) -> None:
        """Our files that are no longer named, in their time; files of others stay."""
        for path in self._to.folder.glob("suimon.*.xml"):
            with contextlib.suppress(FileNotFoundError):
                if path.name not in named and now_ms - path.stat().st_mtime * 1000 > FILES_MS:
                    path.unlink()
