"""The city on paper, written by the bridge itself so that it survives the page: `city.html` is the newest sheet, beside
it a copy of each time. A thread of its own: a folder that cannot be written delays nobody."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gateway import boardfile, calling, papersheet, settings, storefile
from gateway.disk import DISK, Disk
from gateway.errors import NoticeCode, Unavailable
from gateway.papersheet import JST, Sheet
from gateway.stations import Registry
from gateway.wholefile import FILES, Files

log = logging.getLogger(__name__)

NEWEST = "city.html"
COPIES = "city-*.html"
BACKOFF_S = (5.0, 15.0, 60.0)
MODE = 0o640  # names of stations under work are on it
_DEAF = f"""SELECT min(since_ms) FROM notices WHERE ended_ms IS NULL
 AND code IN ('{NoticeCode.NO_BROKER.value}', '{NoticeCode.NO_DATA.value}')"""  # noqa: S608 - ours


def sheet(
    store: Path, registry: Registry, now_ms: int, sender: str, running: bool | None = True, disk: Disk = DISK
) -> Sheet:
    """How the city stands now, from the store. Raises Unavailable."""
    board = boardfile.read(store, registry, now_ms, disk)
    waiting = sum(e.kind != "drill" and calling.unseen(e.course) for e in board.episodes)
    drill = any(e.kind == "drill" for e in board.episodes)
    deaf = storefile.rows(store, _DEAF, disk=disk)[0][0]
    rows = [x for x in board.rows if any(not c.internal for c in x.station.channels.values())]
    return Sheet(sender, now_ms, rows, waiting, drill, deaf, running, board.received_ms)


class Papers:
    """Keeps the folder. `registry` and `now_ms` are the bridge's, as they are then."""

    def __init__(
        self,
        to: settings.Paper,
        store: Path,
        registry: Callable[[], Registry],
        now_ms: Callable[[], int],
        disk: Disk = DISK,
        files: Files = FILES,
        backoff_s: tuple[float, ...] = BACKOFF_S,
    ) -> None:
        self._to, self._store, self._registry, self._now_ms = to, store, registry, now_ms
        self._disk, self._files, self._backoff_s = disk, files, backoff_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="paper", daemon=True)
        self.failing: str | None = None

    def start(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self.write()
            except (OSError, Unavailable, sqlite3.Error) as e:  # a store that is damaged, too
                if self.failing is None:
                    log.error("the sheet in %s cannot be written: %s; trying again", self._to.folder, e)
                self.failing = (e.strerror or str(e)) if isinstance(e, OSError) else str(e)
                self._stop.wait(self._backoff_s[min(failures, len(self._backoff_s) - 1)])
                failures += 1
                continue
            if self.failing is not None:
                log.info("the sheet in %s is written again, after %d failures", self._to.folder, failures)
            self.failing, failures = None, 0
            self._stop.wait(self._until_next_s())

    def _until_next_s(self) -> float:
        """Sheets are made at even times, so that two of them can be laid side by side."""
        every_ms = self._to.every_s * 1000
        return max(1.0, (every_ms - self._now_ms() % every_ms) / 1000)

    def write(self) -> None:
        """The newest sheet, its copy, and what is too old goes. Raises OSError, Unavailable."""
        now_ms, folder = self._now_ms(), self._to.folder
        found = sheet(self._store, self._registry(), now_ms, self._to.sender, disk=self._disk)
        data = papersheet.html(found, self._to.language).encode()
        folder.mkdir(parents=True, exist_ok=True)
        self._files.write(folder / NEWEST, data, MODE)
        self._files.write(folder / f"city-{datetime.fromtimestamp(now_ms / 1000, JST):%Y%m%dT%H%M%z}.html", data, MODE)
        self._clear(now_ms)

    def _clear(self, now_ms: int) -> None:
        """Copies that are too old by their own name; files of others stay."""
        for path in self._to.folder.glob(COPIES):
            with contextlib.suppress(ValueError, FileNotFoundError):
                made = datetime.strptime(path.stem, "city-%Y%m%dT%H%M%z")
                if now_ms - made.timestamp() * 1000 > self._to.keep_s * 1000:
                    path.unlink()
